"""From texts to a store of prepared pairs, in one pass over each text and with little memory."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from framework.data.parallel.fit import cleanings_of, fit
from framework.data.parallel.pairs_text import LeftOut, PairsText, read_pairs
from framework.data.parallel.processor import PairsProcessor
from framework.data.parallel.store import META, SIDES, STORE_VERSION, content_digest, content_files
from framework.data.sentences.cleaning import Cleaning
from framework.data.sentences.split import PARTS, Keys, draw_parts, joined
from framework.errors import DataError, Problem
from framework.files import replace_text
from framework.spec.parallel_text import ParallelTextDataSpec

_CLEANED = "cleaned"
_CHUNK = 1 << 20
_AT_ONCE = 10_000
"""Pairs that are held and worked on together."""


@dataclass(frozen=True)
class PartText:
    """Where the pairs of a part, or those that the parts are drawn from, are read.

    Attributes:
        part: its name; None: to be drawn.
        text: with the pairs.
    """

    part: str | None
    text: PairsText


def build(folder: Path, texts: Sequence[PartText], spec: ParallelTextDataSpec, processor: PairsProcessor | None) -> None:
    """Writes a store into an empty folder.

    Args:
        folder: to write into.
        texts: to read; the first one is that whose pairs the parts are drawn from.
        spec: how to read and prepare them.
        processor: numbers the tokens; made of the texts where there is none.

    Raises:
        DataError: a text cannot be read, has too many lines that are no pairs, or leaves nothing to train on.
        OSError: nothing can be written.
    """
    cleanings = cleanings_of(spec) if processor is None else (processor.source.cleaning, processor.target.cleaning)
    counts, left_out = _write_texts(folder, texts, spec, cleanings)
    parts = _parts(folder, counts, texts, spec)
    if processor is None:
        everything = spec.vocabulary.fit_on == "all"
        fitted = int(parts.size if everything else np.count_nonzero(parts == 0))
        chosen = None if everything else parts == 0
        processor = fit(lambda: _cleaned(folder, chosen), fitted, cleanings, spec)
    processor.save(folder)
    written = _write_tokens(folder, processor, parts, spec.max_length)
    (folder / _CLEANED).unlink()
    _write_rows(folder, parts, written.kept, spec)
    about = {
        "version": STORE_VERSION,
        "pairs": int(parts.size),
        "drawn": counts[0],
        "longest": written.longest,
        "tokens": sum(written.tokens.values()),
        "dtype": written.dtypes,
        "left_out": left_out,
        "content": content_digest(folder),
        "files": {name: (folder / name).stat().st_size for name in content_files()},
    }
    replace_text(folder / META, json.dumps(about, indent=1) + "\n")


def _write_texts(
    folder: Path, texts: Sequence[PartText], spec: ParallelTextDataSpec, cleanings: tuple[Cleaning, Cleaning]
) -> tuple[list[int], list[str]]:
    """Raw texts, cleaned texts and keys; how many pairs each text has, and what was left out of it."""
    counts, notes, place = [], [], 0
    with ExitStack() as files:
        raw, cleaned, starts, *keys = (
            files.enter_context((folder / name).open("wb"))
            for name in ("texts", _CLEANED, "texts.starts", *(f"{side}.keys" for side in SIDES))
        )
        np.zeros(1, "<i8").tofile(starts)
        for one in texts:
            left_out = LeftOut(one.text.name, spec.max_malformed)
            pairs = _clean_pairs(one, spec, left_out, cleanings)
            count = 0
            while chunk := list(islice(pairs, _AT_ONCE)):
                place = _write_chunk(chunk, place, raw, starts, cleaned, keys)
                count += len(chunk)
            if not count:
                raise _empty(one)
            counts.append(count)
            if left_out.count:
                notes.append(f"{one.text.name}: {left_out}")
    return counts, notes


def _clean_pairs(
    one: PartText, spec: ParallelTextDataSpec, left_out: LeftOut, cleanings: tuple[Cleaning, Cleaning]
) -> Iterator[tuple[str, str, str, str]]:
    """Raw and cleaned sentences of the first ``max_pairs`` pairs; pairs of which cleaning leaves nothing are left out too."""
    clean_source, clean_target = cleanings
    most = spec.max_pairs if one.part is None else None
    count = 0
    for number, source, target in read_pairs(one.text, spec.encoding, left_out):
        cleaned_source, cleaned_target = clean_source(source), clean_target(target)
        if not cleaned_source or not cleaned_target:
            left_out.add(number, f"nothing is left of {source if not cleaned_source else target!r} once it is cleaned")
            continue
        yield source, target, cleaned_source, cleaned_target
        count += 1
        if count == most:
            left_out.finish()
            return


def _write_chunk(
    chunk: list[tuple[str, str, str, str]], place: int, raw: IO[bytes], starts: IO[bytes], cleaned: IO[bytes], keys: Sequence[IO[bytes]]
) -> int:
    """Appends pairs to the files; where the raw text ends now."""
    texts = [text.encode("utf-8") for pair in chunk for text in pair[:2]]
    raw.write(b"".join(texts))
    ends = np.cumsum([len(text) for text in texts], dtype="<i8") + place
    ends.tofile(starts)
    cleaned.write("".join([f"{source}\t{target}\n" for _, _, source, target in chunk]).encode("utf-8"))
    for file, column in zip(keys, (2, 3), strict=True):
        file.write(b"".join([hashlib.blake2b(pair[column].encode("utf-8"), digest_size=8).digest() for pair in chunk]))
    return int(ends[-1])


def _parts(folder: Path, counts: list[int], texts: Sequence[PartText], spec: ParallelTextDataSpec) -> NDArray[np.uint8]:
    """The part of each pair, ``(pairs,) uint8``.

    Raises:
        DataError: a part that is to hold something holds nothing.
    """
    source, target = (np.memmap(folder / f"{side}.keys", "<u8", "r")[: counts[0]].view(np.ndarray) for side in SIDES)
    keys: Keys = source if spec.split.group_by == "source" else joined(source, target)
    drawn = draw_parts(keys, spec.split.seed, spec.validation_fraction, spec.test_fraction)
    for part, fraction in (("train", 1.0), ("validation", spec.validation_fraction), ("test", spec.test_fraction)):
        if fraction and not np.any(drawn == PARTS.index(part)):
            message = f"there are too few pairs, {counts[0]:,}, or too few different ones: none is left for the part '{part}'"
            hint = "change data.validation_fraction or data.test_fraction, or give more text"
            raise DataError(Problem("data", message, hint=hint))
    given = [np.full(count, PARTS.index(one.part or ""), np.uint8) for one, count in zip(texts[1:], counts[1:], strict=True)]
    return np.concatenate([drawn, *given])


@dataclass
class _Written:
    """What is known of tokens once they are written: integer type, number and longest sentence by side, and which pairs are kept."""

    dtypes: dict[str, str]
    tokens: dict[str, int]
    longest: dict[str, int]
    kept: NDArray[np.bool_]


def _write_tokens(folder: Path, processor: PairsProcessor, parts: NDArray[np.uint8], max_length: int | None) -> _Written:
    """Each sentence's tokens and where they begin; pairs to train on that are too long are not kept."""
    vocabularies = {"source": processor.source.vocabulary, "target": processor.target.vocabulary}
    dtypes = {side: "<u2" if one.size <= np.iinfo(np.uint16).max + 1 else "<i4" for side, one in vocabularies.items()}
    written = _Written(dtypes, dict.fromkeys(SIDES, 0), dict.fromkeys(SIDES, 0), np.ones(parts.size, np.bool_))
    with ExitStack() as files:
        tokens, starts = (
            {side: files.enter_context((folder / f"{side}.{what}").open("wb")) for side in SIDES} for what in ("tokens", "starts")
        )
        for file in starts.values():
            np.zeros(1, "<i8").tofile(file)
        pairs, row = _cleaned(folder, None), 0
        while chunk := list(islice(pairs, _AT_ONCE)):
            lengths = {}
            for column, side in enumerate(SIDES):
                numbers = vocabularies[side].number([pair[column] for pair in chunk])
                np.array(array("i", [number for sentence in numbers for number in sentence]), dtypes[side]).tofile(tokens[side])
                lengths[side] = np.array([len(sentence) for sentence in numbers])
                (np.cumsum(lengths[side], dtype="<i8") + written.tokens[side]).tofile(starts[side])
                written.tokens[side] += int(lengths[side].sum())
            kept = written.kept[row : row + len(chunk)]
            if max_length is not None:
                kept[:] = (np.maximum(*lengths.values()) <= max_length) | (parts[row : row + len(chunk)] != 0)
            for side in SIDES:
                written.longest[side] = max(written.longest[side], int(lengths[side].max(where=kept, initial=0)))
            row += len(chunk)
    return written


