"""The graphs of a trained model as functions of tensors alone: what every format is written from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import tensorflow as tf

from framework.backends.base.exporting import START, Decoded, Port, Signature, decoding_signatures, model_signature
from framework.backends.tensorflow.decoding.step import StepGraph
from framework.builder.plan import PlannedTensor
from framework.builder.step import derive_step


class Graph(NamedTuple):
    """One graph of a model.

    Attributes:
        signature: what it takes and gives.
        function: from the inputs, in order, to the outputs by name.
    """

    signature: Signature
    function: Callable[..., dict[str, tf.Tensor]]

    @property
    def specs(self) -> list[tf.TensorSpec]:
        """The inputs, in order; lengths that vary are open."""
        return [
            tf.TensorSpec([None if isinstance(size, str) else size for size in port.shape], port.dtype, port.name)
            for port in self.signature.inputs
        ]


def graphs_of(trainee: Any, decoded: Decoded | None) -> list[Graph]:
    """The whole model, and, where something is decoded, its start and its step.

    Args:
        trainee: a :class:`~framework.backends.tensorflow.trainee.KerasTrainee` that keeps nothing between calls.
        decoded: what is decoded, if anything is.
    """
    whole = _whole(trainee, None if decoded is None else decoded.input)
    return [whole] if decoded is None else [whole, *_decoding(decoded)]


def _whole(trainee: Any, decoded: str | None) -> Graph:
    native, plan = trainee.native, trainee.plan
    signature = model_signature(plan, decoded)

    def model(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        result = native(dict(zip(plan.inputs, tensors, strict=True)) if isinstance(native.input, dict) else tensors[0], training=False)
        return _named(signature.outputs, [result[name] for name in plan.outputs] if isinstance(result, dict) else [result])

    return Graph(signature, model)


def _decoding(decoded: Decoded) -> list[Graph]:
    trainee: Any = decoded.trainee
    plan = trainee.plan
    # An embedding that is folded into a GRU's product would be a second, larger table in the file.
    derived = replace(derive_step(plan, decoded.input).require(), folded={}, unread=frozenset())
    steps = StepGraph(plan, derived, trainee.weights(), trainee.context)
    constants = {name: PlannedTensor(tuple(spec.shape), spec.dtype.name) for name, spec in steps.constant_specs.items()}
    others = [name for name in plan.inputs if name != derived.decoded]
    *before, last = decoding_signatures(plan, derived, constants)

    def start(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        made = steps.start(dict(zip(others, tensors, strict=True)), tf.shape(tensors[0])[0])
        found = dict(zip([port.name for port in last.inputs[1:]], made, strict=True))
        [outputs] = [one.outputs for one in before if one.name == START]
        return _named(outputs, [found[port.name] for port in outputs])

    def step(tokens: tf.Tensor, *held: tf.Tensor) -> dict[str, tf.Tensor]:
        return _named(last.outputs, steps.step(tokens, *(one if one.dtype.is_bool else tf.cast(one, steps.dtype) for one in held)))

    return [*(Graph(one, start) for one in before), Graph(last, step)]


def _named(ports: Sequence[Port], tensors: Sequence[Any]) -> dict[str, tf.Tensor]:
    """Outputs by name, each a tensor of its own, which no input and no other output is."""
    return {port.name: tf.identity(tf.cast(tensor, port.dtype)) for port, tensor in zip(ports, tensors, strict=True)}
