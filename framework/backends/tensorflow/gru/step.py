"""The equations of the GRU: the product of the inputs, and one step.

Gates stand in Keras' order z (update), r (reset), n (candidate)::

    z = s(x Wz + bz + h Uz + cz)        r = s(x Wr + br + h Ur + cr)        h' = z h + (1 - z) n
    reset_after:      n = f(x Wn + bn + r (h Un + cn))
    not reset_after:  n = f(x Wn + bn + (r h) Un)

Source: Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder", equations 5 to 8 (arXiv 1406.1078, v3 for the reset
before the product, v1 for the reset after it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from framework.backends.tensorflow.activations import Activation, slope


class Gates(NamedTuple):
    """What one step computes, each ``(batch, units)``.

    Attributes:
        z: update gate.
        r: reset gate.
        new: candidate state n.
        inner: ``h Un + cn``, or ``r h`` where the reset comes before the product.
    """

    z: tf.Tensor
    r: tf.Tensor
    new: tf.Tensor
    inner: tf.Tensor


@dataclass(frozen=True)
class Step:
    """One step, all but the product of the input.

    Attributes:
        recurrent_kernel: ``(units, 3 units)``.
        recurrent_bias: ``(3 units,)``, or None.
        activation: f.
        recurrent_activation: s.
        reset_after: whether the reset gate comes after the product.
        masks: dropout masks of the state for z, r, n, each ``(batch, units)``; or one for all; empty for none.
    """

    recurrent_kernel: tf.Tensor
    recurrent_bias: tf.Tensor | None
    activation: Activation
    recurrent_activation: Activation
    reset_after: bool
    masks: Sequence[tf.Tensor] = ()

    @property
    def units(self) -> int:
        """Width of the state."""
        return int(self.recurrent_kernel.shape[0])

    def __call__(self, projected: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        """The next state ``(batch, units)``; arguments as for :meth:`gates`."""
        return mix(self.gates(projected, state), state)

    def gates(self, projected: tf.Tensor, state: tf.Tensor) -> Gates:
        """All but the last line of the equations.

        Args:
            projected: ``x W + b`` of this step, ``(batch, 3 units)``.
            state: ``(batch, units)``.
        """
        units = self.units
        if not self.reset_after:
            hidden = self.product(state, self.recurrent_kernel[:, : 2 * units])
            z, r = self._activated(projected[:, : 2 * units] + hidden)
            inner = r * state
            new = self.activation(projected[:, 2 * units :] + self.product(inner, self.recurrent_kernel[:, 2 * units :], first=2))
            return Gates(z, r, new, inner)
        hidden = self.product(state, self.recurrent_kernel)
        if self.recurrent_bias is not None:
            hidden = tf.nn.bias_add(hidden, self.recurrent_bias)
        z, r = self._activated(projected[:, : 2 * units] + hidden[:, : 2 * units])
        inner = hidden[:, 2 * units :]
        return Gates(z, r, self.activation(projected[:, 2 * units :] + r * inner), inner)

    def _activated(self, sums: tf.Tensor) -> list[tf.Tensor]:
        """The gates z and r from ``(batch, 2 units)``; at once only where it is known that the function looks at each value by itself."""
        if slope(self.recurrent_activation) is None:
            return [self.recurrent_activation(part) for part in tf.split(sums, 2, axis=-1)]
        gates: list[tf.Tensor] = tf.split(self.recurrent_activation(sums), 2, axis=-1)
        return gates

    def product(self, state: tf.Tensor, kernel: tf.Tensor, first: int = 0) -> tf.Tensor:
        """``h U`` of neighbouring gates, with dropout.

        Args:
            state: ``(batch, units)``.
            kernel: their columns of the recurrent kernel.
            first: the gate that the columns begin with: 0 for z, 2 for n.
        """
        if len(self.masks) < 2:
            return multiplied(state * self.masks[0] if self.masks else state, kernel)
        parts = tf.split(kernel, kernel.shape[1] // self.units, axis=-1)
        return tf.concat([multiplied(state * mask, part) for mask, part in zip(self.masks[first:], parts, strict=False)], axis=-1)


def mix(gates: Gates, state: tf.Tensor) -> tf.Tensor:
    """``z h + (1 - z) n``."""
    return gates.new + gates.z * (state - gates.new)


def project(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None, masks: Sequence[tf.Tensor] = ()) -> tf.Tensor:
    """``x W + b`` of all steps in one product.

    Args:
        inputs: ``(time, batch, features)``, or ``(batch, features)`` for one step.
        kernel: ``(features, 3 units)``.
        bias: ``(3 units,)``, or None.
        masks: no dropout mask of the inputs, one, or one each for z, r, n; each ``(batch, features)``.

    Returns:
        ``(time, batch, 3 units)``, or ``(batch, 3 units)``.
    """
    if len(masks) == 3:
        kernels = tf.split(kernel, 3, axis=-1)
        product = tf.concat([_product(inputs * mask, part) for mask, part in zip(masks, kernels, strict=True)], axis=-1)
    else:
        product = _product(inputs * masks[0] if masks else inputs, kernel)
    # Unlike that of a sum, its derivative is fast: a quarter of the time.
    return product if bias is None else tf.nn.bias_add(product, bias)


def multiplied(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """``x kernel``; in the kernel's data type where that is another one, and back in that of ``x``."""
    return x @ kernel if x.dtype == kernel.dtype else tf.cast(tf.cast(x, kernel.dtype) @ kernel, x.dtype)


def _product(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The product over the last axis, as one of matrices: a batched one is slower."""
    if inputs.shape.rank == 2:
        return multiplied(inputs, kernel)
    shape = tf.shape(inputs)
    flat = tf.reshape(inputs, (-1, kernel.shape[0])) @ kernel
    product = tf.reshape(flat, tf.stack([shape[0], shape[1], kernel.shape[1]]))
    product.set_shape((inputs.shape[0], inputs.shape[1], kernel.shape[1]))
    return product
