"""Masks the steps that hold one value alone."""

from __future__ import annotations

from typing import cast

import keras

from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.elementwise import MaskingSpec


@builds("masking")
def build_masking(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Masks the steps of ``(batch, time, features)`` that hold ``mask_value`` alone."""
    return keras.layers.Masking(cast(MaskingSpec, planned.spec).mask_value, **context.shared(planned))
