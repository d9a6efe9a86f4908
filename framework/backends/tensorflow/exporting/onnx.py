"""ONNX: one file a graph, by tf2onnx, which Keras' own ``Model.export`` calls too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from framework.backends.base.exporting import Decoded, Signature
from framework.backends.base.onnx_files import OPSET, OnnxExporter, check_names
from framework.backends.tensorflow.exporting.graphs import Graph, graphs_of
from framework.errors import UnsupportedArgument


def _models(trainee: Any, decoded: Decoded | None) -> Iterator[tuple[Any, Signature]]:
    for graph in graphs_of(trainee, decoded):
        yield _converted(graph), graph.signature


def _converted(graph: Graph) -> Any:
    """The ONNX model of a graph, its outputs in the signature's order and by its names."""
    check_names(graph.signature)
    names = [port.name for port in graph.signature.outputs]

    def outputs(*tensors: tf.Tensor) -> list[tf.Tensor]:
        found = graph.function(*tensors)
        return [found[name] for name in names]

    concrete = tf.function(outputs, input_signature=graph.specs, autograph=False).get_concrete_function()
    given = [one.name for one in concrete.inputs[: len(graph.specs)]]
    made = [one.name for one in concrete.outputs]
    try:
        with _quiet():
            frozen = _with_constants(tf2onnx.tf_loader.from_function(concrete, given, made), concrete)
            renamed = dict(zip(given, [port.name for port in graph.signature.inputs], strict=True))
            model, _ = tf2onnx.convert.from_graph_def(
                frozen,
                input_names=given,
                output_names=made,
                opset=OPSET,
                custom_op_handlers=dict(_HANDLERS),
                tensors_to_rename=renamed,
            )
        _rename_outputs(model, names)
        onnx.checker.check_model(model)
    except Exception as error:  # tf2onnx has no errors of its own; what it does not know, it leaves in the model
        raise UnsupportedArgument(f"onnx: the graph '{graph.signature.name}' has no form in ONNX: {error}") from error
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """What tf2onnx says of its own parts, by the logger of all, is no affair of a user."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(level)


def _complement(context: Any, node: Any, name: str, args: Any) -> None:
    """``erfc(x) = 1 - erf(x)``, which Keras' gelu is made of and ONNX lacks."""
    node.type = "Erf"
    dtype = tf2onnx.utils.map_onnx_to_numpy_type(context.get_dtype(node.output[0]))
    one = context.make_const(tf2onnx.utils.make_name(name), np.array(1, dtype))
    context.insert_new_node_on_output("Sub", node.output[0], inputs=[one.output[0], node.output[0]])


def _with_constants(frozen: Any, concrete: Any) -> Any:
    """The frozen graph with the arrays that the function has of its own as constants: those that are no variables were inputs of it.

    tf2onnx would take them for inputs of the model, and look in vain for those that the graph, once frozen, has no use for.
    """
    own = {placeholder.op.name: value for value, placeholder in concrete.graph.captures if value.dtype != tf.resource}
    for node in frozen.node:
        if node.name in own:
            constant = tf.make_tensor_proto(own[node.name].numpy())
            node.op = "Const"
            node.attr.clear()
            node.attr["dtype"].type = constant.dtype
            node.attr["value"].tensor.CopyFrom(constant)
    return frozen


def _rename_outputs(model: Any, names: list[str]) -> None:
    for output, name in zip(model.graph.output, names, strict=True):
        model.graph.node.append(onnx.helper.make_node("Identity", [output.name], [name]))
        output.name = name


_HANDLERS: dict[str, Any] = {"Erfc": (_complement, [])}
"""How tf2onnx writes operations that it does not know."""

EXPORTER = OnnxExporter(_models)