def _write_rows(folder: Path, parts: NDArray[np.uint8], kept: NDArray[np.bool_], spec: ParallelTextDataSpec) -> None:
    """The numbers of each part's pairs.

    Raises:
        DataError: all pairs to train on are too long.
    """
    for number, part in enumerate(PARTS):
        with (folder / f"{part}.rows").open("wb") as file:
            for start in range(0, parts.size, _CHUNK):
                chosen = kept[start : start + _CHUNK] & (parts[start : start + _CHUNK] == number)
                (np.flatnonzero(chosen) + start).astype("<u4").tofile(file)
    if not (folder / "train.rows").stat().st_size:
        message = f"no pair is left to train on that has {spec.max_length:,} tokens or fewer on both sides"
        raise DataError(Problem("data.max_length", message, value=str(spec.max_length), hint="raise it"))


def _cleaned(folder: Path, chosen: NDArray[np.bool_] | None) -> Iterator[tuple[str, str]]:
    """The cleaned pairs, or the chosen ones of them."""
    with (folder / _CLEANED).open(encoding="utf-8", newline="\n") as file:
        for row, line in enumerate(file):
            if chosen is None or chosen[row]:
                source, _, target = line[:-1].partition("\t")
                yield source, target


def _empty(one: PartText) -> DataError:
    message = f"{one.text.name} holds no pair of sentences"
    return DataError(Problem("data", message, expected="a sentence and its translation a line, or two files with a sentence a line"))
