"""What a layer does in one step while a model decodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from framework.decoding.precision import LARGE, Precision

LOWER = {"bfloat16": tf.bfloat16}
"""What large kernels can be kept in beside their own data type; TensorFlow's CPU kernels multiply no int8 with float32."""

Held = Mapping[str, tf.Tensor]
"""A layer's states by name, each ``(rows, …)``; beside them its constants, if it has any, one row for each group of rows."""


class Formed(NamedTuple):
    """What a step gives: the layer's outputs by name, and its new states."""

    outputs: Mapping[str, tf.Tensor]
    states: Held


Form = Callable[[Sequence[tf.Tensor], tf.Tensor, Held], Formed]
"""From what a layer reads, the decoded tokens and what it holds; a layer that looks up the tokens itself reads nothing."""


class Constants(NamedTuple):
    """What a layer makes before the first step.

    Attributes:
        specs: of its constants by name, a row for each group first.
        make: from what its fields other than ``inputs`` name.
    """

    specs: Mapping[str, tf.TensorSpec]
    make: Callable[[Mapping[str, Sequence[tf.Tensor]]], Held]


def kept_in(precision: Precision, kernel: tf.Tensor) -> tf.Tensor:
    """A kernel as a step of that precision keeps it: rounded where it is large and in float32."""
    if precision == "float32" or kernel.dtype != tf.float32 or kernel.shape.num_elements() < LARGE:
        return kernel
    return tf.cast(kernel, LOWER[precision])
