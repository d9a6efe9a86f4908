"""A look at the files that a config names, as far as it costs no time: are they there, are they text, do they suffice."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from framework.data.captions.prepare import gather_captions
from framework.data.captions.split import caption_parts
from framework.data.files import find_files
from framework.data.packed import PackedText
from framework.data.parallel.pairs_text import Aligned, LeftOut, read_pairs
from framework.data.parallel.places import find_texts
from framework.data.prepare import prepare
from framework.data.reading import read_files
from framework.data.sentences.cleaning import Cleaning
from framework.errors import DataError, Problem
from framework.spec.captions import CaptionsDataSpec
from framework.spec.data import DataSpec, TextDataSpec
from framework.spec.experiment import PathsSpec
from framework.spec.parallel_text import ParallelTextDataSpec
from framework.spec.problems import ProblemCollector

_WHOLE = 2**22
"""Bytes of text that are read and numbered as for a training; of longer texts only so many characters are looked at."""


def look(spec: DataSpec, paths: PathsSpec) -> list[Problem]:
    """What is wrong with the files that a config names; nothing of data that is no file, or of a kind that nobody looks at.

    Args:
        spec: an experiment's ``data``, none of which is to be fetched.
        paths: an experiment's ``paths``.
    """
    looks: dict[str, Callable[[Any, PathsSpec], None]] = {
        "text": _look_at_text,
        "parallel_text": _look_at_pairs,
        "captions": _look_at_captions,
    }
    try:
        if spec.kind in looks:
            looks[spec.kind](spec, paths)
    except DataError as error:
        return [error.problem or Problem("data.path", str(error))]
    except OSError as error:
        return [Problem("data.path", f"'{error.filename}' cannot be read: {error.strerror}")]
    return []


def _look_at_text(spec: TextDataSpec, paths: PathsSpec) -> None:
    if spec.path is None:
        return
    files = find_files(spec.path)
    if sum(file.stat().st_size for file in files) <= _WHOLE:
        prepare(spec, paths, 0)
    else:
        _read_some(len(piece) for piece in read_files(files, spec.encoding))


def _look_at_pairs(spec: ParallelTextDataSpec, paths: PathsSpec) -> None:
    rules = ProblemCollector()
    spec.check(rules)
    if spec.corpus is not None or rules.problems:  # which are told by themselves
        return
    texts = [one.text for one in find_texts(spec, paths)]
    files = [file for text in texts for file in ((text.source, text.target) if isinstance(text, Aligned) else (text.text,))]
    if sum(_bytes(file) for file in files) <= _WHOLE:
        with tempfile.TemporaryDirectory() as folder:  # nothing is to be left in the cache
            prepare(spec, paths.model_copy(update={"cache_dir": folder}), 0)
        return
    for text in texts:
        left_out = LeftOut(text.name, spec.max_malformed)
        _read_some(len(source) + len(target) for _, source, target in read_pairs(text, spec.encoding, left_out))


def _look_at_captions(spec: CaptionsDataSpec, paths: PathsSpec) -> None:
    """Captions, lists, and whether the images are there; not into the images."""
    rules = ProblemCollector()
    spec.check(rules)
    if spec.corpus is None and not rules.problems:
        caption_parts(gather_captions(spec, paths, Cleaning.of(spec.cleaning))[0], spec)


def _bytes(file: object) -> int:
    assert isinstance(file, (Path, PackedText))
    return (file if isinstance(file, Path) else file.path).stat().st_size


def _read_some(lengths: Iterable[int]) -> None:
    """Reads on until enough characters were looked at."""
    read = 0
    for length in lengths:
        read += length
        if read > _WHOLE:
            return
