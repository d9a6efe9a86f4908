"""A GRU's decoding step on weights of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from framework.backends.tensorflow.decoding.form import Form, Formed, Held, kept_in
from framework.backends.tensorflow.gru.step import Step, project
from framework.backends.tensorflow.identifiers import activation
from framework.decoding.precision import Precision
from framework.spec.layers.gru import GRUSpec


def gru_form(
    spec: GRUSpec,
    weights: Mapping[str, tf.Tensor],
    embeddings: tf.Tensor | None = None,
    mask_zero: bool = False,
    precision: Precision = "float32",
) -> Form:
    """What a GRU does in one step.

    Args:
        spec: of the layer.
        weights: by their planned names.
        embeddings: ``(vocabulary, features)`` of the embedding that the layer reads, which then becomes part of its input product; or None.
        mask_zero: whether token 0 is masked by that embedding.
        precision: of large kernels.
    """
    kernel, bias = weights["kernel"], weights.get("bias")
    bias, recurrent_bias = (bias[0], bias[1]) if bias is not None and spec.reset_after else (bias, None)
    functions = activation(spec.activation), activation(spec.recurrent_activation)
    step = Step(kept_in(precision, weights["recurrent_kernel"]), recurrent_bias, *functions, spec.reset_after)
    # ``x W + b`` of every token, ``(vocabulary, 3 units)``: it saves reading the kernel at every step.
    table = None if embeddings is None else project(embeddings, kernel, bias)
    kernel = kept_in(precision, kernel)

    def form(read: Sequence[tf.Tensor], tokens: tf.Tensor, held: Held) -> Formed:
        state = held["state"]
        if table is None:
            new, mask = step(project(read[0], kernel, bias), state), getattr(read[0], "_keras_mask", None)
        else:
            new, mask = step(tf.gather(table, tokens), state), tf.not_equal(tokens, 0) if mask_zero else None
        if mask is None:
            return Formed({"output": new, "state": new}, {"state": new})
        valid = mask[:, None]
        carried = tf.where(valid, new, state)
        output = tf.where(valid, new, tf.zeros_like(new)) if spec.zero_output_for_mask else tf.identity(carried)
        output._keras_mask = mask if spec.return_sequences else None
        return Formed({"output": output, "state": carried}, {"state": carried})

    return form
