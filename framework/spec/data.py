"""What a run reads: the kinds of data and their settings."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from framework.registry import Registry
from framework.spec.base import Spec
from framework.spec.problems import ProblemCollector, render

UNKNOWN_TOKEN = "[UNK]"


class DataSpec(Spec):
    """What every kind of data shares.

    Sizes such as the vocabulary's reach the model as ``${size:NAME}``.
    """

    size_names: ClassVar[tuple[str, ...]] = ()
    """Names of the sizes that preparing this data provides."""

    places: ClassVar[tuple[str, ...]] = ()
    """Settings that say where the data lies, not what it is: a run may go on where the same data lies elsewhere."""

    sources: ClassVar[tuple[str, ...]] = ()
    """Settings that name what is read. Each takes the place of the others where a trained run is given other data to read."""

    own: ClassVar[str] = "data.path=FILE"
    """How a command line names files of one's own."""

    further: ClassVar[tuple[str, ...]] = ()
    """Settings that name files of further parts, which are left out where a trained run is given other data to read."""

    shapes: ClassVar[tuple[str, ...]] = ("batch_size",)
    """Settings that say how other data is read and cut, which may be given anew with it."""

    kind: str
    """Name of the kind of data."""

    batch_size: int = Field(64, gt=0)
    """Rows of a batch."""

    drop_remainder: bool = True
    """Leave out a last batch that is not full."""

    validation_fraction: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of the data, from its end and in order, that is held out for validation."""

    declared_sizes: dict[str, Annotated[int, Field(gt=0)]] = {}
    """Sizes known without reading the data, for ``explain`` and ``check``; preparing fails if the real ones differ."""

    @property
    def at_hand(self) -> bool:
        """Whether it can be read without a download."""
        return not self.fetched()

    @property
    def quick(self) -> bool:
        """Whether preparing it takes seconds, so that it may be done to tell its sizes."""
        return True

    @property
    def validates(self) -> bool:
        """Whether something is held out for validation."""
        return self.validation_fraction > 0

    def fetched(self) -> tuple[DownloadSpec, ...]:
        """The downloads that are read."""
        return ()

    def check(self, collector: ProblemCollector) -> None:
        """Adds a problem for every rule between its settings that is broken."""

    def whole(self) -> dict[str, object]:
        """Settings under which all of other data is one part: nothing held out, nothing left out at the end."""
        return {"validation_fraction": 0.0}

    def never_reproduces(self) -> dict[str, object]:
        """Settings under which no run counts as a reproduction of anything, by key."""
        return {}

    def known_sizes(self) -> dict[str, int]:
        """The sizes that this config alone tells."""
        return dict(self.declared_sizes)

    def known_lengths(self) -> dict[str, int]:
        """Steps of a batch's model inputs by name, of the longest one, as far as this config alone tells them."""
        return {}


class DownloadSpec(Spec):
    """A file to fetch once and check."""

    url: str = Field(pattern=r"^https?://")
    """Address of the file."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Checksum that the file must have."""

    filename: str
    """Path below the data folder, where the file is looked for before it is fetched."""

    @property
    def checked(self) -> str | None:
        """File of an archive that has the checksum; None: the file itself has it."""
        return None


class ArchiveSpec(DownloadSpec):
    """A file to fetch once and check, or a zip archive of which one file is read."""

    member: str | None = None
    """Name of the file within the archive; it, not the archive, has the checksum, as archives of the same files may differ."""

    @property
    def checked(self) -> str | None:
        """``member``."""
        return self.member


class TextDataSpec(DataSpec):
    """Running text, cut into windows of tokens for a language model.

    The text comes from ``path``, or else from the named ``corpus``, or else from the ``download``.
    """

    size_names: ClassVar[tuple[str, ...]] = ("tokens",)
    places: ClassVar[tuple[str, ...]] = ("path", "download.url", "download.filename")
    sources: ClassVar[tuple[str, ...]] = ("path", "corpus")
    shapes: ClassVar[tuple[str, ...]] = ("encoding", "batch_size", "sequence_length")

    kind: Literal["text"] = "text"

    path: str | Annotated[list[str], Field(min_length=1)] | None = None
    """File, folder or glob of text files, each read in the order of the names; or a list of these, read as given."""

    corpus: str | None = None
    """Name of a registered corpus, such as ``python_source``, which needs no download."""

    download: DownloadSpec | None = None
    """A text file to fetch once."""

    encoding: str = "utf-8"
    """Encoding of the files."""

    level: Literal["character", "word"] = "character"
    """What a token is."""

    lowercase: bool = False
    """Lower the text's case first."""

    max_tokens: int | None = Field(None, gt=1)
    """Use at most this many tokens from the start of the text. The vocabulary is still the whole text's."""

    sequence_length: int = Field(100, gt=0)
    """Tokens of a window; the target is the window moved on by one token."""

    order: Literal["shuffled", "contiguous"] = "shuffled"
    """shuffled: windows in a new random order each epoch; contiguous: row i of a batch goes on in row i of the next."""

    shuffle_buffer: int | None = Field(None, gt=0)
    """Draw the next window among this many, as ``tf.data``'s shuffle does; null: among all that are left of the epoch."""

    unknown: Literal["error", "replace"] = "error"
    """What a token outside the vocabulary does: an error that names it, or ``[UNK]``, which then is token 0."""

    max_vocabulary: int | None = Field(None, gt=1)
    """Keep only the most frequent tokens; needs ``unknown: replace``. ``[UNK]`` is not counted."""

    declared_sizes: dict[str, Annotated[int, Field(gt=0)]] = {}
    """``tokens``: different tokens of the declared text, ``[UNK]`` not counted."""

    def fetched(self) -> tuple[DownloadSpec, ...]:
        """The download, where neither a path nor a corpus takes its place."""
        return () if self.download is None or self.path is not None or self.corpus is not None else (self.download,)

    def check(self, collector: ProblemCollector) -> None:
        """Rules between the settings."""
        if self.path is None and self.corpus is None and self.download is None:
            collector.add("data.path", "is missing", expected="a file, folder or glob of text files", hint="or choose data=python_source")
        if self.max_vocabulary is not None and self.unknown != "replace":
            collector.add(
                "data.max_vocabulary",
                "tokens left out of the vocabulary have nowhere to go",
                value=render(self.max_vocabulary),
                hint="set data.unknown=replace",
            )
        if self.shuffle_buffer is not None and self.order != "shuffled":
            collector.add(
                "data.shuffle_buffer",
                "contiguous windows are not shuffled",
                value=render(self.shuffle_buffer),
                hint="set data.order=shuffled, or leave data.shuffle_buffer out",
            )

    def whole(self) -> dict[str, object]:
        """Nothing held out, and no limit to the tokens."""
        return {**super().whole(), "max_tokens": None}

    def known_sizes(self) -> dict[str, int]:
        """``tokens`` as declared, ``[UNK]`` counted; nothing when ``path`` replaces the declared text."""
        if self.path is not None or "tokens" not in self.declared_sizes:
            return {}
        tokens = self.declared_sizes["tokens"]
        if self.max_vocabulary is not None:
            tokens = min(tokens, self.max_vocabulary)
        return {"tokens": tokens + (self.unknown == "replace")}

    def known_lengths(self) -> dict[str, int]:
        """``sequence_length``."""
        return {"tokens": self.sequence_length}


DATA_KINDS: Registry[type[DataSpec]] = Registry("data.kind", "kind of data")
"""Kinds of data by name."""
DATA_KINDS.add("text", TextDataSpec)
