"""Which class builds which layer kind on a backend; a class that is named by its place is imported when its first layer is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

from framework.backends.base.registry import BACKENDS
from framework.errors import UnsupportedArgument, nearest
from framework.registry import Registry

AnyBuilder = TypeVar("AnyBuilder", bound=Callable[..., Any])


class LayerBuilders:
    """One backend's builders by layer kind.

    Args:
        backend: name of the backend.
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._builders: Registry[Callable[..., Any] | str] = Registry("model.layers", f"{backend} layer")

    def builds(self, kind: str) -> Callable[[AnyBuilder], AnyBuilder]:
        """Makes a class or function the builder of a layer kind: it is called with the planned layer and what the model's layers share.

        Raises:
            DataError: the kind has another builder already.
        """

        def register(builder: AnyBuilder) -> AnyBuilder:
            self._builders.add(kind, builder)
            return builder

        return register

    def add(self, kind: str, place: str) -> None:
        """Makes ``module:name`` the builder of a layer kind; it is not imported before it is needed.

        Raises:
            DataError: the kind has another builder already.
        """
        self._builders.add(kind, place)

    def builder(self, kind: str, layer: str) -> Callable[..., Any]:
        """The builder of a layer kind.

        Args:
            kind: of the layer.
            layer: its name, for messages.

        Raises:
            UnsupportedArgument: there is none on this backend, or it cannot be imported.
        """
        found = self._builders.get(kind)
        if found is None:
            close = nearest(kind, self._builders)
            known = ", ".join(sorted(self._builders)) + (f"; did you mean '{close}'?" if close else "")
            raise UnsupportedArgument(f"model.layers.{layer}.kind: the {self.backend} backend builds no kind '{kind}', only {known}")
        return _imported(found, layer) if isinstance(found, str) else found


def _imported(place: str, layer: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    try:
        return getattr(import_module(module), name)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as error:
        raise UnsupportedArgument(f"model.layers.{layer}.kind: {place}, which builds it, cannot be imported: {error}") from error


LAYER_BUILDERS: Mapping[str, LayerBuilders] = {name: LayerBuilders(name) for name in BACKENDS}
"""By backend."""


def builds(kind: str, **places: str) -> None:
    """Says what builds a layer kind: ``builds("scale", torch="mine.torch:Scale", tensorflow="mine.keras:scale")``. For plug-ins.

    On torch that is a :class:`~framework.backends.torch.layers.base.Layer`, made of (planned layer, setting); on TensorFlow a function of
    (planned layer, context) that gives an unbuilt Keras layer. A backend that is left out refuses the kind by name.

    Args:
        kind: name of the layer kind.
        **places: ``module:name`` by backend.

    Raises:
        DataError: the kind has another builder already.
        UnsupportedArgument: there is no backend of such a name.
    """
    for backend, place in places.items():
        if backend not in LAYER_BUILDERS:
            raise UnsupportedArgument(f"there is no backend '{backend}', only {' and '.join(LAYER_BUILDERS)}")
        LAYER_BUILDERS[backend].add(kind, place)
