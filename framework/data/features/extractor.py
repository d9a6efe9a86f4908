"""The table of kinds of features: what computes each, imported only when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from framework.errors import InputError
from framework.registry import Registry
from framework.spec.features import FEATURE_KINDS, PixelFeaturesSpec


class Extractor(Protocol):
    """Computes features of images."""

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(batch, size, size, 3) uint8`` to ``(batch, places, width) float32``, places row by row."""
        ...


@dataclass(frozen=True)
class ExtractorKind:
    """What computes a kind of features.

    Attributes:
        place: ``module:name`` of a function from the settings to an :class:`Extractor`.
        apart: whether it runs in a process of its own, as what it needs is large or does not get on with a backend.
    """

    place: str
    apart: bool = True

    def make(self, spec: PixelFeaturesSpec) -> Extractor:
        """The extractor.

        Raises:
            InputError: what it needs is not installed, or its weights cannot be had.
        """
        module, _, name = self.place.partition(":")
        try:
            maker: Callable[[PixelFeaturesSpec], Extractor] = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise InputError(f"data.features.kind: {self.place}, which computes '{spec.kind}', cannot be imported: {error}") from error
        return maker(spec)


EXTRACTORS: Registry[ExtractorKind] = Registry("data.features.kind", "kind of features")
"""What computes features, by kind; those that are read from a file have nothing here."""
EXTRACTORS.add("patches", ExtractorKind("framework.data.features.patches:Patches", apart=False))
# Named by their places: a backend is imported in the process that computes with it, and by nobody here.
EXTRACTORS.add("efficientnet_lite0", ExtractorKind("framework.backends.torch.features:efficientnet_lite0"))
EXTRACTORS.add("timm", ExtractorKind("framework.backends.torch.features:timm_network"))
EXTRACTORS.add("inception_v3", ExtractorKind("framework.backends.tensorflow.features:inception_v3"))
EXTRACTORS.add("keras_application", ExtractorKind("framework.backends.tensorflow.features:keras_application"))


def feature_kind(spec: type[PixelFeaturesSpec], place: str, apart: bool = True) -> None:
    """Register a kind of features, so that configs may say ``data.features.kind``. For plug-ins.

    Args:
        spec: the kind's settings; the default of its field ``kind`` is the kind's name.
        place: ``module:name`` of a function from these settings to an :class:`Extractor`; imported when it is needed.
        apart: whether it is to run in a process of its own.
    """
    kind: Any = spec.model_fields["kind"].default
    EXTRACTORS.add(kind, ExtractorKind(place, apart), place)
    FEATURE_KINDS.add(kind, spec)
