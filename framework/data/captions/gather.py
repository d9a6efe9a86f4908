"""All that is known of images and captions before any feature is computed: read, checked, and sampled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from framework.data.captions.left_out import LeftOut
from framework.data.captions.read import Caption, part_named
from framework.data.images.found import Images
from framework.errors import DataError, Problem
from framework.spec.captions import CaptionsDataSpec


@dataclass(frozen=True, eq=False)
class Gathered:
    """Images with their captions.

    Attributes:
        images: what the captions call them, in the order in which they are met.
        files: their full names where they are read, in the same order.
        parts: the part of each image as the file says; None where it does not.
        texts: raw captions.
        cleaned: the same, cleaned.
        image_of: ``(captions,) int64``, the image of each.
    """

    images: Sequence[str]
    files: Sequence[str]
    parts: Sequence[str | None]
    texts: Sequence[str]
    cleaned: Sequence[str]
    image_of: NDArray[np.int64]

    def of_images(self, kept: Sequence[int] | NDArray[np.int64]) -> Gathered:
        """Those images alone, with their captions."""
        number = np.full(len(self.images), -1, np.int64)
        number[kept] = np.arange(len(kept))
        chosen = np.flatnonzero(number[self.image_of] >= 0)
        found = self.of_captions(chosen)
        return replace(
            found,
            images=[self.images[one] for one in kept],
            files=[self.files[one] for one in kept],
            parts=[self.parts[one] for one in kept],
            image_of=number[found.image_of],
        )

    def of_captions(self, kept: NDArray[np.int64]) -> Gathered:
        """Those captions alone; images may be left without."""
        texts, cleaned = ([column[one] for one in kept] for column in (self.texts, self.cleaned))
        return replace(self, texts=texts, cleaned=cleaned, image_of=self.image_of[kept])


class Gathering:
    """Takes captions one by one.

    Args:
        spec: what may be left out.
        left_out: is told of captions that are none.
    """

    def __init__(self, spec: CaptionsDataSpec, left_out: LeftOut) -> None:
        self._spec = spec
        self._left_out = left_out
        self._numbers: dict[str, int] = {}
        self._parts: list[str | None] = []
        self._texts: list[str] = []
        self._cleaned: list[str] = []
        self._image_of: list[int] = []

    def take(self, captions: Iterable[Caption], clean: Callable[[str], str]) -> None:
        """Reads captions; empty ones are left out, and those whose image is in another part already."""
        for caption in captions:
            number = self._numbers.setdefault(caption.image, len(self._numbers))
            if number == len(self._parts):
                self._parts.append(caption.part)
            cleaned = clean(caption.text)
            if not caption.image:
                self._left_out.add(caption.place, "no image")
            elif not cleaned:
                fault = "no caption" if not caption.text.strip() else f"nothing is left of {caption.text!r} once it is cleaned"
                self._left_out.add(caption.place, fault)
            elif caption.part != self._parts[number]:
                self._left_out.add(caption.place, f"'{caption.image}' is in the part {self._parts[number]} already")
            else:
                self._texts.append(caption.text)
                self._cleaned.append(cleaned)
                self._image_of.append(number)

    def gathered(self, images: Images | None, listed: Sequence[str]) -> Gathered:
        """What was taken, without images that are missing or have no caption.

        Args:
            images: where they are read; None: any name will do.
            listed: images that the file names beside their captions.

        Raises:
            DataError: too much is left out, or nothing is left.
        """
        self._left_out.finish(len(self._texts) + self._left_out.count)
        names = list(self._numbers)
        found = Gathered(names, names, self._parts, self._texts, self._cleaned, np.array(self._image_of, np.int64))
        if not self._texts:
            raise DataError(Problem("data.captions_path", "holds no caption"))
        left_out = LeftOut("images", self._spec.max_malformed)
        files = [name if images is None else images.find(name) for name in names]
        captions = np.bincount(found.image_of, minlength=len(names))
        for name, file, count in zip(names, files, captions.tolist(), strict=True):
            if file is None:
                left_out.add(f"'{name}'", "it is not there")
            elif not count:
                left_out.add(f"'{name}'", "it has no caption")
        without = [name for name in listed if name not in self._numbers]
        for name in without:
            left_out.add(f"'{name}'", "it has no caption")
        left_out.finish(len(names) + len(without))
        _tell_unused(images, files)
        kept = [number for number, file in enumerate(files) if file is not None and captions[number]]
        if not kept:
            raise DataError(Problem("data.images_path", "none of the captions' images is there"))
        return replace(found, files=[file or "" for file in files]).of_images(kept)


def _tell_unused(images: Images | None, files: Sequence[str | None]) -> None:
    """Images that no caption is of are no fault: official lists leave some out."""
    if images is None:
        return
    used = set(files)
    unused = [name for name in images.names() if name not in used]
    if unused:
        logging.getLogger("gatework").info("%d images have no caption and are not used, such as %s", len(unused), unused[0])


def listed(found: Gathered, lists: Mapping[str, Sequence[str]]) -> Gathered:
    """The images that lists name, each in its part.

    Raises:
        DataError: an image is in two lists, or a list names none of the images.
    """
    part_of: dict[str, str] = {}
    for part, names in lists.items():
        for name in names:
            if part_of.setdefault(name, part) != part:
                raise DataError(Problem(f"data.parts.{part}", f"'{name}' is in the list of the part {part_of[name]} too"))
    parts = [part_of.get(name) for name in found.images]
    for part in lists:
        if part not in parts:
            raise DataError(Problem(f"data.parts.{part}", "names none of the images that have captions"))
    return replace(found, parts=parts).of_images([number for number, part in enumerate(parts) if part is not None])


def sampled(found: Gathered, spec: CaptionsDataSpec) -> Gathered:
    """As many images or captions as the config wants."""
    if spec.max_images is not None and spec.max_images < len(found.images):
        return found.of_images(_chosen(len(found.images), spec.max_images, spec.sample_seed))
    if spec.max_captions is not None and spec.max_captions < len(found.texts):
        found = found.of_captions(_chosen(len(found.texts), spec.max_captions, spec.sample_seed))
        return found.of_images(np.unique(found.image_of))
    return found


def _chosen(count: int, most: int, seed: int | None) -> NDArray[np.int64]:
    if seed is None:
        return np.arange(most)
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def corpus_captions(captions: Iterable[tuple[str, str, str | None]]) -> Iterable[Caption]:
    """The captions of a corpus."""
    for number, (image, text, part) in enumerate(captions, start=1):
        place = f"caption {number:,}"
        yield Caption(image, text, None if part is None else part_named(part, place), place)
