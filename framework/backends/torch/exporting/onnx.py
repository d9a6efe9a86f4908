"""ONNX by torch's own exporter: one file a graph, for any runtime that reads it."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import onnxscript  # noqa: F401 - torch's exporter needs it, and says so in words of its own
import torch

from framework.backends.base.backend import Trainee
from framework.backends.base.exporting import Decoded, Signature
from framework.backends.base.onnx_files import OPSET, OnnxExporter, check_names
from framework.backends.torch.exporting.graphs import Recordable, recordable
from framework.backends.torch.exporting.torch_export import program_of
from framework.backends.torch.trainee import TorchTrainee
from framework.errors import UnsupportedArgument


def _models(trainee: Trainee, decoded: Decoded | None) -> Iterator[tuple[Any, Signature]]:
    _check_types(trainee)
    for graph in recordable(trainee, decoded):
        yield _converted(graph).model_proto, graph.signature


def _check_types(trainee: Trainee) -> None:
    """Refuses layers that compute in another type than the model: ONNX Runtime 1.32 crashes where it moves casts past products.

    Raises:
        UnsupportedArgument: there is one; it is named.
    """
    usual = "float64" if cast(TorchTrainee, trainee).precision == "64-true" else "float32"
    for layer in trainee.plan.layers:
        if layer.spec.dtype not in (None, usual):
            raise UnsupportedArgument(
                f"onnx: layer '{layer.name}' computes in {layer.spec.dtype} and the model in {usual}: ONNX Runtime may crash at what torch "
                "writes of that; torch_export holds the model, and so does onnx after 'gatework convert --to tensorflow'"
            )


def _converted(graph: Recordable) -> torch.onnx.ONNXProgram:
    signature = graph.signature
    check_names(signature)
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


EXPORTER = OnnxExporter(_models)
