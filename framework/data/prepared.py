"""What preparing data gives, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from framework.data.batches import Batches
from framework.data.processor import Processor
from framework.errors import DataError, InputError, Problem
from framework.spec.data import DataSpec


@dataclass(frozen=True)
class Example:
    """One piece of raw input with what it should become.

    Attributes:
        inputs: by the names that a task's ``predict`` reads.
        references: every right answer, such as all the translations of a sentence.
        name: what people call it; what it is, where it is text.
        regions: of an image, where the things lie that answers name: left, top, right and bottom in shares of its width and height.
    """

    inputs: Mapping[str, Any]
    references: tuple[Any, ...]
    name: str = ""
    regions: Mapping[str, tuple[float, float, float, float]] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """Its name, or its inputs as text."""
        return self.name or " / ".join(str(value) for value in self.inputs.values())


@dataclass(frozen=True)
class PreparedData:
    """Data that is ready to be trained on.

    Attributes:
        sizes: numbers that the model's ``${size:NAME}`` stand for.
        digest: SHA-256 of everything read and of every setting that shapes the batches, 64 hexadecimal digits. The seed is no
            part of it.
        processor: from raw input to the model's and back.
        splits: batches by the name of their part: ``train``, ``validation`` where something is held out, perhaps ``test``. All but
            those to train on come in order.
        tokens: tokens read, of all parts.
        source: where the data came from, for people.
        figures: numbers about the data that a task's metrics are made with, such as ``characters_per_token``.
        examples: raw input with what it should become, by split, where the kind of data has such.
        opening: the first words to train on, where that is running text.
    """

    sizes: dict[str, int]
    digest: str
    processor: Processor
    splits: Mapping[str, Batches]
    tokens: int
    source: str
    figures: Mapping[str, float] = field(default_factory=dict)
    examples: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    opening: str = ""

    @property
    def train(self) -> Batches:
        """Batches to train on."""
        return self.splits["train"]

    @property
    def validation(self) -> Batches | None:
        """Batches to validate on; None where nothing is held out."""
        return self.splits.get("validation")

    def split(self, name: str) -> Batches:
        """The batches of one part.

        Raises:
            InputError: there is no part of that name.
        """
        if name not in self.splits:
            raise InputError(f"the data has no part '{name}', only {', '.join(self.splits)}")
        return self.splits[name]


def check_declared_sizes(spec: DataSpec, sizes: Mapping[str, int]) -> None:
    """Hold the real sizes against those that the config declares.

    Raises:
        DataError: a declared size differs from the real one, or there is no size of that name.
    """
    for name, declared in spec.known_sizes().items():
        key = f"data.declared_sizes.{name}"
        if name not in sizes:
            raise DataError(Problem(key, f"data of kind '{spec.kind}' has no size '{name}'", expected="one of " + ", ".join(sizes)))
        if sizes[name] != declared:
            # The model's size counts [UNK], the declaration does not: advise in the declaration's own terms.
            right = sizes[name] - declared + spec.declared_sizes.get(name, declared)
            raise DataError(
                Problem(
                    path=key,
                    message=f"the data's size '{name}' is {sizes[name]:,}, but {declared:,} by the config",
                    value=str(spec.declared_sizes.get(name, declared)),
                    hint=f"set {key}={right} if this is the data that is meant, or take the declaration out with '~{key}'",
                )
            )
