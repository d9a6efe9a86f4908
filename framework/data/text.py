"""Running text for a language model: from a config to batches."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

from framework.data.batches import Batches
from framework.data.corpus import CORPORA
from framework.data.download import find_download
from framework.data.files import find_files
from framework.data.numbered_text import NumberedText
from framework.data.places import first_places
from framework.data.prepared import PreparedData, check_declared_sizes
from framework.data.processor import TextProcessor
from framework.data.stream import Tokens, read_tokens
from framework.data.text_source import CorpusText, FileText, TextSource
from framework.data.token_file import kept_tokens
from framework.data.vocabulary import UnknownTokens, Vocabulary
from framework.data.windows import ContiguousWindows, ShuffledWindows
from framework.errors import DataError, Problem
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec

OFFLINE = "data=python_source"
"""Override that chooses a text without download."""

IN_MEMORY = 2**25
"""Bytes of a text (characters, if it is in no file) whose tokens are held in memory; those of a longer one lie in a file in the cache."""

_LOOKED_AT = 1000
_LONGEST_OPENING = 30
"""Tokens that are looked at for the text's first words, and characters of these at most."""

_DIGEST_VERSION = 1
"""To be raised with any change to how the same tokens are put into batches."""


def prepare_text(spec: TextDataSpec, paths: PathsSpec, seed: int | None, processor: TextProcessor | None = None) -> PreparedData:
    """Read the text, number its tokens and cut it into windows.

    The text is held once, as token numbers of 1, 2 or 4 bytes, in memory or, where it is long, in a file that is made in one pass over
    the text and kept in the cache; windows are views of it, and batches are made when asked for.

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
            than the config declares; or it is long, and the cache cannot be written.
    """
    text = _find_text(spec, paths)
    known = None if processor is None else processor.vocabulary
    try:
        numbered = _numbered(text, spec, paths, known)
    except UnknownTokens as error:
        places = first_places(text.parts(), error.tokens, spec.level, spec.lowercase)
        raise UnknownTokens(error.tokens, error.vocabulary, places) from error
    vocabulary, stream = numbered.vocabulary, numbered.tokens
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
        digest=numbered.digest(_head(spec, vocabulary)),
        processor=TextProcessor(vocabulary),
        splits={
            "train": _batches(train, spec, seed),
            **({"validation": _batches(validation, spec, None)} if spec.validation_fraction > 0 else {}),
        },
        tokens=int(stream.size),
        source=text.name,
        figures={"characters_per_token": numbered.characters / stream.size},
        opening=_opening(vocabulary, train),
    )


def _find_text(spec: TextDataSpec, paths: PathsSpec) -> TextSource:
    """Where the text is.

    Raises:
        DataError: nothing says where, or it is not there.
    """
    if spec.path is not None:
        files = find_files(spec.path)
    elif spec.corpus is not None:
        read = CORPORA.named(spec.corpus)
        given = read()
        if not isinstance(given, Path):
            return CorpusText(spec.corpus, cast(Callable[[], Iterable[str]], read), given)
        return FileText(find_files(given), spec.encoding, paths, f"corpus {spec.corpus}")
    elif spec.download is not None:
        files = [find_download(spec.download, paths, OFFLINE)]
    else:
        hint = f"set data.path=FILE, or choose {OFFLINE}"
        raise DataError(Problem("data.path", "is missing", expected="a file, folder or glob of text files", hint=hint))
    return FileText(files, spec.encoding, paths)


def _numbered(text: TextSource, spec: TextDataSpec, paths: PathsSpec, vocabulary: Vocabulary | None) -> NumberedText:
    held = text.held(IN_MEMORY)
    if held is None:
        return kept_tokens(text, spec, paths, vocabulary)
    return NumberedText(*read_tokens(held, spec, vocabulary))


def _opening(vocabulary: Vocabulary, stream: Tokens) -> str:
    """The first words of the first line that has any; all of its tokens are in the vocabulary."""
    unknown = stream[:_LOOKED_AT] == (vocabulary.unknown_id if vocabulary.unknown else -1)
    known = stream[:_LOOKED_AT][~unknown]
    lines = vocabulary.decode(known.tolist()).splitlines()
    line = next((line.strip() for line in lines if line.strip()), "")
    words = re.match(r"\S+(?: +\S+){0,2}", line)
    return words[0][:_LONGEST_OPENING].rstrip() if words else ""


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


def _head(spec: TextDataSpec, vocabulary: Vocabulary) -> bytes:
    """All but the tokens that the data's digest is made of."""
    settings = spec.model_dump(include={"batch_size", "drop_remainder", "validation_fraction", "sequence_length", "order"})
    if spec.shuffle_buffer is not None:
        settings["shuffle_buffer"] = spec.shuffle_buffer
    head = {"version": _DIGEST_VERSION, "tokens": vocabulary.tokens, "level": vocabulary.level, "settings": settings}
    return json.dumps(head, sort_keys=True).encode("ascii")
