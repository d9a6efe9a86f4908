"""The table of kinds of features: what computes each, imported only when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
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
class Place:
    """Where something that computes features is.

    Attributes:
        function: ``module:name`` of a function from the settings to an :class:`Extractor`.
        package: what has to be installed for it; None where nobody has to look, as there is no other place.
    """

    function: str
    package: str | None = None


@dataclass(frozen=True)
class ExtractorKind:
    """What computes a kind of features.

    Attributes:
        places: where it is; the first whose package is installed is taken. All give the same features, up to rounding.
        apart: whether it runs in a process of its own, as what it needs is large or does not get on with a backend.
    """

    places: tuple[Place, ...]
    apart: bool = True

    def make(self, spec: PixelFeaturesSpec) -> Extractor:
        """The extractor.

        Raises:
            InputError: what it needs is not installed, or its weights cannot be had.
        """
        place = self.place(spec.kind)
        module, _, name = place.partition(":")
        try:
            maker: Callable[[PixelFeaturesSpec], Extractor] = getattr(import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise InputError(f"data.features.kind: {place}, which computes '{spec.kind}', cannot be imported: {error}") from error
        return maker(spec)

    def place(self, kind: str) -> str:
        """The function that computes it on this machine. Packages are looked for, none is imported.

        Args:
            kind: its name, for the error.

        Raises:
            InputError: no package that could compute it is installed.
        """
        for place in self.places:
            if place.package is None or find_spec(place.package) is not None:
                return place.function
        extras = " or ".join(f"pip install 'gatework[{place.package}]'" for place in self.places)
        raise InputError(f"data.features.kind: {kind} needs a package that is not installed: {extras}")


EXTRACTORS: Registry[ExtractorKind] = Registry("data.features.kind", "kind of features")
"""What computes features, by kind; those that are read from a file have nothing here."""
# Named by their places: a backend is imported in the process that computes with it, and by nobody here.
_TORCH, _TENSORFLOW = "framework.backends.torch.features", "framework.backends.tensorflow.features"
EXTRACTORS.add("patches", ExtractorKind((Place("framework.data.features.patches:Patches"),), apart=False))
EXTRACTORS.add("efficientnet_lite0", ExtractorKind((Place(f"{_TORCH}:efficientnet_lite0"),)))
EXTRACTORS.add("timm", ExtractorKind((Place(f"{_TORCH}:timm_network"),)))
EXTRACTORS.add(
    "inception_v3", ExtractorKind((Place(f"{_TORCH}:inception_v3", "torch"), Place(f"{_TENSORFLOW}:inception_v3", "tensorflow")))
)
EXTRACTORS.add("keras_application", ExtractorKind((Place(f"{_TENSORFLOW}:keras_application"),)))


def feature_kind(spec: type[PixelFeaturesSpec], place: str, apart: bool = True) -> None:
    """Register a kind of features, so that configs may say ``data.features.kind``. For plug-ins.

    Args:
        spec: the kind's settings; the default of its field ``kind`` is the kind's name.
        place: ``module:name`` of a function from these settings to an :class:`Extractor`; imported when it is needed.
        apart: whether it is to run in a process of its own.
    """
    kind: Any = spec.model_fields["kind"].default
    EXTRACTORS.add(kind, ExtractorKind((Place(place),), apart), place)
    FEATURE_KINDS.add(kind, spec)
