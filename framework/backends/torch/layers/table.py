"""Which class builds which layer kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from framework.backends.torch.layers.base import Layer, Setting
from framework.builder.plan import PlannedLayer
from framework.errors import UnsupportedArgument, nearest

Builder = Callable[[PlannedLayer, Setting], Layer]

BUILDERS: dict[str, Builder] = {}
"""Layer kinds by name; filled by :func:`builds`."""

AnyBuilder = TypeVar("AnyBuilder", bound=Builder)


def builds(kind: str) -> Callable[[AnyBuilder], AnyBuilder]:
    """Makes a :class:`Layer` class, or a function that gives one, the builder of a layer kind.

    Raises:
        ValueError: another builder has that kind already.
    """

    def register(builder: AnyBuilder) -> AnyBuilder:
        if BUILDERS.setdefault(kind, builder) is not builder:
            raise ValueError(f"layer kind '{kind}' is built by {BUILDERS[kind]!r} already")
        return builder

    return register


def build_layer(planned: PlannedLayer, setting: Setting) -> Layer:
    """The module of a planned layer, with its weights still to be set.

    Raises:
        UnsupportedArgument: this backend does not build the kind, or cannot honour one of its arguments.
    """
    builder = BUILDERS.get(planned.kind)
    if builder is None:
        close = nearest(planned.kind, BUILDERS)
        suggestion = f"; did you mean '{close}'?" if close else ""
        known = ", ".join(sorted(BUILDERS))
        raise UnsupportedArgument(f"layer '{planned.name}': the torch backend builds no kind '{planned.kind}', only {known}{suggestion}")
    return builder(planned, setting)
