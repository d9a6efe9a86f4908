"""Extractors that stay: a model that is asked again and again does not start a process for each question."""

from __future__ import annotations

import json
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from framework.data.features.apart import ApartExtractor
from framework.data.features.extractor import EXTRACTORS, Extractor
from framework.errors import GateworkError
from framework.spec.features import PixelFeaturesSpec

_running: dict[str, Extractor] = {}
_one_at_a_time = Lock()


def extract_lasting(spec: PixelFeaturesSpec, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Features of images; what computes them is made at the first call and stays until this process ends.

    Args:
        spec: kind and settings.
        images: ``(batch, size, size, 3) uint8``.

    Returns:
        ``(batch, places, width) float32``.

    Raises:
        InputError: what it needs is not installed, or its weights cannot be had.
        TrainingError: its process has ended; the next call starts another one.
    """
    key = json.dumps(spec.model_dump(mode="json"), sort_keys=True)
    with _one_at_a_time:
        if key not in _running:
            kind = EXTRACTORS.named(spec.kind)
            _running[key] = ApartExtractor(spec).__enter__() if kind.apart else kind.make(spec)
        try:
            return _running[key](images)
        except GateworkError as error:
            broken = _running.pop(key)
            if isinstance(broken, ApartExtractor):
                broken.__exit__(type(error), error, None)
            raise
