"""The step form of every layer of a model, put together along the plan's wires."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import tensorflow as tf

from framework.backends.base.backend import unsupported
from framework.backends.base.training import Arrays
from framework.backends.tensorflow.gru.step import Step, project
from framework.backends.tensorflow.identifiers import activation
from framework.backends.tensorflow.layers import BuildContext, build_layer
from framework.backends.tensorflow.model import weights_at_zero
from framework.builder.plan import ModelPlan, PlannedLayer, PlannedTensor, Reference
from framework.errors import UnsupportedArgument
from framework.spec.layers.gru import GRUSpec
from framework.spec.layers.merging import ConcatenateSpec

LARGEST_TABLE = 4 * 2**20
"""Most values in the product of an embedding's table with a GRU's kernel that is worth keeping: 16 MiB in float32."""

Form = Callable[[Sequence[tf.Tensor], tf.Tensor, tf.Tensor | None], tuple[tf.Tensor, tf.Tensor | None]]
"""What a layer does in one step: from what it reads, the model's tokens, and its state if it has one, to its output and new state."""


class StepGraph:
    """One step of a model as a function of tokens and states; the time axis of every tensor is gone.

    Everything but the GRUs is the native layer itself, called without a time axis. Masks travel as they do in Keras.

    Args:
        plan: of the model.
        weights: by ``layer/weight``; copied.
        context: of the model; in bfloat16 training the step still computes in float32.
        output: name of the output that holds the logits.

    Attributes:
        dtype: what the step computes in.
        state_shapes: shapes of the states without the rows, by ``layer/state``.

    Raises:
        UnsupportedArgument: a layer on the way has no step form; it is named.
    """

    def __init__(self, plan: ModelPlan, weights: Arrays, context: BuildContext, output: str) -> None:
        self.output = plan.outputs[output]
        self.plan = plan
        self.layers = _checked(plan, self.output)
        double = context.policy == "float64" or any(layer.spec.dtype == "float64" for layer in self.layers)
        self.dtype = tf.float64 if double else tf.float32
        self.context = replace(context, policy=self.dtype.name)
        self.weights = {name: tf.constant(value, self.dtype) for name, value in weights.items()}
        self.state_shapes = {f"{layer.name}/{name}": shape for layer in self.layers for name, shape in layer.state.items()}
        self.forms = {layer.name: self._form(layer) for layer in self.layers}

    def step(self, tokens: tf.Tensor, *states: tf.Tensor) -> list[tf.Tensor]:
        """Logits ``(rows, vocabulary) float32`` and the new states, from ``tokens: (rows,)`` and the states in order."""
        before = dict(zip(self.state_shapes, states, strict=True))
        after = dict(before)
        values = {Reference(name): tokens for name in self.plan.inputs}
        for layer in self.layers:
            read = [values[reference] for reference in layer.references["inputs"]]
            key = f"{layer.name}/state"
            values[Reference(layer.name)], state = self.forms[layer.name](read, tokens, before.get(key))
            if state is not None:
                values[Reference(layer.name, "state")] = after[key] = state
        return [tf.cast(values[self.output], tf.float32), *after.values()]

    def read(self, tokens: tf.Tensor, *states: tf.Tensor) -> list[tf.Tensor]:
        """The same after all steps of ``tokens: (rows, time)``."""
        steps = tf.transpose(tokens)
        last = tf.shape(steps)[0] - 1

        def body(now: tf.Tensor, *states: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return (now + 1, *self.step(steps[now], *states)[1:])

        _, *states_before_last = tf.while_loop(lambda now, *_: now < last, body, (tf.constant(0), *states))
        return self.step(steps[last], *states_before_last)

    def _form(self, layer: PlannedLayer) -> Form:
        spec = layer.spec
        if isinstance(spec, GRUSpec):
            return self._gru(layer, spec)
        spec = spec.model_copy(update={"dtype": None} | ({"axis": -1} if isinstance(spec, ConcatenateSpec) else {}))
        native = build_layer(replace(layer, spec=spec), self.context)
        if layer.weights:
            with weights_at_zero(native):
                native.build(_without_time(layer.inputs[0]))
            native.set_weights([self.weights[f"{layer.name}/{weight.name}"] for weight in layer.weights])
        return lambda read, tokens, state: (native(read if len(read) > 1 else read[0]), None)

    def _gru(self, layer: PlannedLayer, spec: GRUSpec) -> Form:
        kernel, recurrent_kernel = self.weights[f"{layer.name}/kernel"], self.weights[f"{layer.name}/recurrent_kernel"]
        bias = self.weights[f"{layer.name}/bias"] if spec.use_bias else None
        bias, recurrent_bias = (bias[0], bias[1]) if bias is not None and spec.reset_after else (bias, None)
        step = Step(recurrent_kernel, recurrent_bias, activation(spec.activation), activation(spec.recurrent_activation), spec.reset_after)
        table = self._folded(layer, kernel, bias)

        def form(read: Sequence[tf.Tensor], tokens: tf.Tensor, state: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
            new = step(project(read[0], kernel, bias) if table is None else tf.gather(table, tokens), state)
            mask = getattr(read[0], "_keras_mask", None)
            if mask is None:
                return new, new
            valid = mask[:, None]
            carried = tf.where(valid, new, state)
            output = tf.where(valid, new, tf.zeros_like(new)) if spec.zero_output_for_mask else tf.identity(carried)
            output._keras_mask = mask if spec.return_sequences else None
            return output, carried

        return form

    def _folded(self, layer: PlannedLayer, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor | None:
        """For a GRU that reads an embedding of the tokens: ``x W + b`` of every token, ``(vocabulary, 3 units)``; None for others.

        Dropout between the two does nothing here. It saves reading the kernel at every step.
        """
        source = layer.references["inputs"][0]
        while source.node not in self.plan.inputs and self.plan.layer(source.node).kind == "dropout":
            source = self.plan.layer(source.node).references["inputs"][0]
        if source.node in self.plan.inputs or self.plan.layer(source.node).kind != "embedding":
            return None
        embedding = self.plan.layer(source.node)
        table = self.weights[f"{embedding.name}/embeddings"]
        if embedding.references["inputs"][0].node not in self.plan.inputs or table.shape[0] * kernel.shape[1] > LARGEST_TABLE:
            return None
        return project(table, kernel, bias)


def _without_time(tensor: PlannedTensor) -> tuple[int | None, ...]:
    """Shape of one step of ``(batch, time) int`` or ``(batch, time, features)``; of what has no time, the shape itself."""
    has_time = tensor.dtype.startswith("int") or len(tensor.shape) > 2
    return (None, *tensor.shape[2:]) if has_time else tensor.shape


def _checked(plan: ModelPlan, output: Reference) -> list[PlannedLayer]:
    """The layers that ``output`` depends on, in order.

    Raises:
        UnsupportedArgument: the model has several inputs, reads something else than tokens, or a layer has no step form.
    """
    if len(plan.inputs) != 1:
        raise UnsupportedArgument(f"the model reads {', '.join(plan.inputs)}: a decoding step reads one sequence of tokens")
    name, tensor = next(iter(plan.inputs.items()))
    if not tensor.dtype.startswith("int") or len(tensor.shape) != 2:
        raise UnsupportedArgument(f"model.inputs.{name} is {tensor.dtype} {tensor.shape}: a decoding step reads tokens (batch, time)")
    layers = _ancestors(plan, output)
    for layer in layers:
        if unsupported([layer]):
            kind = f"{layer.kind} with go_backwards" if getattr(layer.spec, "go_backwards", False) else layer.kind
            raise UnsupportedArgument(f"model.layers.{layer.name}: {kind} has no step form, so the model cannot generate")
        if "initial_state" in layer.references:
            raise UnsupportedArgument(f"model.layers.{layer.name}.initial_state: read from within the sequence, it has no step form")
    return layers


def _ancestors(plan: ModelPlan, output: Reference) -> list[PlannedLayer]:
    needed = {output.node}
    for layer in reversed(plan.layers):
        if layer.name in needed:
            needed.update(reference.node for references in layer.references.values() for reference in references)
    return [layer for layer in plan.layers if layer.name in needed]
