"""A kind of data: a CSV file of phrases and their labels; letters become numbers, padded with 0."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from framework.plugin import Batch, DataError, DataSpec, Example, PathsSpec, PreparedData, Problem, data_kind

FILE = "tones.json"


class PhrasesSpec(DataSpec):
    """Phrases with labels."""

    size_names: ClassVar[tuple[str, ...]] = ("letters", "labels")
    places: ClassVar[tuple[str, ...]] = ("path",)
    sources: ClassVar[tuple[str, ...]] = ("path",)

    kind: Literal["phrases"] = "phrases"
    path: str
    """A CSV file with the columns phrase and label."""


@dataclass(frozen=True)
class PhrasesProcessor:
    """Letters and labels by number."""

    letters: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def sizes(self) -> Mapping[str, int]:
        return {"letters": len(self.letters) + 2, "labels": len(self.labels)}  # 0 pads, 1 stands for other letters

    @property
    def banned(self) -> tuple[int, ...]:
        return ()

    def encode(self, phrases: Sequence[str]) -> np.ndarray:
        """``(rows, longest) int32``, 0 at the end of shorter ones."""
        numbers = {letter: number for number, letter in enumerate(self.letters, start=2)}
        rows = [[numbers.get(letter, 1) for letter in phrase.lower()] for phrase in phrases]
        return np.array([row + [0] * (max(map(len, rows)) - len(row)) for row in rows], np.int32)

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps({"letters": self.letters, "labels": self.labels}), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> PhrasesProcessor:
        try:
            found = json.loads((folder / FILE).read_text(encoding="utf-8"))
            return cls(tuple(found["letters"]), tuple(found["labels"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder / FILE} cannot be read: {error!r}") from error


@dataclass(frozen=True, eq=False)
class PhraseBatches:
    """Rows in an order drawn anew each epoch; without a seed, in the file's."""

    rows: Sequence[tuple[str, str]]
    processor: PhrasesProcessor
    batch_size: int
    seed: int | None

    @property
    def steps(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        count = len(self.rows)
        order = np.arange(count) if self.seed is None else np.random.default_rng((self.seed, epoch)).permutation(count)
        for step in range(start, self.steps):
            chosen = [self.rows[index] for index in order[step * self.batch_size : (step + 1) * self.batch_size]]
            targets = np.array([self.processor.labels.index(label) for _, label in chosen], np.int32)
            yield Batch({"letters": self.processor.encode([phrase for phrase, _ in chosen])}, targets)


@data_kind(PhrasesSpec, PhrasesProcessor)
def prepare_phrases(spec: PhrasesSpec, paths: PathsSpec, seed: int | None, processor: PhrasesProcessor | None = None) -> PreparedData:
    """Every tenth row is for the test, of the others the last ``validation_fraction`` for validation."""
    try:
        with Path(spec.path).open(encoding="utf-8", newline="") as file:
            rows = [(row["phrase"], row["label"]) for row in csv.DictReader(file)]
    except (OSError, KeyError) as error:
        raise DataError(Problem("data.path", f"cannot be read: {error!r}", expected="a CSV file with phrase and label")) from error
    test, others = rows[::10], [row for number, row in enumerate(rows) if number % 10]
    border = round(len(others) * (1 - spec.validation_fraction))
    train, validation = others[:border], others[border:]
    known = processor or PhrasesProcessor(
        tuple(sorted({letter for phrase, _ in train for letter in phrase.lower()})), tuple(sorted({label for _, label in rows}))
    )
    parts = {"train": train, "validation": validation, "test": test}
    return PreparedData(
        sizes=dict(known.sizes),
        digest=hashlib.sha256(json.dumps([rows, spec.batch_size, spec.validation_fraction]).encode()).hexdigest(),
        processor=known,
        splits={
            name: PhraseBatches(part, known, spec.batch_size, seed if name == "train" else None) for name, part in parts.items() if part
        },
        tokens=sum(len(phrase) for phrase, _ in rows),
        source=spec.path,
        examples={name: [Example({"phrase": phrase}, (label,)) for phrase, label in part] for name, part in parts.items() if part},
    )
