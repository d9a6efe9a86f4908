"""The GRU layer: training step and forward pass against ``nn.GRU``, Keras' GRU and tf-keras' GRU."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.product import Product, limit_seconds, share
from benchmarks.turns import in_turns

SHAPES = ((64, 100, 256, 1024), (64, 16, 256, 1024), (64, 50, 256, 512), (32, 50, 128, 128), (1, 100, 256, 1024), (1, 1, 256, 1024))
"""(batch, time, features, units)."""

VARIANTS: dict[str, dict[str, Any]] = {"recurrent_dropout": {"recurrent_dropout": 0.2}, "reset_after=False": {"reset_after": False}}
"""Settings that no fused kernel has, measured at the first shape against our plain layer."""

Pair = tuple[Callable[[], object], Callable[[], object]]
"""A training step and a forward pass."""


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each shape: milliseconds, ratios, GFLOP/s, and what its matrix products alone would take of the time."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    shapes = SHAPES
    if arguments.shapes:
        shapes = tuple(tuple(int(part) for part in shape.split(",")) for shape in arguments.shapes.split(";"))  # type: ignore[assignment]
    rows: list[dict[str, Any]] = []
    for number, shape in enumerate(shapes):
        limits = {phase: limit_seconds(products(shape, phase), arguments.dtype) for phase in ("training", "forward")}
        found = dict(contestants(shape, arguments.dtype, with_variants=number == 0))
        if arguments.only:
            found = {name: pair for name, pair in found.items() if name in arguments.only.split(",")}
        for which, (phase, limit) in enumerate(limits.items()):
            seconds = in_turns({name: pair[which] for name, pair in found.items()}, arguments.rounds)
            rows.extend(_rows(shape, phase, seconds, limit))
    return rows


def products(shape: tuple[int, int, int, int], phase: str) -> list[Product]:
    """The matrix products of a layer that every path has to make.

    The inputs' one of all steps and the state's one of each; in training also their transposed ones for the gradients of inputs and states
    (that of the first state is not asked for), and those of the weights' gradients, one over all steps.

    Args:
        shape: (batch, time, features, units).
        phase: ``training`` or ``forward``.
    """
    batch, time, features, units = shape
    rows, gates = batch * time, 3 * units
    found = [Product(rows, features, gates), Product(batch, units, gates, time)]
    if phase == "training":
        found += [Product(rows, gates, features), Product(batch, gates, units, time - 1)]
        found += [Product(features, rows, gates), Product(units, rows, gates)]
    return found


def _rows(shape: tuple[int, int, int, int], phase: str, seconds: dict[str, float], limit: float) -> Iterator[dict[str, Any]]:
    batch, time, features, units = shape
    flops = 2 * batch * time * 3 * units * (features + units) * (3 if phase == "training" else 1)
    for name, value in seconds.items():
        speed = flops / value / 1e9
        row: dict[str, Any] = {"batch, time, features, units": ", ".join(map(str, shape)), "phase": phase, "layer": name}
        share_of_limit = share(f"{name}, {phase} at {shape}", limit, value)
        row |= {"ms": value * 1e3, "GFLOP/s": speed, "matrix products alone": share_of_limit}
        for other, label in (("torch.nn.GRU", "× nn.GRU"), ("keras.layers.GRU", "× Keras"), ("tf_keras GRU", "× tf-keras")):
            row[label] = seconds[other] / value if other in seconds and other != name else None
        yield row


def contestants(
    shape: tuple[int, int, int, int], dtype: str, with_variants: bool, backend: str | None = None
) -> Iterator[tuple[str, Pair]]:
    """The layers at one shape, by name.

    Args:
        shape: (batch, time, features, units).
        dtype: ``float32``, or ``bfloat16`` for torch alone.
        with_variants: also the settings of :data:`VARIANTS`.
        backend: ``torch`` or ``tensorflow``; both when not given.
    """
    if backend != "tensorflow":
        yield from _torch(shape, dtype, VARIANTS if with_variants else {})
    if dtype == "float32" and backend != "torch":
        yield from _tensorflow(shape)


def _torch(shape: tuple[int, int, int, int], dtype: str, variants: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Pair]]:
    import torch

    from framework.backends.torch import GRU

    batch, time, features, units = shape
    kind = getattr(torch, dtype)
    inputs = torch.randn(batch, time, features, dtype=kind)
    gradient = torch.randn(batch, time, units, dtype=kind)

    def pair(layer: torch.nn.Module) -> Pair:
        def train() -> None:
            x = inputs.detach().requires_grad_()
            layer.zero_grad()
            output = layer(x)
            (output[0] if isinstance(output, tuple) else output).backward(gradient)

        def forward() -> object:
            with torch.inference_mode():
                return layer(inputs)

        return train, forward

    yield "gatework torch", pair(GRU(units, return_sequences=True, input_shape=(time, features), dtype=dtype))
    yield "torch.nn.GRU", pair(torch.nn.GRU(features, units, batch_first=True, dtype=kind))
    for name, settings in variants.items():
        yield f"gatework torch, {name}", pair(GRU(units, return_sequences=True, input_shape=(time, features), dtype=dtype, **settings))


def _tensorflow(shape: tuple[int, int, int, int]) -> Iterator[tuple[str, Pair]]:
    import keras
    import tensorflow as tf
    import tf_keras

    from framework.backends.tensorflow import GRU

    batch, time, features, units = shape
    inputs = tf.random.normal((batch, time, features))
    gradient = tf.random.normal((batch, time, units))

    def pair(layer: Any) -> Pair:
        layer.build((batch, time, features))

        @tf.function(jit_compile=False)
        def train() -> Any:
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                output = layer(inputs, training=True)
            return tape.gradient(output, [inputs, *layer.trainable_variables], output_gradients=gradient)

        forward = tf.function(lambda: layer(inputs, training=False), jit_compile=False)
        return (lambda: train()[-1].numpy()), (lambda: forward().numpy())

    yield "gatework tensorflow", pair(GRU(units, return_sequences=True))
    yield "keras.layers.GRU", pair(keras.layers.GRU(units, return_sequences=True))
    yield "tf_keras GRU", pair(tf_keras.layers.GRU(units, return_sequences=True))
