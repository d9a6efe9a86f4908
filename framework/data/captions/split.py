"""Which captions are held out: by image, so that nothing is measured that was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from framework.data.captions.gather import Gathered
from framework.data.sentences.split import PARTS, Keys, draw_parts
from framework.errors import DataError, Problem
from framework.spec.captions import CaptionsDataSpec


def caption_parts(found: Gathered, spec: CaptionsDataSpec) -> NDArray[np.uint8]:
    """The part of each caption, ``(captions,) uint8``, numbers of :data:`framework.data.sentences.split.PARTS`.

    Raises:
        DataError: the file says nothing of parts where it should, or of some images only; or a part is empty.
    """
    said = sum(part is not None for part in found.parts)
    if said and spec.split.by != "fractions":
        if said < len(found.parts):
            name = found.images[list(found.parts).index(None)]
            message = f"{len(found.parts) - said:,} of {len(found.parts):,} images are in no part, such as '{name}'"
            raise DataError(Problem("data.split.by", message, expected="a part for each image, or data.split.by=fractions"))
        of_image = np.array([PARTS.index(part or "") for part in found.parts], np.uint8)
        parts = of_image[found.image_of]
        needed = {"train", "validation"} if spec.validates else {"train"}
    elif spec.split.by == "column":
        message = f"the caption file says of no image which part it is in: it has no '{spec.split_column}'"
        hint = "name it with data.split_column, or set data.split.by=fractions"
        raise DataError(Problem("data.split.by", message, value="column", hint=hint))
    else:
        parts = _drawn(found, spec)
        fractions = {"train": 1.0, "validation": spec.validation_fraction, "test": spec.test_fraction}
        needed = {part for part, fraction in fractions.items() if fraction}
    for part in PARTS:
        if part in needed and not np.any(parts == PARTS.index(part)):
            message = f"none of {len(found.images):,} images is in the part '{part}'"
            hint = "change data.validation_fraction or data.test_fraction, or give more images"
            raise DataError(Problem("data", message, hint=hint))
    return parts


def _drawn(found: Gathered, spec: CaptionsDataSpec) -> NDArray[np.uint8]:
    fractions = spec.validation_fraction, spec.test_fraction
    if spec.split.group_by == "image":
        return draw_parts(_keys(found.images), spec.split.seed, *fractions)[found.image_of]
    captions = [
        f"{found.images[image]}\t{text}\t{number}" for number, (image, text) in enumerate(zip(found.image_of, found.texts, strict=True))
    ]
    return draw_parts(_keys(captions), spec.split.seed, *fractions)


def _keys(texts: Sequence[str]) -> Keys:
    digests = (hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), "<u8").copy()
