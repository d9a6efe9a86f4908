"""How processors with vocabularies of sentences are saved with a run, and read back."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from framework.data.saved import read_saved
from framework.data.sentences.side import Side, check_version
from framework.errors import DataError
from framework.files import replace_text


class SavedSides:
    """A processor of one or more sides, kept in a JSON file with a model of subwords beside it for each side that has one.

    Attributes:
        file: name of the JSON file.
        version: of its form.
        holds: what, for messages.
    """

    file: ClassVar[str]
    version: ClassVar[int]
    holds: ClassVar[Literal["vocabulary", "vocabularies"]]

    @abstractmethod
    def sides(self) -> Mapping[str, Side]:
        """Every side by name."""

    def further(self) -> Mapping[str, Any]:
        """What is kept beside the sides, as plain data."""
        return {}

    @classmethod
    @abstractmethod
    def of_json(cls, content: Mapping[str, Any], folder: Path) -> Self:
        """From what the file holds.

        Args:
            content: of the file, its version checked.
            folder: where models of subwords lie.

        Raises:
            DataError: it is no such thing.
        """

    @property
    def digest(self) -> str:
        """SHA-256 of all that it holds; equal processors have equal ones."""
        return hashlib.sha256(json.dumps(self._as_json(), sort_keys=True).encode("ascii")).hexdigest()

    def save(self, folder: Path) -> None:
        """Writes the file and, for each side with subwords, ``subwords-<side>.model``.

        Raises:
            DataError: they cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, side in self.sides().items():
                side.save_model(folder, name)
            replace_text(folder / self.file, json.dumps(self._as_json(), indent=1) + "\n")
        except OSError as error:
            raise DataError(f"{self.holds} cannot be written to '{folder}': {error.strerror or error}") from error

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads it.

        Raises:
            DataError: a file cannot be read, is no such thing, or was written by a newer version.
        """
        return read_saved(folder / cls.file, cls.holds, lambda content: cls._of_checked(content, folder))

    @classmethod
    def _of_checked(cls, content: Any, folder: Path) -> Self:
        check_version(content, cls.version)
        return cls.of_json(content, folder)

    def _as_json(self) -> dict[str, Any]:
        sides = {name: side.as_json() for name, side in self.sides().items()}
        return {"processor_version": self.version, **sides, **self.further()}
