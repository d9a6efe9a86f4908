"""Captioning: from images, in batches, to captions with where the model looked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from framework.errors import InputError
from framework.tasks.model import Model
from framework.tasks.writer import Writer
from framework.tasks.writing_processor import ImageProcessor
from framework.tasks.written import Written

if TYPE_CHECKING:
    from framework.spec.decoding import DecodingSpec

ROWS = 64
"""Images that are captioned at once, at most."""

LONGEST = 50
"""Tokens of a caption at most where the settings say nothing: an image has no length of its own to go by."""


def caption(
    model: Model,
    images: Sequence[Any],
    settings: DecodingSpec,
    seed: int = 0,
    *,
    watch: bool = False,
) -> list[list[Written]]:
    """The best captions of each image, best first.

    Args:
        model: trained.
        images: paths of files, or what files hold.
        settings: of the search.
        seed: of draws, where strategy is sample.
        watch: whether captions carry the attention.

    Raises:
        DataError: an image cannot be read; it is named.
        InputError: the data has no images; what the model sees of them cannot be computed here; or the model has no attention, and a
            setting asks for it.
        UnsupportedArgument: the model cannot be decoded step by step.
    """
    processor = images_of(model)
    if settings.replace_unknown:
        raise InputError("decoding.replace_unknown copies words from a text, and there is none to copy from an image")
    writer = Writer(model, processor, settings, seed, watch)
    places = processor.sizes["places"]
    found: list[list[Written]] = []
    for start in range(0, len(images), ROWS):
        some = processor.encode_images(images[start : start + ROWS])
        hypotheses = writer.search({"image": some}, range(start, start + len(some)), LONGEST)
        found += [[writer.written(one, (), places) for one in best] for best in hypotheses]
    return found


def images_of(model: Model) -> ImageProcessor:
    """The processor of a model that captions.

    Raises:
        InputError: it is of data that has no images.
    """
    if not hasattr(model.processor, "encode_images"):
        raise InputError(f"data of kind '{model.experiment.data.kind}' has no images to caption; expected captions")
    return cast(ImageProcessor, model.processor)
