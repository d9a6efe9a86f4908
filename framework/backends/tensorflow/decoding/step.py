"""The step form of every layer of a model, put together along the plan's wires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import tensorflow as tf

from framework.backends.base.training import Arrays
from framework.backends.tensorflow.attention.step import attention_decoder_form, attention_form, constants_of, heads_form
from framework.backends.tensorflow.decoding.cell import gru_form
from framework.backends.tensorflow.decoding.form import Form, Formed
from framework.backends.tensorflow.layers import BuildContext, build_layer
from framework.backends.tensorflow.model import call_layer, weights_at_zero
from framework.builder.plan import ModelPlan, PlannedLayer, PlannedTensor, Reference
from framework.builder.step import DecodingStep
from framework.decoding.precision import Precision
from framework.spec.layers.attention import AttentionDecoderSpec, AttentionSpec
from framework.spec.layers.gru import GRUSpec
from framework.spec.layers.merging import ConcatenateSpec
from framework.spec.layers.multi_head_attention import MultiHeadAttentionSpec


class StepGraph:
    """One step of a model as a function of tokens, constants and states; the time axis of every tensor is gone.

    Everything but GRUs and what attends is the native layer itself, called without a time axis. Masks travel as they do in Keras.

    Args:
        plan: of the model.
        derived: how it decodes.
        weights: by ``layer/weight``; copied.
        context: of the model; in bfloat16 training the step still computes in float32.
        precision: of the large kernels of GRU cells.

    Attributes:
        dtype: what the step computes in.
        state_shapes: shapes of the states without the rows, by ``layer/state``.
        constant_specs: what is made before the first step and stays as it is, by ``layer/name``; a row for each group first.
        watched: the layers that tell their attention's weights.
    """

    def __init__(
        self, plan: ModelPlan, derived: DecodingStep, weights: Arrays, context: BuildContext, precision: Precision = "float32"
    ) -> None:
        self.plan, self.precision = plan, precision
        self.derived = derived
        double = context.policy == "float64" or any(layer.spec.dtype == "float64" for layer in derived.per_step)
        self.dtype = tf.float64 if double else tf.float32
        self.context = replace(context, policy=self.dtype.name)
        self.weights = {name: tf.constant(value, self.dtype) for name, value in weights.items()}
        self.state_shapes = {f"{layer.name}/{name}": shape for layer in derived.per_step for name, shape in layer.state.items()}
        self.layers = [layer for layer in derived.per_step if layer.name not in derived.unread]
        self.forms = {layer.name: self._form(layer) for layer in self.layers}
        self.watched = [layer.name for layer in self.layers if "attention" in layer.outputs]
        attending = [layer for layer in self.layers if layer.places is not None]
        self._constants = {layer.name: constants_of(layer, self._values(layer), self.dtype) for layer in attending}
        self.constant_specs = {f"{name}/{key}": spec for name, one in self._constants.items() for key, spec in one.specs.items()}
        self._once = [(layer, self._native(layer, layer.inputs[0].shape)) for layer in derived.once]

    def start(self, inputs: Mapping[str, tf.Tensor], rows: tf.Tensor) -> list[tf.Tensor]:
        """Constants and first states in order: what runs before the first step, and zeros for what nothing is given."""
        values: dict[Reference, Any] = {Reference(name): tensor for name, tensor in inputs.items()}
        for planned, layer in self._once:
            values.update(call_layer(planned, layer, values, training=False))
        made: list[tf.Tensor] = []
        for layer in self.layers:
            if layer.name in self._constants:
                fields = {field: [values[one] for one in found] for field, found in layer.references.items() if field == "memory"}
                made += self._constants[layer.name].make(fields).values()
        for name, shape in self.state_shapes.items():
            reference = self.derived.first[name]
            made.append(tf.zeros((rows, *shape), self.dtype) if reference is None else tf.cast(values[reference], self.dtype))
        return made

    def step(self, tokens: tf.Tensor, *held: tf.Tensor) -> list[tf.Tensor]:
        """Logits ``(rows, vocabulary) float32``, watched weights ``(rows, places) float32`` and new states, in order.

        Args:
            tokens: ``(rows,)``.
            held: constants and states, in order.
        """
        before = dict(zip([*self.constant_specs, *self.state_shapes], held, strict=True))
        after = {name: before[name] for name in self.state_shapes}
        values = {Reference(self.derived.decoded): tokens}
        for layer in self.layers:
            read = [] if layer.name in self.derived.folded else [values[one] for one in layer.references["inputs"]]
            prefix = f"{layer.name}/"
            own = {name.removeprefix(prefix): value for name, value in before.items() if name.startswith(prefix)}
            formed = self.forms[layer.name](read, tokens, own)
            values.update({Reference(layer.name, name): value for name, value in formed.outputs.items()})
            after.update({prefix + name: state for name, state in formed.states.items()})
        told = [values[self.derived.output], *(values[Reference(name, "attention")] for name in self.watched)]
        return [*(tf.cast(one, tf.float32) for one in told), *after.values()]

    def read(self, tokens: tf.Tensor, *held: tf.Tensor) -> list[tf.Tensor]:
        """The same after all steps of ``tokens: (rows, time)``."""
        steps = tf.transpose(tokens)
        last = tf.shape(steps)[0] - 1
        constants, states = held[: len(self.constant_specs)], held[len(self.constant_specs) :]
        told = 1 + len(self.watched)

        def body(now: tf.Tensor, *states: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return (now + 1, *self.step(steps[now], *constants, *states)[told:])

        _, *states_before_last = tf.while_loop(lambda now, *_: now < last, body, (tf.constant(0), *states))
        return self.step(steps[last], *constants, *states_before_last)

    def _values(self, layer: PlannedLayer) -> dict[str, tf.Tensor]:
        """A layer's weights by their planned names."""
        return {weight.name: self.weights[f"{layer.name}/{weight.name}"] for weight in layer.weights}

    def _native(self, layer: PlannedLayer, shape: tuple[int | None, ...]) -> Any:
        """The native layer on the step's own weights."""
        spec = layer.spec.model_copy(update={"dtype": None})
        native = build_layer(replace(layer, spec=spec), self.context)
        if layer.weights:
            with weights_at_zero(native):
                native.build(shape)
            native.set_weights([self.weights[f"{layer.name}/{weight.name}"] for weight in layer.weights])
        return native

    def _form(self, layer: PlannedLayer) -> Form:
        if isinstance(layer.spec, GRUSpec):
            source = self.derived.folded.get(layer.name)
            table = None if source is None else self.weights[f"{source.name}/embeddings"]
            mask_zero = source is not None and bool(getattr(source.spec, "mask_zero", False))
            return gru_form(layer.spec, self._values(layer), table, mask_zero, self.precision)
        if isinstance(layer.spec, AttentionDecoderSpec):
            return attention_decoder_form(layer, layer.spec, self._values(layer), self.precision)
        if isinstance(layer.spec, MultiHeadAttentionSpec):
            return heads_form(self._values(layer))
        if isinstance(layer.spec, AttentionSpec):
            return attention_form(layer, layer.spec, self._values(layer))
        if isinstance(layer.spec, ConcatenateSpec):
            layer = replace(layer, spec=layer.spec.model_copy(update={"axis": -1}))
        native = self._native(layer, _without_time(layer.inputs[0]))
        return lambda read, tokens, held: Formed({"output": native(read if len(read) > 1 else read[0])}, {})


def _without_time(tensor: PlannedTensor) -> tuple[int | None, ...]:
    """Shape of one step of ``(batch, time) int`` or ``(batch, time, features)``; of what has no time, the shape itself."""
    has_time = tensor.dtype.startswith("int") or len(tensor.shape) > 2
    return (None, *tensor.shape[2:]) if has_time else tensor.shape
