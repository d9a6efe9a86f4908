"""An activation by itself."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.tensorflow.identifiers import activation
from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.elementwise import ActivationSpec


@builds("activation")
def build_activation(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Applies an activation."""
    return keras.layers.Activation(activation(cast(ActivationSpec, planned.spec).activation), **context.shared(planned))
