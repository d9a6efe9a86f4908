"""Running text for a language model: from a config to batches."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from framework.data.batches import Batches
from framework.data.corpus import CORPORA
from framework.data.download import find_download
from framework.data.files import find_files
from framework.data.places import first_places
from framework.data.prepared import PreparedData, check_declared_sizes
from framework.data.processor import TextProcessor
from framework.data.reading import read_files
from framework.data.stream import Tokens, read_tokens
from framework.data.vocabulary import UnknownTokens, Vocabulary
from framework.data.windows import ContiguousWindows, ShuffledWindows
from framework.errors import DataError, Problem
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec

OFFLINE = "data=python_source"
"""Override that chooses a text without download."""

_LOOKED_AT = 1000
_LONGEST_OPENING = 30
"""Tokens that are looked at for the text's first words, and characters of these at most."""

_DIGEST_VERSION = 1
"""To be raised with any change to how the same tokens are put into batches."""


def prepare_text(spec: TextDataSpec, paths: PathsSpec, seed: int | None, processor: TextProcessor | None = None) -> PreparedData:
    """Read the text, number its tokens and cut it into windows.

    The text is held once, as token numbers of 1, 2 or 4 bytes; windows are views of it, and batches are made when asked for.

    Args:
        spec: what to read and how to cut it.
        paths: where data sets and downloads lie.
        seed: of the windows' order; None: the text's own.
        processor: numbers the tokens, in place of one made of the text.

    Returns:
        Batches with input ``tokens: (batch, sequence_length) int32`` and targets ``(batch, sequence_length) int32``; the size
        ``tokens`` counts ``[UNK]`` where there is one. ``drop_remainder`` says nothing about contiguous batches, which are full.

    Raises:
        UnknownTokens: ``processor`` lacks tokens of the text; they and their places are named.
        DataError: the text is missing, unreadable, empty or too short, has nothing but one token again and again, or has another vocabulary
            than the config declares.
    """
    text, source = _find_text(spec, paths)
    known = None if processor is None else processor.vocabulary
    try:
        vocabulary, stream = read_tokens(read_files(text, spec.encoding) if isinstance(text, list) else text, spec, known)
    except UnknownTokens as error:
        places = first_places(_parts(spec, paths), error.tokens, spec.level, spec.lowercase)
        raise UnknownTokens(error.tokens, error.vocabulary, places) from error
    _check_choice(vocabulary)
    sizes = {"tokens": vocabulary.size}
    check_declared_sizes(spec, sizes)
    border = int(stream.size * (1.0 - spec.validation_fraction))
    train, validation = stream[:border], stream[border:]
    _check_length(train, "training", spec)
    if spec.validation_fraction > 0:
        _check_length(validation, "validation", spec)
    return PreparedData(
        sizes=sizes,
        digest=_digest(spec, vocabulary, stream),
        processor=TextProcessor(vocabulary),
        splits={
            "train": _batches(train, spec, seed),
            **({"validation": _batches(validation, spec, None)} if spec.validation_fraction > 0 else {}),
        },
        tokens=int(stream.size),
        source=source,
        figures={"characters_per_token": _characters_per_token(vocabulary, stream)},
        opening=_opening(vocabulary, train),
    )


def _find_text(spec: TextDataSpec, paths: PathsSpec) -> tuple[list[Path] | Iterable[str], str]:
    """The files with the text, or the text itself in pieces; and where it comes from, for people.

    Raises:
        DataError: nothing says where the text is, or it is not there.
    """
    if spec.path is not None:
        files = find_files(spec.path)
        return files, _describe(files)
    if spec.corpus is not None:
        text = CORPORA.named(spec.corpus)()
        return find_files(text) if isinstance(text, Path) else text, f"corpus {spec.corpus}"
    if spec.download is not None:
        file = find_download(spec.download, paths, OFFLINE)
        return [file], str(file)
    hint = f"set data.path=FILE, or choose {OFFLINE}"
    raise DataError(Problem("data.path", "is missing", expected="a file, folder or glob of text files", hint=hint))


