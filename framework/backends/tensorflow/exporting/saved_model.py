"""SavedModel: the graphs as signatures of one folder, which any TensorFlow loads and serves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from framework.backends.base.exporting import MODEL, START, STEP, Decoded, Signature, Written
from framework.backends.base.training import Arrays
from framework.backends.tensorflow.exporting.graphs import Graph, graphs_of


class SavedModelExporter:
    """What :class:`framework.backends.base.exporting.Exporter` promises, for SavedModel."""

    holds = (MODEL, START, STEP)
    packages = "tensorflow"
    loading = """\
import tensorflow as tf

loaded = tf.saved_model.load(".")


def run(graph, **inputs):
    outputs = loaded.signatures[graph](**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in outputs.items()}
"""

    def write(self, trainee: Any, decoded: Decoded | None, folder: Path) -> Written:
        """Writes the folder's ``saved_model.pb`` and ``variables``."""
        graphs = graphs_of(trainee, decoded)
        write_saved_model(graphs, folder)
        return Written(tuple(graph.signature for graph in graphs), ("TensorFlow Serving answers with the graph 'model'",))

    def open(self, folder: Path, signatures: Mapping[str, Signature]) -> SavedRunner:
        """Loads the folder."""
        return SavedRunner(folder)


class SavedRunner:
    """Runs the signatures of a SavedModel.

    Args:
        folder: it.
    """

    def __init__(self, folder: Path) -> None:
        self._loaded = tf.saved_model.load(str(folder))  # its signatures do not keep it

    def __call__(self, graph: str, inputs: Arrays) -> Mapping[str, NDArray[np.generic]]:
        """What a graph makes of its inputs, both by name."""
        outputs = self._loaded.signatures[graph](**{name: tf.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}


def write_saved_model(graphs: list[Graph], folder: Path) -> None:
    """Writes graphs as endpoints and signatures of their names; the first is also what is served by default."""
    archive = keras.export.ExportArchive()
    for graph in graphs:
        archive.add_endpoint(graph.signature.name, graph.function, input_signature=graph.specs)
    archive.write_out(str(folder), verbose=False)


EXPORTER = SavedModelExporter()
