"""The weights alone, as safetensors: any backend's, read by anything that reads safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.backend import Trainee
from framework.backends.base.exporting import WEIGHTS, Decoded, Port, Runner, Signature, Written
from framework.backends.base.training import Arrays
from framework.weights.store import save_weights

FILE = "weights.safetensors"


class WeightsExporter:
    """Implements :class:`framework.backends.base.exporting.Exporter`."""

    holds = (WEIGHTS,)
    packages = "numpy safetensors"
    loading = f"""\
from safetensors.numpy import load_file

run = lambda graph: load_file("{FILE}")
"""

    def write(self, trainee: Trainee, decoded: Decoded | None, folder: Path) -> Written:
        """Every weight under ``layer/weight``."""
        weights = trainee.weights()
        save_weights(folder / FILE, weights)
        ports = tuple(Port(name, str(array.dtype), array.shape) for name, array in weights.items())
        note = "kernels are in Keras' layout, gates z, r, h, whatever backend the run was trained on"
        return Written((Signature(WEIGHTS, (), ports),), (note,))

    def open(self, folder: Path, signatures: Mapping[str, Signature]) -> Runner:
        """Reads the file with safetensors alone."""
        from safetensors.numpy import load_file

        def run(graph: str, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
            return dict(load_file(folder / FILE))

        return run


EXPORTER = WeightsExporter()
