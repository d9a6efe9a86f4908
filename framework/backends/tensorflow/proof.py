"""Which operators each GRU of a model really ran, read off the graph that was run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from framework.backends.tensorflow.compiled import model_inputs
from framework.backends.tensorflow.layers import native_name
from framework.backends.tensorflow.trainee import KerasTrainee

_MARK = "gatework_layer_"


def operators_by_layer(trainee: KerasTrainee, names: Iterable[str], inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, set[str]]:
    """Runs one batch through a graph and looks at what stands in it.

    TensorFlow keeps no record of the operators that ran, but a graph that has run has run its operators; cuDNN's has a kernel on GPUs
    alone, and a graph with it fails without one.

    Args:
        trainee: the model; states of its layers go on from the batch.
        names: of layers.
        inputs: by model input's name, such as ``tokens: (batch, time) int32``.

    Returns:
        For each of these layers the types of its operators, such as ``MatMul``.

    Raises:
        tf.errors.OpError: an operator has no kernel on this machine.
    """
    numbered = list(names)
    layers = [trainee.native.get_layer(native_name(trainee.plan.layer(name))) for name in numbered]
    arguments = model_inputs(trainee.native, inputs)
    with _marked(layers):
        graph = tf.function(lambda given: trainee.native(given, training=False), autograph=False).get_concrete_function(arguments)
    graph(arguments)
    seen: dict[str, set[str]] = {name: set() for name in numbered}
    for path, operator in graph_operators(graph.graph):
        mark = re.search(rf"{_MARK}(\d+)", path)
        if mark is not None:
            seen[numbered[int(mark[1])]].add(operator)
    return seen


def graph_operators(graph: Any) -> Iterator[tuple[str, str]]:
    """Each operator of a ``tf.Graph`` as path and type; those of a function that is called have the path of the call."""
    definition = graph.as_graph_def()
    functions = {function.signature.name: function.node_def for function in definition.library.function}

    def walk(path: str, node: Any, within: frozenset[str]) -> Iterator[tuple[str, str]]:
        yield path, node.op
        for called in {*_called(node), node.op} & functions.keys() - within:
            for inner in functions[called]:
                yield from walk(path, inner, within | {called})

    for node in definition.node:
        yield from walk(node.name, node, frozenset())


def _called(node: Any) -> Iterator[str]:
    for value in node.attr.values():
        yield from (function.name for function in (value.func, *value.list.func) if function.name)


@contextmanager
def _marked(layers: Iterable[keras.layers.Layer]) -> Iterator[None]:
    """Within, the operators of each layer's call have the layer's number in their path."""
    plain = {layer: layer.call for layer in layers}
    for number, (layer, call) in enumerate(plain.items()):

        def marked(*args: Any, call: Any = call, number: int = number, **kwargs: Any) -> Any:
            with tf.name_scope(f"{_MARK}{number}"):
                return call(*args, **kwargs)

        layer.call = marked
    try:
        yield
    finally:
        for layer, call in plain.items():
            layer.call = call
