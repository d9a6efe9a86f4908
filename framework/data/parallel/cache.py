"""Prepared pairs, kept in the cache folder under what they were made of: prepared once, then only opened."""

from __future__ import annotations

import hashlib
import json
import logging
import unicodedata
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from framework.data.download import cache_folder, sha256_of
from framework.data.kept import kept
from framework.data.packed import PackedText
from framework.data.parallel.build import PartText, build
from framework.data.parallel.pairs_text import Columns
from framework.data.parallel.processor import PairsProcessor
from framework.data.parallel.store import META, STORE_VERSION, PairStore
from framework.errors import DataError
from framework.files import read_json
from framework.spec.experiment import PathsSpec
from framework.spec.parallel_text import ParallelTextDataSpec

_SETTINGS = {
    "encoding",
    "max_malformed",
    "max_pairs",
    "cleaning",
    "source_cleaning",
    "target_cleaning",
    "vocabulary",
    "max_length",
    "validation_fraction",
    "test_fraction",
    "split",
}
"""Settings that say what a store holds; the others say how it is put into batches."""


def stored(texts: Sequence[PartText], spec: ParallelTextDataSpec, paths: PathsSpec, processor: PairsProcessor | None) -> PairStore:
    """The store of these texts, opened, or made first.

    Args:
        texts: see :func:`framework.data.parallel.build.build`.
        spec: how to read and prepare them.
        paths: where the cache is.
        processor: numbers the tokens; made of the texts where there is none.

    Raises:
        DataError: the texts cannot be prepared, or the cache folder cannot be written.
    """
    root = cache_folder(paths) / "pairs"
    read = [_identity(one) for one in texts]
    folder = root / _key(read, spec, None)
    store = PairStore.open(folder)
    if store is not None and processor is not None and store.processor != processor:
        store = None
    if store is None and processor is not None:
        folder = root / _key(read, spec, processor)
        store = PairStore.open(folder)
    if store is not None:
        return store
    make = partial(_make, folder.name, texts, spec, processor)
    return kept(root, folder.name, f"the pairs of {texts[0].text.name}", partial(PairStore.open, folder), make, PairStore.open)


def _identity(one: PartText) -> dict[str, Any]:
    """What a text is, wherever it lies."""
    text = one.text
    if isinstance(text, Columns):
        return {"part": one.part, "text": _text_identity(text.text), "columns": [text.source, text.target]}
    return {"part": one.part, "source": _text_identity(text.source), "target": _text_identity(text.target)}


def _text_identity(text: Path | PackedText | Iterable[str]) -> list[str | None]:
    if isinstance(text, (Path, PackedText)):
        path, member = (text, None) if isinstance(text, Path) else (text.path, text.member)
        try:
            return [sha256_of(path), path.suffix.lower(), member]
        except OSError as error:
            raise DataError(f"'{path}' cannot be read: {error.strerror or error}") from error
    digest = hashlib.sha256()
    for piece in text:
        digest.update(piece.encode("utf-8"))
    return [digest.hexdigest()]


def _key(read: list[dict[str, Any]], spec: ParallelTextDataSpec, processor: PairsProcessor | None) -> str:
    made_of = {
        "version": STORE_VERSION,
        "unicode": unicodedata.unidata_version,
        "texts": read,
        "settings": spec.model_dump(mode="json", include=_SETTINGS),
        "processor": None if processor is None else processor.digest,
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode("ascii")).hexdigest()[:32]


def _make(name: str, texts: Sequence[PartText], spec: ParallelTextDataSpec, processor: PairsProcessor | None, folder: Path) -> str:
    build(folder, texts, spec, processor)
    for note in read_json(folder / META)["left_out"]:
        logging.getLogger("gatework").warning("left out, as they are no pairs: %s", note)
    return name
