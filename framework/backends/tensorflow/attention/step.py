"""What attending layers do while a model decodes: keys made once, then one step after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from framework.backends.base.scoring import Scoring
from framework.backends.tensorflow.attention.heads import heads_memory, heads_output, heads_weights
from framework.backends.tensorflow.attention.loop import Decoder, DecoderCell, attend_rows, decode_step, vector_of
from framework.backends.tensorflow.attention.memory import Memory
from framework.backends.tensorflow.attention.scan import FreshStep
from framework.backends.tensorflow.decoding.form import Constants, Form, Formed, Held, kept_in
from framework.backends.tensorflow.gru.loop import carry
from framework.backends.tensorflow.gru.step import Step
from framework.backends.tensorflow.identifiers import activation
from framework.builder.kinds.attention import cell_names, state_names
from framework.builder.plan import PlannedLayer, PlannedTensor
from framework.decoding.precision import Precision
from framework.spec.layers.attention import AttentionDecoderSpec, AttentionSpec
from framework.spec.layers.multi_head_attention import MultiHeadAttentionSpec

Values = Mapping[str, tf.Tensor]
"""A layer's weights by their planned names."""


def constants_of(planned: PlannedLayer, values: Values, dtype: tf.DType) -> Constants:
    """Keys, values and what is left out, one row a group."""
    spec = planned.spec
    if isinstance(spec, MultiHeadAttentionSpec):
        return _heads_constants(planned, spec, values, dtype)
    assert isinstance(spec, (AttentionSpec, AttentionDecoderSpec)) and planned.places is not None
    memory = planned.places.memory
    scoring, masked = _scoring(planned, spec, values), spec.mask_memory and memory.masked
    width = _width(planned, spec) if scoring.key_kernel is None else scoring.key_kernel.shape[1]
    return _constants(memory, (width,), (memory.shape[2],), masked, dtype, lambda places, mask: Memory.of(places, mask, scoring))


def _heads_constants(planned: PlannedLayer, spec: MultiHeadAttentionSpec, values: Values, dtype: tf.DType) -> Constants:
    assert planned.places is not None
    memory = planned.places.memory
    key, value = (tuple(values[f"{name}/kernel"].shape[1:]) for name in ("key", "value"))
    masked = spec.mask_memory and memory.masked
    return _constants(memory, key, value, masked, dtype, lambda places, mask: heads_memory(places, mask, values))


def _constants(
    memory: PlannedTensor, key: Sequence[Any], value: Sequence[Any], masked: bool, dtype: tf.DType, make: Callable[[tf.Tensor, Any], Memory]
) -> Constants:
    specs = {
        "keys": tf.TensorSpec((None, memory.shape[1], *key), dtype),
        "values": tf.TensorSpec((None, memory.shape[1], *value), dtype),
    }
    if masked:
        specs["blocked"] = tf.TensorSpec((None, memory.shape[1]), tf.bool)

    def made(references: Mapping[str, Sequence[tf.Tensor]]) -> Held:
        places = references["memory"][0]
        held = make(tf.cast(places, dtype), getattr(places, "_keras_mask", None) if masked else None)
        return {"keys": held.keys, "values": held.values, **({"blocked": held.blocked} if masked else {})}

    return Constants(specs, made)


def heads_form(values: Values) -> Form:
    """The step of an attention with several heads: one query a row."""

    def form(read: Sequence[tf.Tensor], tokens: tf.Tensor, held: Held) -> Formed:
        memory, query = _memory(held), read[0]
        weights = heads_weights(tf.reshape(query, tf.stack([tf.shape(memory.keys)[0], -1, query.shape[1]])), memory, values)
        told = (heads_output(weights, memory, values), tf.reduce_mean(weights, axis=1))
        output, mean = (tf.reshape(one, tf.stack([tf.shape(query)[0], tf.shape(one)[2]])) for one in told)
        output.set_shape((query.shape[0], told[0].shape[2]))
        return Formed({"output": output, "attention": mean}, {})

    return form


