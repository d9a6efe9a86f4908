"""Keras' optimizers from specs, and names of their slots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from framework.errors import UnsupportedArgument
from framework.spec.optimizer import OptimizerSpec
from framework.spec.trainer import TrainerSpec

CLASSES: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
}

SLOTS = ("momentum", "velocity", "average_gradient")
"""What Keras' optimizers keep for each weight."""


def optimizer_identity(spec: OptimizerSpec, trainer: TrainerSpec) -> str:
    """What makes two optimizers the same one: all constants but the learning rate, which is set anew at every step."""
    constants = spec.model_dump(exclude={"learning_rate", "schedule"})
    return repr((constants, trainer.gradient_clip_val, trainer.gradient_clip_algorithm))


def make_optimizer(spec: OptimizerSpec, trainer: TrainerSpec, precision: str) -> keras.optimizers.Optimizer:
    """The optimizer with the spec's constants and the trainer's clipping.

    The learning rate is a variable that every step sets. In float64 the constants are NumPy's, because TensorFlow rounds Python's to
    float32 on the way.

    Args:
        spec: kind and constants.
        trainer: clipping.
        precision: of the model.

    Raises:
        UnsupportedArgument: no such optimizer.
    """
    made = CLASSES.get(spec.kind)
    if made is None:
        raise UnsupportedArgument(f"optimizer.kind: no '{spec.kind}' on TensorFlow; expected one of {', '.join(CLASSES)}")
    double = precision == "64-true"
    constants: dict[str, Any] = spec.model_dump(exclude={"kind", "learning_rate", "schedule"})
    if trainer.gradient_clip_val is not None:
        clipping = "global_clipnorm" if trainer.gradient_clip_algorithm == "norm" else "clipvalue"
        constants[clipping] = trainer.gradient_clip_val
    if double:
        constants = {name: np.float64(value) if isinstance(value, float) else value for name, value in constants.items()}
    with _default_float("float64" if double else "float32"):
        return made(learning_rate=float(spec.learning_rate), name=spec.kind, **constants)


@contextmanager
def _default_float(name: str) -> Iterator[None]:
    """Keras makes the learning rate's variable in its default data type."""
    before = keras.config.floatx()
    keras.config.set_floatx(name)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def optimizer_variables(optimizer: keras.optimizers.Optimizer, weights: Mapping[str, keras.Variable]) -> dict[str, keras.Variable]:
    """What a built optimizer keeps, by ``slot/layer/weight``, and ``iterations``.

    Args:
        optimizer: built for ``weights``.
        weights: the trainable weights by name, in the order that it was built with.
    """
    found = {"iterations": optimizer.iterations}
    for slot in SLOTS:
        kept = [variable for variable in optimizer.variables if variable.name.endswith(f"_{slot}")]
        if kept:
            found.update({f"{slot}/{name}": variable for name, variable in zip(weights, kept, strict=True)})
    return found
