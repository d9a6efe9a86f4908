"""Captions out of the files that people have: MS-COCO's JSON, Flickr8k's tokens, and tables."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from framework.data.captions.left_out import LeftOut
from framework.data.packed import PackedText
from framework.data.reading import read_files, read_lines
from framework.errors import DataError, Problem, nearest
from framework.files import parse_json
from framework.spec.captions import CaptionsDataSpec

Text = Path | PackedText

KEY = "data.captions_path"

PART_NAMES = {
    "train": "train",
    "training": "train",
    "restval": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""What files call the parts."""

_FLICKR = re.compile(r"^[^\t]+#\d+\t")


@dataclass(frozen=True)
class Caption:
    """A caption of an image.

    Attributes:
        image: what the file calls the image.
        text: raw, perhaps empty.
        part: the part that the image is in, where the file says so.
        place: where it stands, for messages.
    """

    image: str
    text: str
    part: str | None
    place: str


@dataclass(frozen=True)
class CaptionFile:
    """What a caption file holds.

    Attributes:
        captions: in the file's order; to be read once.
        images: names of images that the file lists beside their captions.
        left_out: is told of what is no caption while they are read.
    """

    captions: Iterator[Caption]
    images: Sequence[str]
    left_out: LeftOut


def read_captions(text: Text, spec: CaptionsDataSpec) -> CaptionFile:
    """The captions in a file.

    Raises:
        DataError: it cannot be read, or is no such file.
    """
    left_out = LeftOut("captions", spec.max_malformed)
    form, delimiter = _form(text, spec)
    if form == "coco":
        return _coco(text, spec, left_out)
    lines = read_lines(text, spec.encoding)
    if form == "flickr8k":
        return CaptionFile(_flickr8k(lines, left_out), (), left_out)
    return CaptionFile(_table(text, lines, delimiter, spec, left_out), (), left_out)


def part_named(name: object, place: str) -> str:
    """The part that a file calls ``name``.

    Raises:
        DataError: no part is called so.
    """
    key = str(name).strip().lower()
    if key not in PART_NAMES:
        hint = "data.split.by=fractions draws the parts instead"
        message = f"{place}: no part is called '{name}'"
        raise DataError(Problem(KEY, message, expected="one of " + ", ".join(PART_NAMES), suggestion=nearest(key, PART_NAMES), hint=hint))
    return PART_NAMES[key]


def _form(text: Text, spec: CaptionsDataSpec) -> tuple[str, str]:
    """What a file is, and what divides its columns."""
    name = str(text).lower().removesuffix(".gz")
    if spec.format == "coco" or (spec.format == "auto" and name.endswith(".json")):
        return "coco", ""
    first = next(iter(read_lines(text, spec.encoding)), "")
    if spec.format == "flickr8k" or (spec.format == "auto" and _FLICKR.match(first)):
        return "flickr8k", "\t"
    return "table", "," if name.endswith(".csv") or "\t" not in first else "\t"


def _flickr8k(lines: Iterator[str], left_out: LeftOut) -> Iterator[Caption]:
    for number, line in enumerate(lines, start=1):
        name, _, caption = line.partition("\t")
        image, mark, _ = name.rpartition("#")
        if line.strip() and not (mark and image):
            left_out.add(f"line {number:,}", "no IMAGE#NUMBER before a tab")
        elif line.strip():
            yield Caption(image, caption, None, f"line {number:,}")


def _table(text: Text, lines: Iterator[str], delimiter: str, spec: CaptionsDataSpec, left_out: LeftOut) -> Iterator[Caption]:
    rows = (line.split("\t") for line in lines) if delimiter == "\t" else _comma_separated(text, lines)
    header = [name.strip() for name in next(rows, [])]
    image, caption = (_column(text, header, name, key) for name, key in ((spec.image_column, "image"), (spec.caption_column, "caption")))
    split = header.index(spec.split_column) if spec.split_column in header and spec.split.by != "fractions" else None
    needed = max(image, caption, split or 0)
    for number, row in enumerate(rows, start=2):
        place = f"row {number:,}"
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= needed:
            left_out.add(place, f"{len(row)} column{'s' if len(row) > 1 else ''}")
            continue
        named = row[split].strip() if split is not None else ""
        yield Caption(row[image].strip(), row[caption], part_named(named, place) if named else None, place)


def _comma_separated(text: Text, lines: Iterator[str]) -> Iterator[list[str]]:
    try:
        yield from csv.reader(f"{line}\n" for line in lines)
    except csv.Error as error:
        raise DataError(Problem(KEY, f"'{text}' is no table with commas: {error}")) from error


def _column(text: Text, header: Sequence[str], name: str, what: str) -> int:
    if name in header:
        return header.index(name)
    message = f"'{text}' has no column '{name}'"
    hint = f"its first line names the columns; data.{what}_column says which one holds the {what}"
    raise DataError(Problem(KEY, message, expected="columns " + ", ".join(header[:20]), suggestion=nearest(name, header), hint=hint))


def _coco(text: Text, spec: CaptionsDataSpec, left_out: LeftOut) -> CaptionFile:
    try:
        content = parse_json("".join(read_files([text], spec.encoding)))
        images, annotations = content["images"], content["annotations"]
        names = {one["id"]: str(one["file_name"]) for one in images}
        parts = {one["id"]: one[spec.split_column] for one in images if spec.split_column in one and spec.split.by != "fractions"}
        entries = list(annotations)
    except (ValueError, KeyError, TypeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        expected = "JSON with images {id, file_name} and annotations {image_id, caption}"
        raise DataError(Problem(KEY, f"'{text}' is no caption file of MS-COCO's form: {reason}", expected=expected)) from error
    known = {key: part_named(part, f"image {names[key]}") for key, part in parts.items()}
    return CaptionFile(_annotated(entries, names, known, left_out), list(names.values()), left_out)


def _annotated(entries: Sequence[Any], names: dict[Any, str], parts: dict[Any, str], left_out: LeftOut) -> Iterator[Caption]:
    for number, one in enumerate(entries):
        place = f"annotation {number:,}"
        image, caption = (one.get("image_id"), one.get("caption")) if isinstance(one, dict) else (None, None)
        if not isinstance(caption, str) or not isinstance(image, (int, str)):
            left_out.add(place, "no image_id with a caption")
        elif image not in names:
            left_out.add(place, f"no image has the id {image}")
        else:
            yield Caption(names[image], caption, parts.get(image), place)


def read_list(text: Text, encoding: str) -> list[str]:
    """The images' names in a list, one a line."""
    return [name for name in chain(line.strip() for line in read_lines(text, encoding)) if name]
