"""Sentences in one language with their translations into another."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from framework.spec.base import Spec
from framework.spec.cleaning import CLEANINGS, Cleaning
from framework.spec.data import DATA_KINDS, ArchiveSpec, DataSpec, DownloadSpec
from framework.spec.problems import ProblemCollector, render
from framework.spec.sentences import VocabularySpec, check_vocabulary


class PairFilesSpec(Spec):
    """Files of a part of its own, such as those to validate on."""

    path: str | None = None
    """A file with both languages in columns."""

    member: str | None = None
    """Name of the file within ``path``, where that is a zip archive."""

    source_path: str | None = None
    """A file with a sentence a line, plain or ``.gz``."""

    target_path: str | None = None
    """Its translations, line by line."""


class PairVocabularySpec(VocabularySpec):
    """Those of both languages."""

    shared: bool = False
    """One vocabulary for both languages."""


class SplitSpec(Spec):
    """How pairs are held out."""

    group_by: Literal["source", "none"] = "source"
    """source: all translations of a sentence lie in one part; none: only equal pairs do, so that held-out sentences may be known."""

    seed: int = Field(0, ge=0, lt=2**32)
    """Draws the parts; apart from the run's seed, so that runs with other seeds are measured on the same sentences."""


class ParallelTextDataSpec(DataSpec):
    """Pairs of sentences: one to read and its translation.

    They come from ``path`` or from ``source_path`` with ``target_path``, or else from the named ``corpus``, or else from the ``download``.
    """

    size_names: ClassVar[tuple[str, ...]] = ("source", "target")
    places: ClassVar[tuple[str, ...]] = (
        "path",
        "source_path",
        "target_path",
        "validation.path",
        "validation.source_path",
        "validation.target_path",
        "test.path",
        "test.source_path",
        "test.target_path",
        "download.url",
        "download.filename",
        "downloads",
    )
    sources: ClassVar[tuple[str, ...]] = ("path", "source_path", "target_path", "corpus")
    further: ClassVar[tuple[str, ...]] = ("validation", "test")
    shapes: ClassVar[tuple[str, ...]] = (
        "batch_size",
        "batch_tokens",
        "encoding",
        "max_malformed",
        "member",
        "pad_to",
        "source_column",
        "target_column",
    )

    kind: Literal["parallel_text"] = "parallel_text"

    path: str | None = None
    """File with a pair a line, in columns that tabs divide; plain, ``.gz``, or a member of a zip archive."""

    member: str | None = None
    """Name of the file within ``path``, where that is a zip archive that holds several."""

    source_column: int = Field(1, ge=1)
    """Column of the sentence to read, counted from 1. Other columns are not read."""

    target_column: int = Field(2, ge=1)
    """Column of its translation, counted from 1."""

    source_path: str | None = None
    """File with a sentence to read a line, plain or ``.gz``."""

    target_path: str | None = None
    """File with their translations, line by line."""

    corpus: str | None = None
    """Name of a registered corpus of lines in columns, such as ``dates``, which needs no download."""

    validation: PairFilesSpec | None = None
    """Files to validate on, in place of a ``validation_fraction``."""

    test: PairFilesSpec | None = None
    """Files to test on, in place of a ``test_fraction``."""

    download: ArchiveSpec | None = None
    """A file in columns to fetch once."""

    downloads: list[DownloadSpec] = []
    """Files to fetch once: what ``source_path``, ``target_path`` and those of other parts name by their ``filename``."""

    encoding: str = "utf-8"
    """Encoding of the files."""

    max_malformed: float = Field(0.01, ge=0.0, le=1.0)
    """Share of the lines that may be no pairs, for lack of a column or of text; they are left out and named. More are an error."""

    max_pairs: int | None = Field(None, gt=0)
    """Use only this many pairs, from the start of the file."""

    cleaning: Cleaning = Field(default_factory=lambda: list(CLEANINGS["words"]))
    """What is done to each sentence first: a name, or a list of steps."""

    source_cleaning: Cleaning | None = None
    """Likewise for the sentences to read, where it differs."""

    target_cleaning: Cleaning | None = None
    """Likewise for the translations, where it differs."""

    vocabulary: PairVocabularySpec = PairVocabularySpec()
    """From sentences to tokens."""

    max_length: int | None = Field(None, gt=0)
    """Leave pairs out of the training that have more tokens than this on a side, the two markers not counted."""

    validation_fraction: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of the pairs, drawn at random, that is held out for validation."""

    test_fraction: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of the pairs, drawn at random, that is held out for a test."""

    split: SplitSpec = SplitSpec()
    """How they are drawn."""

    order: Literal["shuffled", "buckets"] = "shuffled"
    """shuffled: pairs in a new random order each epoch; buckets: pairs of like length together, the batches in a new random order."""

    batch_tokens: int | None = Field(None, gt=0)
    """Tokens of a batch at most, in place of ``batch_size``: its rows times its longest sentence on either side; for ``buckets``."""

    pad_to: Literal["batch", "longest"] = "batch"
    """How long a batch is: as its longest sentence, or as the longest of all the data."""

    drop_remainder: bool = True
    """Leave out a last batch of the training that is not full; held-out parts are read whole."""

    declared_sizes: dict[str, Annotated[int, Field(gt=0)]] = {}
    """``source`` and ``target``: tokens of the vocabularies, the special ones counted."""

    declared_lengths: dict[Literal["source", "target"], Annotated[int, Field(gt=1)]] = {}
    """``source`` and ``target``: tokens of the longest sentences, start and end counted; for ``explain``, and likewise checked."""

    @property
    def validates(self) -> bool:
        """Whether something is held out for validation."""
        return self.validation is not None or self.validation_fraction > 0

    def fetched(self) -> tuple[DownloadSpec, ...]:
        """The downloads that are read."""
        if self.path is None and self.source_path is None and self.corpus is None and self.download is not None:
            return (self.download,)
        named = {self.source_path, self.target_path}
        for part in (self.validation, self.test):
            if part is not None:
                named |= {part.source_path, part.target_path}
        return tuple(one for one in self.downloads if one.filename in named)

    def whole(self) -> dict[str, object]:
        """Nothing held out or left out."""
        held_out = {"test_fraction": 0.0, "validation": None, "test": None}
        return {**super().whole(), **held_out, "max_pairs": None, "max_length": None, "drop_remainder": False}

    def known_sizes(self) -> dict[str, int]:
        """As declared; nothing when other files replace those to be fetched, of which it is said."""
        replaced = (self.download is not None or self.downloads) and not self.fetched()
        return {} if replaced else super().known_sizes()

    def known_lengths(self) -> dict[str, int]:
        """As declared, where the sizes are. A step reads a token of the target and makes the next: there is one step less."""
        declared = self.declared_lengths if set(self.known_sizes()) >= set(self.size_names) else {}
        return {str(name): length - (name == "target") for name, length in declared.items()}

    def check(self, collector: ProblemCollector) -> None:
        """Rules between the settings."""
        self._check_places(collector)
        self._check_parts(collector)
        held_out = self.validates or self.test is not None or self.test_fraction > 0
        check_vocabulary(self.vocabulary, held_out, collector)
        if self.source_column == self.target_column:
            collector.add("data.target_column", "is the source's column too", value=render(self.target_column), expected="another one")
        if self.batch_tokens is not None and self.order != "buckets":
            message = "shuffled pairs are too different in length to be counted by tokens"
            collector.add("data.batch_tokens", message, value=render(self.batch_tokens), hint="set data.order=buckets")

    def _check_places(self, collector: ProblemCollector) -> None:
        lines = self.source_path is not None or self.target_path is not None
        if self.path is None and not lines and self.corpus is None and self.download is None:
            hint = "or data.source_path=FILE with data.target_path=FILE for two aligned files; data=dates needs no file"
            collector.add("data.path", "is missing", expected="a file with a pair of sentences a line, in columns", hint=hint)
        if self.path is not None and lines:
            hint = "set data.source_path=null data.target_path=null, or data.path=null"
            collector.add("data.path", "is given beside source_path and target_path", value=render(self.path), hint=hint)
        _check_lines(collector, "data", self.source_path, self.target_path)
        for name, part in (("validation", self.validation), ("test", self.test)):
            if part is None:
                continue
            _check_lines(collector, f"data.{name}", part.source_path, part.target_path)
            named = part.source_path is not None or part.target_path is not None
            if (part.path is not None) == named:
                message = "is missing" if not named else "is given beside source_path and target_path"
                expected = "a path, or a source_path and a target_path"
                collector.add(f"data.{name}.path", message, expected=expected, hint=f"data.{name}=null has no such files")

    def _check_parts(self, collector: ProblemCollector) -> None:
        fractions = (("validation", self.validation, self.validation_fraction), ("test", self.test, self.test_fraction))
        for name, part, fraction in fractions:
            if part is not None and fraction > 0:
                message = f"data.{name} names files for this part already"
                collector.add(f"data.{name}_fraction", message, value=render(fraction), expected="0.0", hint=f"or set data.{name}=null")
        if self.validation_fraction + self.test_fraction >= 1:
            message = f"nothing is left to train on beside a validation_fraction of {self.validation_fraction:g}"
            collector.add("data.test_fraction", message, value=render(self.test_fraction))


def _check_lines(collector: ProblemCollector, key: str, source: str | None, target: str | None) -> None:
    """Two aligned files or none."""
    for name, other, there, missing in (("target", "source", source, target), ("source", "target", target, source)):
        if there is not None and missing is None:
            expected = f"the file whose lines go with those of {other}_path"
            collector.add(f"{key}.{name}_path", "is missing", expected=expected)


DATA_KINDS.add("parallel_text", ParallelTextDataSpec)
