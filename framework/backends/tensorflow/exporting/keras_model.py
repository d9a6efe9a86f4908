"""Keras' own file of a whole model, with nothing in it but Keras' own layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from framework.backends.base.exporting import MODEL, Decoded, Signature, Written, model_signature
from framework.backends.base.training import Arrays
from framework.backends.tensorflow.plain_keras import plain_model
from framework.backends.tensorflow.whole_model import outputs_of
from framework.errors import UnsupportedArgument

FILE = "model.keras"


class KerasExporter:
    """What :class:`framework.backends.base.exporting.Exporter` promises, for ``.keras`` files."""

    holds = (MODEL,)
    packages = "keras tensorflow"
    loading = f"""\
import json

import keras

model = keras.saving.load_model("{FILE}")
ports = json.load(open("interface.json"))["graphs"]["model"]


def run(graph, **inputs):
    given = [inputs[port["name"]] for port in ports["inputs"]]
    outputs = model.predict_on_batch(dict(zip(model.input, given)) if isinstance(model.input, dict) else given[0])
    outputs = [outputs[name] for name in model.output] if isinstance(outputs, dict) else [outputs]
    return {{port["name"]: np.asarray(value) for port, value in zip(ports["outputs"], outputs)}}
"""

    def write(self, trainee: Any, decoded: Decoded | None, folder: Path) -> Written:
        """Writes one file.

        Raises:
            UnsupportedArgument: layers have no counterpart among Keras' own; each is named.
        """
        plain, obstacles = plain_model(trainee.native)
        if plain is None:
            raise UnsupportedArgument(
                f"keras: {'; '.join(obstacles)}; saved_model and onnx hold what the layer computes, and 'gatework convert --export "
                "FILE.keras' writes it for a Keras that has Gatework beside it"
            )
        plain.save(folder / FILE)
        return Written((model_signature(trainee.plan, None if decoded is None else decoded.input),))

    def open(self, folder: Path, signatures: Mapping[str, Signature]) -> KerasRunner:
        """Loads the file."""
        return KerasRunner(folder / FILE, signatures[MODEL])


class KerasRunner:
    """Runs the model of a ``.keras`` file.

    Args:
        path: the file.
        signature: of the model.
    """

    def __init__(self, path: Path, signature: Signature) -> None:
        self._model = keras.saving.load_model(path, compile=False, safe_mode=True)
        self._signature = signature

    def __call__(self, graph: str, inputs: Arrays) -> Mapping[str, NDArray[np.generic]]:
        """What the model makes of its inputs, both by name."""
        # Keras' own names may have letters that those of exports have not; its mapping has their order, its list that of the alphabet.
        own = self._model.input.values() if isinstance(self._model.input, dict) else [self._model.input]
        named = {tensor.name: inputs[port.name] for tensor, port in zip(own, self._signature.inputs, strict=True)}
        return dict(zip([port.name for port in self._signature.outputs], outputs_of(self._model, named), strict=True))


EXPORTER = KerasExporter()
