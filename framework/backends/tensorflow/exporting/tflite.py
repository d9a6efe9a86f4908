"""TFLite (LiteRT): one file whose signatures are the graphs, of TFLite's own operations alone."""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from framework.backends.base.exporting import MODEL, START, STEP, Decoded, Signature, Written
from framework.backends.base.training import Arrays
from framework.backends.tensorflow.environment import hushed
from framework.backends.tensorflow.exporting.graphs import Graph, graphs_of
from framework.backends.tensorflow.exporting.saved_model import write_saved_model
from framework.backends.tensorflow.gru.loop import whole_tensors
from framework.errors import UnsupportedArgument

FILE = "model.tflite"


class TFLiteExporter:
    """What :class:`framework.backends.base.exporting.Exporter` promises, for TFLite."""

    holds = (MODEL, START, STEP)
    packages = "tensorflow"
    loading = f"""\
import tensorflow as tf  # or: from ai_edge_litert.interpreter import Interpreter, which needs no TensorFlow

interpreter = tf.lite.Interpreter("{FILE}")


def run(graph, **inputs):
    return interpreter.get_signature_runner(graph)(**inputs)
"""

    def write(self, trainee: Any, decoded: Decoded | None, folder: Path) -> Written:
        """Writes one file.

        Raises:
            UnsupportedArgument: TFLite has no operation for something in the model; operations are named.
        """
        _check_types(trainee.native)
        with whole_tensors():
            graphs = graphs_of(trainee, decoded)
            (folder / FILE).write_bytes(convert(graphs))
        return Written(tuple(graph.signature for graph in graphs), ("of TFLite's own operations alone: no Flex delegate is needed",))

    def open(self, folder: Path, signatures: Mapping[str, Signature]) -> TFLiteRunner:
        """Loads the file."""
        return TFLiteRunner(folder / FILE)


class TFLiteRunner:
    """Runs the signatures of a TFLite file.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its later home, ai_edge_litert
            self._interpreter = tf.lite.Interpreter(str(path))

    def __call__(self, graph: str, inputs: Arrays) -> Mapping[str, NDArray[np.generic]]:
        """What a graph makes of its inputs, both by name."""
        outputs: Mapping[str, NDArray[np.generic]] = self._interpreter.get_signature_runner(graph)(**inputs)
        return outputs


def _check_types(native: Any) -> None:
    for layer in native.layers:
        if layer.compute_dtype == "float64":
            raise UnsupportedArgument(
                f"tflite: layer '{layer.name}' computes in float64, which TFLite does not; saved_model and onnx hold the model"
            )


def convert(graphs: list[Graph]) -> bytes:
    """The bytes of a TFLite file.

    Raises:
        UnsupportedArgument: see :meth:`TFLiteExporter.write`.
    """
    with tempfile.TemporaryDirectory() as place:
        write_saved_model(graphs, Path(place))
        names = [graph.signature.name for graph in graphs]
        converter = tf.lite.TFLiteConverter.from_saved_model(place, signature_keys=names)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            with hushed([b""]):  # what is wrong is in its error too
                converted: bytes = converter.convert()
        except Exception as error:  # of the converter's own class, which is not public
            raise UnsupportedArgument(f"tflite: {_reason(str(error))}; saved_model and onnx hold the model") from error
    return converted


def _reason(message: str) -> str:
    """What of a converter's message a person can read: operations that TFLite lacks, or its first error."""
    operations = sorted(set(re.findall(r"'(tf\.\w+)' op is neither a custom op nor a flex op", message)))
    if operations:
        return f"TFLite has no operation {', '.join(operations)}"
    found = re.search(r"error: (.+)", message)
    return (found.group(1) if found else message.strip().splitlines()[0]) if message.strip() else "the converter gives up"


EXPORTER = TFLiteExporter()