def _parts(spec: TextDataSpec, paths: PathsSpec) -> list[tuple[str, Iterable[str]]]:
    """Each file's name and its text; an empty name for a text that is in no file."""
    text, _ = _find_text(spec, paths)
    return [(str(file), read_files([file], spec.encoding)) for file in text] if isinstance(text, list) else [("", text)]


def _opening(vocabulary: Vocabulary, stream: Tokens) -> str:
    """The first words of the first line that has any; all of its tokens are in the vocabulary."""
    unknown = stream[:_LOOKED_AT] == (vocabulary.unknown_id if vocabulary.unknown else -1)
    known = stream[:_LOOKED_AT][~unknown]
    lines = vocabulary.decode(known.tolist()).splitlines()
    line = next((line.strip() for line in lines if line.strip()), "")
    words = re.match(r"\S+(?: +\S+){0,2}", line)
    return words[0][:_LONGEST_OPENING].rstrip() if words else ""


def _characters_per_token(vocabulary: Vocabulary, stream: Tokens) -> float:
    """``[UNK]`` counts as one character: what it stands for is not known any more."""
    if vocabulary.level == "character":
        return 1.0
    lengths = [1 if number == vocabulary.unknown_id else len(token) for number, token in enumerate(vocabulary.tokens)]
    return float(np.bincount(stream, minlength=vocabulary.size) @ np.array(lengths)) / stream.size


def _describe(files: list[Path]) -> str:
    return str(files[0]) if len(files) == 1 else f"{len(files):,} files, {files[0]} to {files[-1]}"


def _batches(stream: Tokens, spec: TextDataSpec, seed: int | None) -> Batches:
    if spec.order == "contiguous":
        return ContiguousWindows(stream, spec.sequence_length, spec.batch_size)
    return ShuffledWindows(stream, spec.sequence_length, spec.batch_size, spec.drop_remainder, seed, spec.shuffle_buffer)


def _check_choice(vocabulary: Vocabulary) -> None:
    """Two tokens at least: what can only be one thing need not be predicted."""
    if vocabulary.size < 2:
        message = f"the text is nothing but {vocabulary.tokens[0]!r}, again and again: there is nothing to predict"
        raise DataError(Problem("data", message, expected="two different tokens at least", hint="give other text"))


def _check_length(stream: Tokens, part: str, spec: TextDataSpec) -> None:
    """One batch at least; where short batches are allowed, one window."""
    if _batches(stream, spec, None).steps:
        return
    rows = spec.batch_size if spec.order == "contiguous" or spec.drop_remainder else 1
    needed = rows * spec.sequence_length + 1 if spec.order == "contiguous" else rows * (spec.sequence_length + 1)
    ways = ["lower data.batch_size or data.sequence_length", "or give more text"]
    if spec.validation_fraction > 0:
        ways.insert(1, "change data.validation_fraction")
    if spec.max_tokens is not None:
        ways.insert(1, "raise data.max_tokens")
    length = f"{spec.sequence_length} tokens" + ("" if spec.order == "contiguous" else " and the one after them")
    problem = Problem(
        path="data",
        message=f"the text is too short: it gives {stream.size:,} tokens for {part}, which needs at least {needed:,}",
        expected=f"{'one window' if rows == 1 else f'{rows} windows'} of {length}",
        hint=", ".join(ways),
    )
    raise DataError(problem)


def _digest(spec: TextDataSpec, vocabulary: Vocabulary, stream: Tokens) -> str:
    settings = spec.model_dump(include={"batch_size", "drop_remainder", "validation_fraction", "sequence_length", "order"})
    if spec.shuffle_buffer is not None:
        settings["shuffle_buffer"] = spec.shuffle_buffer
    head = {"version": _DIGEST_VERSION, "tokens": vocabulary.tokens, "level": vocabulary.level, "settings": settings}
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode("ascii"))
    # The type follows from the number of different tokens, so the same text gives the same bytes.
    digest.update(np.ascontiguousarray(stream, stream.dtype.newbyteorder("<")).data)
    return digest.hexdigest()
