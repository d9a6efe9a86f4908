"""Which function builds which layer kind on Keras."""

from __future__ import annotations

import keras

from framework.backends.base.layer_builders import LAYER_BUILDERS
from framework.backends.tensorflow.layers.base import BuildContext
from framework.builder.plan import PlannedLayer
from framework.errors import UnsupportedArgument

builds = LAYER_BUILDERS["tensorflow"].builds
"""Makes a function of (planned layer, context) that gives an unbuilt Keras layer the builder of a layer kind."""


def build_layer(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """The native layer, without weights yet.

    Raises:
        UnsupportedArgument: there is no builder for the kind, or Keras refuses an argument; the layer is named.
    """
    builder = LAYER_BUILDERS["tensorflow"].builder(planned.kind, planned.name)
    try:
        return builder(planned, context)
    except (TypeError, ValueError) as error:
        raise UnsupportedArgument(f"model.layers.{planned.name}: Keras refuses it: {error}") from error
    except UnsupportedArgument as error:
        if planned.name in str(error):
            raise
        raise UnsupportedArgument(f"model.layers.{planned.name}: {error}") from error
