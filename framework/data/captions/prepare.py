"""Images with captions: from a config to batches."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from framework.data.batches import Batches
from framework.data.captions.corpus import CAPTION_CORPORA
from framework.data.captions.gather import Gathered, Gathering, corpus_captions, listed, sampled
from framework.data.captions.left_out import LeftOut
from framework.data.captions.places import find_captions, find_images, find_lists
from framework.data.captions.processor import CaptionsProcessor
from framework.data.captions.read import read_captions, read_list
from framework.data.captions.seen import Seen, see
from framework.data.captions.split import caption_parts
from framework.data.captions.store import CaptionExamples, CaptionStore, caption_batch
from framework.data.images.found import Images
from framework.data.prepared import PreparedData, check_declared_sizes
from framework.data.sentences.batches import Rows
from framework.data.sentences.buckets import row_batches
from framework.data.sentences.cleaning import Cleaning
from framework.data.sentences.fit import fit_vocabulary
from framework.data.sentences.lengths import check_declared_lengths, check_one_batch
from framework.data.sentences.side import Side
from framework.data.sentences.split import PARTS
from framework.errors import DataError, Problem
from framework.spec.captions import CaptionsDataSpec
from framework.spec.experiment import PathsSpec

_DIGEST_VERSION = 1
"""To be raised with any change to how the same images and captions are put into batches."""


def prepare_captions(
    spec: CaptionsDataSpec, paths: PathsSpec, seed: int | None, processor: CaptionsProcessor | None = None
) -> PreparedData:
    """Read captions, see their images, hold some out, and put them into batches.

    What is seen of images lies in the cache folder and is mapped into memory; it is computed only once.

    Args:
        spec: what to read and how to prepare it.
        paths: where data sets, downloads and features lie.
        seed: of the batches' order; None: the captions' own.
        processor: numbers the tokens, in place of one made of the captions.

    Returns:
        Batches as :func:`framework.data.captions.store.caption_batch` makes them; the sizes ``target``, ``places`` and ``features``; as
        figures ``target_length``, the longest caption's tokens, markers counted, ``images`` and ``captions``; and the examples of every
        part.

    Raises:
        UnknownWords: a vocabulary without ``[UNK]`` lacks words of the captions; they are named.
        DataError: something is missing or unreadable, or there are too many captions or images that cannot be used.
        InputError: what the model is to see cannot be computed here.
    """
    cleaning = Cleaning.of(spec.cleaning) if processor is None else processor.target.cleaning
    found, images, source = gather_captions(spec, paths, cleaning)
    seen = see(found.files, images, spec, paths)
    found = found.of_images(seen.kept)
    parts = caption_parts(found, spec)
    side = _side(found, parts, cleaning, spec) if processor is None else processor.target
    made = CaptionsProcessor(side, spec.features.portable(), (seen.values.shape[1], seen.values.shape[2]))
    if processor is not None and made.shape != processor.shape:
        raise DataError(f"the model was trained on {processor.shape} features of an image, and these are {made.shape}")
    check_declared_sizes(spec, made.sizes)
    store = _numbered(found, seen, side, parts, spec)
    kept = [part for part in PARTS if store.rows[part].size]
    longest = store.longest if spec.pad_to == "longest" else None
    splits = {part: _batches(store, part, spec, seed if part == "train" else None, longest) for part in kept}
    check_one_batch(splits["train"], store.rows["train"].size, spec.batch_size, "captions", "give more")
    check_declared_lengths(spec.declared_lengths, spec.known_lengths(), {"target": store.longest})
    return PreparedData(
        sizes=dict(made.sizes),
        digest=_digest(spec, made, store),
        processor=replace(made if processor is None else processor, store=seen.store),
        splits=splits,
        tokens=int(store.starts[-1]),
        source=source,
        figures={"target_length": float(store.longest), "images": float(len(found.images)), "captions": float(len(found.texts))},
        examples={part: CaptionExamples(store, part, images) for part in kept},
    )


def gather_captions(spec: CaptionsDataSpec, paths: PathsSpec, cleaning: Cleaning) -> tuple[Gathered, Images | None, str]:
    """Images with captions, where the images are read, and where all came from; nothing is seen of the images yet.

    Raises:
        DataError: see :func:`prepare_captions`.
    """
    images: Images | None
    if spec.corpus is not None and spec.captions_path is None:
        corpus = CAPTION_CORPORA.named(spec.corpus)()
        gathering = Gathering(spec, LeftOut("captions", spec.max_malformed))
        gathering.take(corpus_captions(corpus.captions()), cleaning)
        return sampled(gathering.gathered(corpus.images, ()), spec), corpus.images, f"corpus {spec.corpus}"
    text = find_captions(spec, paths)
    images = find_images(spec, paths)
    lists = {part: read_list(one, spec.encoding) for part, one in find_lists(spec).items()}
    file = read_captions(text, spec)
    gathering = Gathering(spec, file.left_out)
    gathering.take(file.captions, cleaning)
    found = gathering.gathered(images, file.images)
    if lists and spec.split.by in ("auto", "lists"):
        found = listed(found, lists)
    return sampled(found, spec), images, ", ".join([str(text), *spec.images()])


def _side(found: Gathered, parts: NDArray[np.uint8], cleaning: Cleaning, spec: CaptionsDataSpec) -> Side:
    chosen = found.cleaned
    if spec.vocabulary.fit_on == "train":
        chosen = [text for text, part in zip(found.cleaned, parts.tolist(), strict=True) if part == 0]
    return Side(cleaning, fit_vocabulary(lambda: iter(chosen), len(chosen), spec.vocabulary))


def _numbered(found: Gathered, seen: Seen, side: Side, parts: NDArray[np.uint8], spec: CaptionsDataSpec) -> CaptionStore:
    """The captions as tokens.

    Raises:
        DataError: all captions to train on are too long.
    """
    numbers = side.vocabulary.number(found.cleaned)
    lengths = np.array([len(one) for one in numbers], np.int64)
    dtype = np.uint16 if side.vocabulary.size <= np.iinfo(np.uint16).max + 1 else np.int32
    tokens = np.array(array("i", [number for sentence in numbers for number in sentence]), dtype)
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    kept = np.ones(len(numbers), np.bool_) if spec.max_length is None else (lengths <= spec.max_length) | (parts != 0)
    rows: dict[str, Rows] = {part: np.flatnonzero(kept & (parts == number)).astype(np.uint32) for number, part in enumerate(PARTS)}
    if not rows["train"].size:
        message = f"no caption is left to train on that has {spec.max_length:,} tokens or fewer"
        raise DataError(Problem("data.max_length", message, value=str(spec.max_length), hint="raise it"))
    return CaptionStore(found, seen, tokens, starts, rows)


def _batches(store: CaptionStore, part: str, spec: CaptionsDataSpec, seed: int | None, longest: int | None) -> Batches:
    return row_batches(
        partial(caption_batch, store, longest=longest),
        lambda rows: [store.lengths(rows)],
        store.rows[part],
        spec.batch_size,
        spec.drop_remainder and part == "train",
        seed,
        spec.order,
        spec.batch_tokens,
    )


def _digest(spec: CaptionsDataSpec, processor: CaptionsProcessor, store: CaptionStore) -> str:
    settings = spec.model_dump(mode="json", include={"batch_size", "drop_remainder", "order", "batch_tokens", "pad_to"})
    arrays: Sequence[NDArray[np.generic]] = (store.tokens, store.starts, store.found.image_of, *store.rows.values())
    content = hashlib.sha256()
    for one in arrays:
        content.update(f"{one.dtype.str} {one.size}\n".encode())
        content.update(one.tobytes())
    whole = {
        "version": _DIGEST_VERSION,
        "settings": settings,
        "processor": processor.digest,
        "images": store.seen.digest,
        "captions": content.hexdigest(),
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode("ascii")).hexdigest()
