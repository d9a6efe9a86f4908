"""Features of images from networks of keras.applications on TensorFlow; run in a process of their own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from framework.backends.base.random_convolutions import random_convolutions
from framework.errors import InputError, nearest
from framework.spec.features import InceptionV3Spec, KerasApplicationSpec, NetworkFeaturesSpec

_CONVOLUTION_AND_NORM = (keras.layers.Conv2D, keras.layers.BatchNormalization)


class KerasExtractor:
    """The last places of a network.

    Args:
        network: from ``(batch, size, size, 3)`` to ``(batch, rows, columns, width)``.
        prepare: what its pixels, from 0 to 255, go through first.
    """

    def __init__(self, network: Any, prepare: Callable[[Any], Any]) -> None:
        self.network = network
        self._prepare = prepare

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(batch, size, size, 3) uint8`` to ``(batch, places, width) float32``, places row by row."""
        found = np.asarray(self.network(self._prepare(images.astype(np.float32)), training=False), np.float32)
        return found.reshape(len(found), -1, found.shape[-1])


def inception_v3(spec: InceptionV3Spec) -> KerasExtractor:
    """Inception v3 without its pooling and classes.

    Raises:
        InputError: its weights cannot be had.
    """
    extractor = _application("InceptionV3", spec)
    if spec.random:  # the same as on torch, whose features of the same settings these are
        convolutions, norms = ([one for one in extractor.network.layers if isinstance(one, kind)] for kind in _CONVOLUTION_AND_NORM)
        drawn = random_convolutions([tuple(one.kernel.shape) for one in convolutions], spec.seed)
        for convolution, norm, (kernel, *others) in zip(convolutions, norms, drawn, strict=True):
            convolution.set_weights([kernel])
            norm.set_weights(others)
    return extractor


def keras_application(spec: KerasApplicationSpec) -> KerasExtractor:
    """Any network of keras.applications, without its pooling and classes.

    Raises:
        InputError: there is none of that name, or its weights cannot be had.
    """
    return _application(spec.application, spec)


def _application(name: str, spec: NetworkFeaturesSpec) -> KerasExtractor:
    known = {one: maker for one, maker in vars(keras.applications).items() if inspect.isfunction(maker)}
    if name not in known:
        close = nearest(name, known)
        raise InputError(f"data.features.application: keras.applications has no '{name}'{f'; did you mean {close}?' if close else ''}")
    keras.utils.set_random_seed(spec.seed)
    weights = None if spec.random else "imagenet"
    try:
        network = known[name](include_top=False, weights=weights, input_shape=(spec.image_size, spec.image_size, 3))
    except Exception as error:  # the network is down, the file is another one, or the size is too small for it
        hint = "" if spec.random else "; data.features.weights=random needs no weights, for tests"
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"data.features: keras.applications gives no '{name}' with weights '{spec.weights}': {reason}{hint}") from error
    module = inspect.getmodule(known[name])
    return KerasExtractor(network, module.preprocess_input)  # type: ignore[union-attr]
