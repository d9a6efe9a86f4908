"""Where the pairs that a config means are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from framework.data.corpus import CORPORA
from framework.data.download import find_download
from framework.data.files import find_file
from framework.data.packed import PackedText, text_file
from framework.data.parallel.build import PartText
from framework.data.parallel.pairs_text import Aligned, Columns, PairsText
from framework.errors import DataError, Problem
from framework.spec.experiment import PathsSpec
from framework.spec.parallel_text import PairFilesSpec, ParallelTextDataSpec

OFFLINE = "data=dates"
"""Override that chooses pairs without a download."""


def find_texts(spec: ParallelTextDataSpec, paths: PathsSpec) -> list[PartText]:
    """The texts to read: first that whose pairs the parts are drawn from, then those of parts with files of their own.

    Raises:
        DataError: nothing says where they are, a file is not there, or cannot be fetched.
    """
    found = [PartText(None, _main(spec, paths))]
    for name, files in (("validation", spec.validation), ("test", spec.test)):
        if files is not None:
            found.append(PartText(name, _of_files(files, spec, paths, f"data.{name}")))
    return found


def _main(spec: ParallelTextDataSpec, paths: PathsSpec) -> PairsText:
    if spec.path is None and spec.source_path is None:
        if spec.corpus is not None:
            text = CORPORA.named(spec.corpus)()
            return _columns(text_file(text, spec.member, "data.member") if isinstance(text, Path) else _Again(spec.corpus), spec)
        if spec.download is None:
            hint = f"set data.path=FILE, or choose {OFFLINE}"
            raise DataError(Problem("data.path", "is missing", expected="a file with a pair of sentences a line", hint=hint))
        return _columns(text_file(find_download(spec.download, paths, OFFLINE), spec.download.member, "data.download.member"), spec)
    files = PairFilesSpec(path=spec.path, member=spec.member, source_path=spec.source_path, target_path=spec.target_path)
    return _of_files(files, spec, paths, "data")


def _of_files(files: PairFilesSpec, spec: ParallelTextDataSpec, paths: PathsSpec, key: str) -> PairsText:
    if files.path is not None:
        return _columns(text_file(find_file(files.path, f"{key}.path"), files.member, f"{key}.member"), spec)
    assert files.source_path is not None and files.target_path is not None
    return Aligned(
        _file(files.source_path, spec, paths, f"{key}.source_path"),
        _file(files.target_path, spec, paths, f"{key}.target_path"),
    )


def _file(path: str, spec: ParallelTextDataSpec, paths: PathsSpec, key: str) -> Path | PackedText:
    """A file of lines; one of those to be fetched, if it has its name."""
    download = next((one for one in spec.downloads if one.filename == path), None)
    return text_file(find_file(path, key) if download is None else find_download(download, paths, OFFLINE), None, key)


def _columns(text: Path | PackedText | _Again, spec: ParallelTextDataSpec) -> Columns:
    return Columns(text, str(text), spec.source_column, spec.target_column)


class _Again:
    """A corpus' text in pieces, from its start each time it is read.

    Args:
        corpus: its name.
    """

    def __init__(self, corpus: str) -> None:
        self._corpus = corpus

    def __str__(self) -> str:
        return f"corpus {self._corpus}"

    def __iter__(self) -> Iterator[str]:
        text = CORPORA.named(self._corpus)()
        assert not isinstance(text, Path)
        return iter(text)
