"""The loop over time with a backward pass written by hand.

TensorFlow's own derivative of a loop makes, in every step, one product for the weight gradient and one with a transposed matrix. Here the
weight gradient is one product over all steps, the matrix is transposed once, and the derivatives of the gates come from saved outputs.

Milliseconds of a training step, median of five in turns in one process, TensorFlow 2.21 on two cores of an AMD EPYC with AVX2, other work
going on beside it (not measured on a GPU):

    batch, time, features, units   Keras 3   tf-keras   scan
    64, 100, 256, 1024             5202      5031       3260
    64, 16, 256, 1024              478       519        283
    64, 50, 256, 512               413       354        286
    32, 50, 128, 128               58        56         31
    1, 100, 256, 1024              761       732        245

and seconds of the processor, the least of five, where the loop is :mod:`~framework.backends.tensorflow.gru.loop`:

    batch, time, features, units   Keras 3   loop    scan     with XLA: Keras 3   loop    scan
    64, 16, 256, 1024              0.721     0.751   0.416              0.680     0.702   0.481
    32, 50, 128, 128               0.046     0.039   0.024              0.034     0.032   0.019
    1, 50, 256, 512                0.084     0.061   0.030              0.209     0.135   0.016
    1, 4, 256, 1024                0.039     0.032   0.029
    1, 2, 256, 1024                0.011     0.016   0.019
    1, 1, 256, 1024                0.010     0.011   0.019

So the scan serves all but the shortest: there, transposing the matrix costs more than it saves. A forward pass alone takes the same time
either way, and the loop keeps nothing for a backward pass: :mod:`~framework.backends.tensorflow.gru.layer` therefore takes the scan in
training alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from framework.backends.tensorflow.activations import slope
from framework.backends.tensorflow.gru.graphs import current_graph
from framework.backends.tensorflow.gru.loop import Projection, Steps, array, at_valid, carry, number_of_steps, per_step, run_steps, stacked
from framework.backends.tensorflow.gru.step import Gates, Step, mix

FEWEST_ROWS = 4
"""Batch times steps from which on the scan is faster; see the table above."""


def should_scan(step: Step, sequence: tf.Tensor) -> bool:
    """Whether the scan is to run.

    Args:
        step: the equations; the derivatives of both activations must be known.
        sequence: inputs, ``(time, batch, features)``.
    """
    if slope(step.activation) is None or slope(step.recurrent_activation) is None:
        return False
    steps, batch, _ = sequence.shape
    return steps is None or batch is None or steps * batch >= FEWEST_ROWS


def scan(step: Step, projection: Projection, sequence: tf.Tensor, state: tf.Tensor, mask: tf.Tensor | None, unroll: bool) -> tf.Tensor:
    """The same as :func:`~framework.backends.tensorflow.gru.loop.loop`, for activations whose derivatives are known."""
    weights = [step.recurrent_kernel] if step.recurrent_bias is None else [step.recurrent_kernel, step.recurrent_bias]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(projected: tf.Tensor, state: tf.Tensor, kernel: tf.Tensor, *bias: tf.Tensor) -> Any:
        forward = replace(step, recurrent_kernel=kernel, recurrent_bias=bias[0] if bias else None)
        *arrays, states = _forward(forward, projected, state, mask, unroll)
        kept = Kept(arrays, projected.shape[0], [state] * len(arrays))

        def backward(gradient: tf.Tensor) -> Sequence[tf.Tensor]:
            return _backward(forward, gradient, kept.here(unroll), mask, unroll)

        return stacked(states, projected.shape[0], state), backward

    result: tf.Tensor = run(projection(sequence), state, *weights)
    return result


class Kept:
    """What a forward pass keeps for its backward pass, wherever that is made.

    A loop's arrays serve the graph that made them and no other. Jacobians of what ran at once, gradients of a branch, and those that a
    SavedModel keeps are graphs of their own, which take plain tensors.

    Args:
        arrays: what is kept of each step.
        steps: how many, if known.
        likes: of each array what its steps are like, ``(batch, width)``.
    """

    def __init__(self, arrays: Sequence[Steps], steps: int | None, likes: Sequence[tf.Tensor | tf.TensorSpec]) -> None:
        self._arrays, self._steps, self._likes = arrays, steps, likes
        self._graph = current_graph()
        # Made now, since a graph that is done, such as one that is being saved, takes no more; nothing computes what nothing reads.
        self._tensors = None if self._graph is None else self._stacked()

    def here(self, unroll: bool) -> Sequence[Steps]:
        """The arrays, for a backward pass that is made now."""
        if unroll or current_graph() is self._graph:
            return self._arrays
        tensors = self._stacked() if self._tensors is None else self._tensors
        return [per_step(one, unroll=False) for one in tensors]

    def _stacked(self) -> list[tf.Tensor]:
        return [stacked(one, self._steps, like) for one, like in zip(self._arrays, self._likes, strict=True)]


def _forward(step: Step, projected: tf.Tensor, state: tf.Tensor, mask: tf.Tensor | None, unroll: bool) -> Sequence[Steps]:
    """The states that each step computes with, z, r, n and inner, and the states after each step."""
    steps = number_of_steps(projected)
    inputs, valid = per_step(projected, unroll), None if mask is None else per_step(mask, unroll)

    def body(time: Any, now: tf.Tensor, *saved: Steps) -> Sequence[Any]:
        ours = None if valid is None else valid.read(time)[:, None]
        used = at_valid(ours, now)
        gates = step.gates(inputs.read(time), used)
        new = carry(ours, mix(gates, used), now)
        return new, *(one.write(time, value) for one, value in zip(saved, (used, *gates, new), strict=True))

    return run_steps(body, steps, (state, *(array(steps, state, unroll) for _ in range(6))), unroll)[1:]


def _backward(step: Step, gradient: tf.Tensor, saved: Sequence[Steps], mask: tf.Tensor | None, unroll: bool) -> Sequence[tf.Tensor]:
    """Gradients of projected inputs, first state, recurrent kernel and, if there is one, recurrent bias.

    Args:
        step: the equations.
        gradient: of the states, ``(time, batch, units)``.
        saved: all but the last of what :func:`_forward` gives.
        mask: as in the forward pass.
        unroll: as in the forward pass.
    """
    steps = number_of_steps(gradient)
    given, valid = per_step(gradient, unroll), None if mask is None else per_step(mask, unroll)
    derive = Derivatives(step)

    def body(time: Any, later: tf.Tensor, *written: Steps) -> Sequence[Any]:
        total = later + given.read(time)
        now, *gates = (one.read(time) for one in saved)
        ours = None if valid is None else valid.read(time)[:, None]
        earlier, *parts = derive(at_valid(ours, total), now, Gates(*gates))
        earlier = carry(ours, earlier, total)
        return earlier, *(one.write(time, part) for one, part in zip(written, parts, strict=True))

    state = tf.zeros_like(gradient[0])
    wide = tf.concat([state] * 3, axis=-1)
    arrays = [array(steps, wide, unroll) for _ in range(2 if step.reset_after else 1)]
    first, *written = run_steps(body, steps, (state, *arrays), unroll, backwards=True)
    of_inputs = stacked(written[0], gradient.shape[0], wide)
    of_products = stacked(written[-1], gradient.shape[0], wide)
    before, *_, inner = (stacked(one, gradient.shape[0], state) for one in saved)
    return of_inputs, first, *derive.weights(before, inner, of_products)


class Derivatives:
    """The derivatives of one step, and of the weights over all steps."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.transposed = tf.transpose(step.recurrent_kernel)
        self.slope = slope(step.activation) or tf.identity
        self.gate_slope = slope(step.recurrent_activation) or tf.identity

    def __call__(self, total: tf.Tensor, now: tf.Tensor, gates: Gates) -> Sequence[tf.Tensor]:
        """One step.

        Args:
            total: gradient of the state after the step, ``(batch, units)``.
            now: state before the step.
            gates: as the forward pass had them.

        Returns:
            Gradients of the state before the step ``(batch, units)``, of the projected input ``(batch, 3 units)``, and, with
            ``reset_after``, of the product with the state ``(batch, 3 units)``, which is the same as that of the input otherwise.
        """
        z, r, new, inner = gates
        d_new = total * (1.0 - z) * self.slope(new)
        d_z = total * (now - new) * self.gate_slope(z)
        if self.step.reset_after:
            d_r = d_new * inner * self.gate_slope(r)
            d_product = tf.concat([d_z, d_r, d_new * r], axis=-1)
            earlier = total * z + self._back(d_product, 0)
            return earlier, tf.concat([d_z, d_r, d_new], axis=-1), d_product
        d_inner = self._back(d_new, 2)
        d_gates = tf.concat([d_z, d_inner * now * self.gate_slope(r)], axis=-1)
        earlier = total * z + d_inner * r + self._back(d_gates, 0)
        return earlier, tf.concat([d_gates, d_new], axis=-1)

    def weights(self, before: tf.Tensor, inner: tf.Tensor, products: tf.Tensor) -> Sequence[tf.Tensor]:
        """Gradients of the recurrent kernel ``(units, 3 units)`` and, if there is one, of the recurrent bias ``(3 units,)``.

        Args:
            before: states before each step, ``(time, batch, units)``.
            inner: of each step's gates, ``(time, batch, units)``.
            products: gradient of each step's product, ``(time, batch, 3 units)``.
        """
        units, masks = self.step.units, self.step.masks
        if len(masks) < 2 and self.step.reset_after:
            kernel = sum_of_products(before * masks[0] if masks else before, products)
        else:
            factors = (before, before, before if self.step.reset_after else inner)
            every: Sequence[Any] = masks if len(masks) == 3 else [*masks, None][:1] * 3
            masked = [factor if mask is None else factor * mask for factor, mask in zip(factors, every, strict=True)]
            parts = [products[..., gate * units : (gate + 1) * units] for gate in range(3)]
            kernel = tf.concat([sum_of_products(*pair) for pair in zip(masked, parts, strict=True)], axis=-1)
        return (kernel,) if self.step.recurrent_bias is None else (kernel, tf.raw_ops.BiasAddGrad(out_backprop=products))

    def _back(self, gradient: tf.Tensor, first: int) -> tf.Tensor:
        """Gradient of the state from that of its product with neighbouring gates' columns, the gate ``first`` leading."""
        units, masks = self.step.units, self.step.masks
        if len(masks) < 2:
            rows = self.transposed[first * units : first * units + gradient.shape[1]]
            product = gradient @ rows
            return product * masks[0] if masks else product
        gates = gradient.shape[1] // units
        parts = tf.split(gradient, gates, axis=-1)
        rows = [self.transposed[gate * units : (gate + 1) * units] for gate in range(first, first + gates)]
        return tf.add_n([(part @ row) * mask for part, row, mask in zip(parts, rows, masks[first:], strict=False)])


def sum_of_products(factors: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
    """Sum over all steps and rows of outer products: ``(time, batch, units)``, ``(time, batch, columns)`` -> ``(units, columns)``."""
    left, right = (tf.reshape(part, (-1, part.shape[2])) for part in (factors, gradients))
    return tf.matmul(left, right, transpose_a=True)
