"""First weights in half precisions."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def in_float32(initializer: Any) -> Any:
    """The initializer, computing in float32 where a half precision is asked for: TensorFlow has no orthogonal matrices in bfloat16."""

    def initialize(shape: Any, dtype: Any = None) -> tf.Tensor:
        low = dtype in ("bfloat16", "float16")
        return tf.cast(initializer(shape, dtype="float32" if low else dtype), dtype)

    return None if initializer is None else initialize
