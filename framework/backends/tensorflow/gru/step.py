"""The equations of the GRU: the product of the inputs, and one step.

Gates stand in Keras' order z (update), r (reset), h (candidate)::

    z = s(x Wz + bz + h Uz + cz)        r = s(x Wr + br + h Ur + cr)        h' = z h + (1 - z) n
    reset_after:      n = f(x Wh + bh + r (h Uh + ch))
    not reset_after:  n = f(x Wh + bh + (r h) Uh)

Source: Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder", equations 5 to 8 (arXiv 1406.1078, v3 for the reset
before the product, v1 for the reset after it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from framework.backends.tensorflow.gru.activations import Activation


@dataclass(frozen=True)
class Step:
    """One step, all but the product of the input.

    Attributes:
        recurrent_kernel: ``(units, 3 units)``.
        recurrent_bias: ``(3 units,)``, or None.
        activation: f.
        recurrent_activation: s.
        reset_after: whether the reset gate comes after the product.
        masks: dropout masks of the state for z, r, h, each ``(batch, units)``; empty for none.
    """

    recurrent_kernel: tf.Tensor
    recurrent_bias: tf.Tensor | None
    activation: Activation
    recurrent_activation: Activation
    reset_after: bool
    masks: Sequence[tf.Tensor] = ()

    def __call__(self, projected: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        """The next state.

        Args:
            projected: ``x W + b`` of this step, ``(batch, 3 units)``.
            state: ``(batch, units)``.
        """
        x_z, x_r, x_h = tf.split(projected, 3, axis=-1)
        if self.reset_after:
            h_z, h_r, h_h = self._recurrent(state)
            z, r = self.recurrent_activation(x_z + h_z), self.recurrent_activation(x_r + h_r)
            new = self.activation(x_h + r * h_h)
        else:
            units = self.recurrent_kernel.shape[0]
            h_z, h_r = self._gates(state)
            z, r = self.recurrent_activation(x_z + h_z), self.recurrent_activation(x_r + h_r)
            masked = state * self.masks[2] if self.masks else state
            new = self.activation(x_h + (r * masked) @ self.recurrent_kernel[:, 2 * units :])
        return z * state + (1.0 - z) * new

    def _recurrent(self, state: tf.Tensor) -> list[tf.Tensor]:
        """``h U + c`` for z, r, h."""
        if not self.masks:
            product = state @ self.recurrent_kernel
            return list(tf.split(product if self.recurrent_bias is None else product + self.recurrent_bias, 3, axis=-1))
        kernels = tf.split(self.recurrent_kernel, 3, axis=-1)
        products = [(state * mask) @ kernel for mask, kernel in zip(self.masks, kernels, strict=True)]
        if self.recurrent_bias is None:
            return products
        return [product + bias for product, bias in zip(products, tf.split(self.recurrent_bias, 3, axis=-1), strict=True)]

    def _gates(self, state: tf.Tensor) -> list[tf.Tensor]:
        """``h U`` for z and r, for the reset before the product, which has no recurrent bias."""
        units = self.recurrent_kernel.shape[0]
        if not self.masks:
            return list(tf.split(state @ self.recurrent_kernel[:, : 2 * units], 2, axis=-1))
        return [
            (state * mask) @ kernel
            for mask, kernel in zip(self.masks[:2], tf.split(self.recurrent_kernel[:, : 2 * units], 2, axis=-1), strict=True)
        ]


def project(inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None, masks: Sequence[tf.Tensor] = ()) -> tf.Tensor:
    """``x W + b`` of all steps in one product.

    Args:
        inputs: ``(time, batch, features)``, or ``(batch, features)`` for one step.
        kernel: ``(features, 3 units)``.
        bias: ``(3 units,)``, or None.
        masks: no dropout mask, one, or one each for z, r, h; each ``(batch, features)``.

    Returns:
        ``(time, batch, 3 units)``, or ``(batch, 3 units)``.
    """
    if len(masks) == 3:
        kernels = tf.split(kernel, 3, axis=-1)
        products = [_product(inputs * mask, part) for mask, part in zip(masks, kernels, strict=True)]
        product = tf.concat(products, axis=-1)
    else:
        product = _product(inputs * masks[0] if masks else inputs, kernel)
    return product if bias is None else product + bias


def _product(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The product over the last axis, as one of matrices: a batched one is slower."""
    if inputs.shape.rank == 2:
        return inputs @ kernel
    shape = tf.shape(inputs)
    flat = tf.reshape(inputs, (-1, kernel.shape[0])) @ kernel
    product = tf.reshape(flat, tf.stack([shape[0], shape[1], kernel.shape[1]]))
    product.set_shape((inputs.shape[0], inputs.shape[1], kernel.shape[1]))
    return product
