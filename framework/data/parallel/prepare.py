"""Pairs of sentences: from a config to batches."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial

from framework.data.batches import Batches
from framework.data.parallel.batches import pair_batch
from framework.data.parallel.cache import stored
from framework.data.parallel.examples import PairExamples
from framework.data.parallel.places import find_texts
from framework.data.parallel.processor import PairsProcessor
from framework.data.parallel.store import SIDES, PairStore
from framework.data.prepared import PreparedData, check_declared_sizes
from framework.data.sentences.batches import MARKED
from framework.data.sentences.buckets import row_batches
from framework.data.sentences.lengths import check_declared_lengths, check_one_batch
from framework.data.sentences.split import PARTS
from framework.spec.experiment import PathsSpec
from framework.spec.parallel_text import ParallelTextDataSpec

_DIGEST_VERSION = 1
"""To be raised with any change to how the same pairs are put into batches."""


def prepare_pairs(spec: ParallelTextDataSpec, paths: PathsSpec, seed: int | None, processor: PairsProcessor | None = None) -> PreparedData:
    """Read the pairs, clean and number them, hold some out, and put them into batches.

    What was prepared lies in the cache folder and is mapped into memory; the same texts and settings are prepared only once.

    Args:
        spec: what to read and how to prepare it.
        paths: where data sets and downloads lie.
        seed: of the batches' order; None: the pairs' own.
        processor: numbers the tokens, in place of one made of the pairs.

    Returns:
        Batches as :func:`framework.data.parallel.batches.pair_batch` makes them; the sizes ``source`` and ``target``; as figures
        ``source_length`` and ``target_length``, the longest sentences' tokens, markers counted; and the examples of every part.

    Raises:
        UnknownWords: a vocabulary without ``[UNK]`` lacks words of the texts; they are named.
        DataError: a text is missing, unreadable, too short, or has too many lines that are no pairs.
    """
    texts = find_texts(spec, paths)
    numbering = None if processor is None else replace(processor, source_places=None)
    store = stored(texts, spec, paths, numbering)
    parts = [part for part in PARTS if store.rows(part).size]
    longest = {side: int(store.about["longest"][side]) + MARKED for side in SIDES}
    padded = longest if spec.pad_to == "longest" else None
    splits = {part: _batches(store, part, spec, seed if part == "train" else None, padded) for part in parts}
    check_one_batch(splits["train"], store.rows("train").size, spec.batch_size, "pairs", "give more text")
    check_declared_sizes(spec, store.processor.sizes)  # what is declared wrongly is all of it for one reason: the sizes come first
    check_declared_lengths(spec.declared_lengths, spec.known_lengths(), longest)
    places = None if padded is None else padded["source"]
    return PreparedData(
        sizes=dict(store.processor.sizes),
        digest=_digest(spec, store),
        processor=replace(store.processor, source_places=places if processor is None else processor.source_places),
        splits=splits,
        tokens=int(store.about["tokens"]),
        source=", ".join(one.text.name for one in texts),
        figures={f"{side}_length": float(length) for side, length in longest.items()},
        examples={part: PairExamples(store, part) for part in parts},
    )


def _batches(store: PairStore, part: str, spec: ParallelTextDataSpec, seed: int | None, longest: dict[str, int] | None) -> Batches:
    return row_batches(
        partial(pair_batch, store, longest=longest),
        lambda rows: [store.lengths(rows, side) for side in SIDES],
        store.rows(part),
        spec.batch_size,
        spec.drop_remainder and part == "train",
        seed,
        spec.order,
        spec.batch_tokens,
    )


def _digest(spec: ParallelTextDataSpec, store: PairStore) -> str:
    settings = spec.model_dump(mode="json", include={"batch_size", "drop_remainder", "order", "batch_tokens", "pad_to"})
    whole = {"version": _DIGEST_VERSION, "settings": settings, "processor": store.processor.digest, "content": store.about["content"]}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode("ascii")).hexdigest()
