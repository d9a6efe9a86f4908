"""ONNX by torch's own exporter: one file a graph, for any runtime that reads it."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import onnxscript  # noqa: F401 - torch's exporter needs it, and says so in words of its own
import torch

from framework.backends.base.backend import Trainee
from framework.backends.base.exporting import MODEL, START, STEP, Decoded, Runner, Signature, Written
from framework.backends.base.onnx_files import LOADING, OPSET, PACKAGES, OnnxRunner, save_onnx
from framework.backends.torch.exporting.graphs import Recordable, recordable
from framework.backends.torch.exporting.torch_export import program_of
from framework.errors import UnsupportedArgument


class OnnxExporter:
    """Implements :class:`framework.backends.base.exporting.Exporter`."""

    holds = (MODEL, START, STEP)
    packages = PACKAGES
    loading = LOADING

    def write(self, trainee: Trainee, decoded: Decoded | None, folder: Path) -> Written:
        """``model.onnx``, and ``start.onnx`` and ``step.onnx`` where the model decodes; each holds its weights.

        Raises:
            UnsupportedArgument: torch cannot record a graph, or ONNX has no operator for something in it; it is named.
        """
        graphs = recordable(trainee, decoded)
        for one in graphs:
            save_onnx(_converted(one).model_proto, one.signature, folder)
        return Written(tuple(one.signature for one in graphs), (f"ONNX opset {OPSET}",))

    def open(self, folder: Path, signatures: Mapping[str, Signature]) -> Runner:
        """Loads the files with ONNX Runtime."""
        return OnnxRunner(folder, signatures)


def _converted(graph: Recordable) -> torch.onnx.ONNXProgram:
    signature = graph.signature
    try:
        with _quiet():
            made = torch.onnx.export(
                program_of(graph),
                input_names=[port.name for port in signature.inputs],
                output_names=[port.name for port in signature.outputs],
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise UnsupportedArgument(f"onnx: torch does not convert the graph '{signature.name}': {reason}") from error
    assert made is not None
    return made


@contextmanager
def _quiet() -> Iterator[None]:
    """What torch's exporter says of its own parts is no affair of a user."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


EXPORTER = OnnxExporter()
