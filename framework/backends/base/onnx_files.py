"""Exported ONNX files, one a graph: what both backends finish, and run, in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from framework.backends.base.backend import Trainee
from framework.backends.base.exporting import MODEL, START, STEP, Decoded, Port, Signature, Written, unsupported
from framework.backends.base.training import Arrays
from framework.errors import UnsupportedArgument

OPSET = 18
"""Version of ONNX's operators."""

PACKAGES = "numpy onnxruntime"

LOADING = """\
import onnxruntime

sessions = {}


def run(graph, **inputs):
    if graph not in sessions:
        sessions[graph] = onnxruntime.InferenceSession(f"{graph}.onnx")
    names = [output.name for output in sessions[graph].get_outputs()]
    return dict(zip(names, sessions[graph].run(names, inputs)))
"""
"""Lines that define ``run(graph, **inputs)``; see :class:`framework.backends.base.exporting.Exporter`."""


def check_names(signature: Signature) -> None:
    """Refuses what ONNX, which has one space of names for a graph, cannot tell apart.

    Raises:
        UnsupportedArgument: an input and an output have one name.
    """
    for name in {port.name for port in signature.inputs} & {port.name for port in signature.outputs}:
        raise UnsupportedArgument(
            f"onnx: an input and an output of the graph '{signature.name}' would both be called '{name}'; torch_export and saved_model "
            "hold the model"
        )


def save_onnx(model: Any, signature: Signature, folder: Path) -> None:
    """Writes a checked model as ``<graph>.onnx``, its lengths that vary named as in the signature.

    Raises:
        UnsupportedArgument: ONNX itself does not take it.
    """
    graph = model.graph
    for ports, values in ((signature.inputs, graph.input), (signature.outputs, graph.output)):
        found = {value.name: value for value in values}
        for port in ports:
            _name_lengths(found[port.name], port)
    with unsupported(f"onnx: ONNX does not take the graph '{signature.name}'", onnx.checker.ValidationError):
        onnx.checker.check_model(model)
    onnx.save(model, str(folder / f"{signature.name}.onnx"))


def _name_lengths(value: Any, port: Port) -> None:
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for size in port.shape:
        shape.dim.add(**({"dim_param": size} if isinstance(size, str) else {"dim_value": size}))


class OnnxRunner:
    """Runs the graphs of a folder with ONNX Runtime.

    Args:
        folder: of the files.
        signatures: by graph.
    """

    def __init__(self, folder: Path, signatures: Mapping[str, Signature]) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        self._sessions = {}
        for name in signatures:
            with unsupported(f"onnx: ONNX Runtime cannot run the graph '{name}'"):
                self._sessions[name] = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), options)

    def __call__(self, graph: str, inputs: Arrays) -> Mapping[str, NDArray[np.generic]]:
        """What a graph makes of its inputs, both by name."""
        names = [output.name for output in self._sessions[graph].get_outputs()]
        with unsupported(f"onnx: ONNX Runtime cannot run the graph '{graph}'"):
            return dict(zip(names, self._sessions[graph].run(names, dict(inputs)), strict=True))


Models = Callable[[Trainee, Decoded | None], Iterable[tuple[Any, Signature]]]
"""From what is exported to its graphs as ONNX models, each with what it takes and gives."""


class OnnxExporter:
    """What :class:`framework.backends.base.exporting.Exporter` promises, for ONNX: ``model.onnx``, and ``start.onnx`` and ``step.onnx``.

    Args:
        models: what a backend makes the graphs with; raises UnsupportedArgument where ONNX has no operator for something in one.
    """

    holds = (MODEL, START, STEP)
    packages = PACKAGES
    loading = LOADING

    def __init__(self, models: Models) -> None:
        self._models = models

    def write(self, trainee: Trainee, decoded: Decoded | None, folder: Path) -> Written:
        """Writes a file for each graph; each holds its weights.

        Raises:
            UnsupportedArgument: a graph cannot be recorded, or ONNX has no operator for something in it; it is named.
        """
        signatures = []
        for model, signature in self._models(trainee, decoded):
            save_onnx(model, signature, folder)
            signatures.append(signature)
        return Written(tuple(signatures), (f"ONNX opset {OPSET}",))

    def open(self, folder: Path, signatures: Mapping[str, Signature]) -> OnnxRunner:
        """Loads the files with ONNX Runtime."""
        return OnnxRunner(folder, signatures)