def attention_form(planned: PlannedLayer, spec: AttentionSpec, values: Values) -> Form:
    """The step of an attention alone: one query a row."""
    scoring = _scoring(planned, spec, values)

    def form(read: Sequence[tf.Tensor], tokens: tf.Tensor, held: Held) -> Formed:
        contexts, weights = attend_rows(read[0], _memory(held), scoring)
        return Formed({"output": contexts, "attention": weights}, {})

    return form


def attention_decoder_form(planned: PlannedLayer, spec: AttentionDecoderSpec, values: Values, precision: Precision = "float32") -> Form:
    """The step of an attending decoder; its cells' large kernels in ``precision``."""
    cells = [
        _cell(name, cell, values, spec.carry_state, precision) for (_, name), cell in zip(cell_names(spec), spec.all_cells, strict=True)
    ]
    vector = _vector(spec, values)
    scoring, before_cell = _scoring(planned, spec, values), spec.attend == "before_cell"
    decoder = Decoder(scoring, cells, before_cell, spec.carry_state, vector, spec.input_feeding)
    names = [*state_names(spec), *(["fed"] if spec.input_feeding else [])]
    recurrent = len(state_names(spec))
    zeros = spec.all_cells[-1].zero_output_for_mask or vector is not None

    def form(read: Sequence[tf.Tensor], tokens: tf.Tensor, held: Held) -> Formed:
        before, mask = [held[name] for name in names], getattr(read[0], "_keras_mask", None)
        after, context, weights = decode_step(read[0], before, _memory(held), decoder)
        shown = after[recurrent - 1]
        if vector is not None:
            shown = after[-1] if spec.input_feeding else vector(tf.concat([context, shown], -1))
        if mask is not None:
            valid = mask[:, None]
            after = [carry(valid, one, other) for one, other in zip(after, before, strict=True)]
            context, weights = (tf.where(valid, one, tf.zeros_like(one)) for one in (context, weights))
            shown = tf.where(valid, shown, tf.zeros_like(shown) if zeros else after[recurrent - 1])
            shown._keras_mask = context._keras_mask = weights._keras_mask = mask
        outputs = {"output": shown, "state": tf.concat(after[:recurrent], -1), "context": context, "attention": weights}
        return Formed(outputs, dict(zip(names, after, strict=True)))

    return form


def _memory(held: Held) -> Memory:
    return Memory(held["keys"], held["values"], held.get("blocked"))


def _width(planned: PlannedLayer, spec: AttentionSpec | AttentionDecoderSpec) -> Any:
    """Width of a query."""
    return planned.inputs[0].shape[-1] if isinstance(spec, AttentionSpec) else spec.all_cells[-1].units


def _scoring(planned: PlannedLayer, spec: AttentionSpec | AttentionDecoderSpec, values: Values) -> Scoring:
    own = {name.removeprefix("attention/"): value for name, value in values.items() if name.startswith("attention/")}
    return Scoring.of(spec.attention, own, int(_width(planned, spec)))


def _cell(name: str, cell: Any, values: Values, carries: bool, precision: Precision) -> DecoderCell:
    bias, recurrent_bias = values.get(f"{name}/bias"), None
    if bias is not None and cell.reset_after:
        bias, recurrent_bias = bias[0], bias[1]
    functions = activation(cell.activation), activation(cell.recurrent_activation)
    kernel, recurrent_kernel = (kept_in(precision, values[f"{name}/{one}"]) for one in ("kernel", "recurrent_kernel"))
    step = (Step if carries else FreshStep)(recurrent_kernel, recurrent_bias, *functions, cell.reset_after)
    return DecoderCell(step, kernel, bias)


def _vector(spec: AttentionDecoderSpec, values: Values) -> Any:
    if spec.attention_vector is None:
        return None
    return vector_of(spec.attention_vector.activation, values["attention_vector/kernel"], values.get("attention_vector/bias"))
