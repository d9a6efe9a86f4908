"""The cuDNN kernel: whether this layer may run on it here, and the call."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from framework.backends.tensorflow.activations import Activation
from framework.backends.tensorflow.gru.compaction import Compaction
from framework.backends.tensorflow.gru.graphs import in_xla
from framework.builder.cudnn import SAME_NAMES, GRUTraits, judge
from framework.errors import UnsupportedArgument

logger = logging.getLogger(__name__)

_SAME_FUNCTIONS: dict[str, Sequence[Any]] = {
    "tanh": (keras.activations.tanh, keras.ops.tanh, tf.tanh),
    "sigmoid": (keras.activations.sigmoid, keras.ops.sigmoid, tf.sigmoid),
}


def cudnn_obstacles(layer: keras.layers.GRU, masked: bool) -> list[str]:
    """Why the layer cannot run on cuDNN here and now, one line a reason; empty where it can.

    Args:
        layer: the documented one, built or not.
        masked: whether a mask comes with the inputs.
    """
    traits = GRUTraits(
        backend="tensorflow",
        device="gpu" if tf.config.list_logical_devices("GPU") else "cpu",
        dtype=layer.compute_dtype,
        masked=masked,
        activation=_name(layer.activation),
        recurrent_activation=_name(layer.recurrent_activation),
        use_cudnn=layer.use_cudnn,
        **{name: getattr(layer, name) for name in SAME_NAMES},
    )
    reasons = judge(traits).reasons()
    if in_xla():
        reasons.append("jit_compile: XLA has no cuDNN recurrent kernel; jit_compile=False lifts it")
    return reasons


def runs_on_cudnn(layer: keras.layers.GRU, masked: bool) -> bool:
    """Whether a call of the layer runs on cuDNN; ``use_cudnn="auto"`` on a machine with a GPU says once why not.

    Raises:
        UnsupportedArgument: ``use_cudnn=True``, and it cannot; every reason is named.
    """
    if layer.use_cudnn is False:
        return False
    obstacles = cudnn_obstacles(layer, masked)
    if obstacles and layer.use_cudnn is True:
        raise UnsupportedArgument(f"GRU {layer.name!r}: use_cudnn=True, but it cannot run on cuDNN: " + "; ".join(obstacles))
    if obstacles and not layer.cudnn_explained and tf.config.list_logical_devices("GPU"):
        layer.cudnn_explained = True
        logger.warning("GRU %r does not run on cuDNN: %s", layer.name, "; ".join(obstacles))
    return not obstacles


def run_cudnn(
    sequence: tf.Tensor,
    state: tf.Tensor,
    mask: tf.Tensor | None,
    weights: tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor | None],
) -> tf.Tensor:
    """The states after each step, carried over masked steps, from one call of cuDNN's kernel.

    Args:
        sequence: ``(time, batch, features)``, dropout applied.
        state: first state, ``(batch, units)``.
        mask: ``(time, batch) bool`` of any pattern, or None.
        weights: kernel, recurrent kernel, bias, recurrent bias; biases None are zeros.

    Returns:
        ``(time, batch, units)``.
    """
    shape = tf.shape(sequence)
    compaction = None if mask is None else Compaction.of(mask)
    states, *_ = tf.raw_ops.CudnnRNNV3(
        input=sequence if compaction is None else compaction.compact(sequence),
        input_h=state[None],
        input_c=tf.zeros((), sequence.dtype),
        params=cudnn_parameters(*weights),
        sequence_lengths=tf.fill([shape[1]], shape[0]) if compaction is None else compaction.lengths,
        rnn_mode="gru",
        is_training=True,
        time_major=True,
    )
    states.set_shape((sequence.shape[0], sequence.shape[1], state.shape[1]))
    return states if compaction is None else compaction.spread(states, state)


def cudnn_parameters(kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor | None, recurrent_bias: tf.Tensor | None) -> tf.Tensor:
    """The weights as the one vector that the kernel reads: transposed matrices, then biases, gates in the order r, z, h."""
    if bias is None or recurrent_bias is None:
        bias = recurrent_bias = tf.zeros((kernel.shape[1],), kernel.dtype)
    matrices = [tf.transpose(gate) for matrix in (kernel, recurrent_kernel) for gate in _kernel_order(matrix)]
    vectors = [gate for vector in (bias, recurrent_bias) for gate in _kernel_order(vector)]
    return tf.concat([tf.reshape(part, [-1]) for part in (*matrices, *vectors)], axis=0)


def _kernel_order(weight: tf.Tensor) -> list[tf.Tensor]:
    z, r, h = tf.split(weight, 3, axis=-1)
    # AMD's MIOpen behind the same operation keeps Keras' order.
    return [z, r, h] if tf.sysconfig.get_build_info().get("is_rocm_build") else [r, z, h]


def _name(function: Activation) -> str:
    for name, same in _SAME_FUNCTIONS.items():
        if any(function is one for one in same):
            return name
    name = getattr(function, "__name__", type(function).__name__)
    return name if getattr(keras.activations, name, None) is function else f"{name} (own)"
