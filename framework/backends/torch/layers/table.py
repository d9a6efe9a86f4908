"""Which class builds which layer kind on torch."""

from __future__ import annotations

from framework.backends.base.layer_builders import LAYER_BUILDERS
from framework.backends.torch.layers.base import Layer, Setting
from framework.builder.plan import PlannedLayer

builds = LAYER_BUILDERS["torch"].builds
"""Makes a :class:`Layer` class, or a function that gives one, the builder of a layer kind."""


def build_layer(planned: PlannedLayer, setting: Setting) -> Layer:
    """The module of a planned layer, with its weights still to be set.

    Raises:
        UnsupportedArgument: this backend does not build the kind, or cannot honour one of its arguments.
    """
    layer: Layer = LAYER_BUILDERS["torch"].builder(planned.kind, planned.name)(planned, setting)
    return layer
