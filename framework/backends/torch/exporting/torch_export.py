"""torch's own exported programs, ``.pt2``: one file a graph, which torch alone loads and runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from framework.backends.base.backend import Trainee
from framework.backends.base.exporting import MODEL, START, STEP, Decoded, Runner, Signature, Written, unsupported
from framework.backends.base.training import Arrays
from framework.backends.torch.exporting.graphs import Recordable, recordable


class ProgramExporter:
    """Implements :class:`framework.backends.base.exporting.Exporter`."""

    holds = (MODEL, START, STEP)
    packages = "numpy torch"
    loading = """\
import json

import torch

graphs = json.load(open("interface.json", encoding="utf-8"))["graphs"]
programs = {name: torch.export.load(f"{name}.pt2").module() for name in graphs}


def run(graph, **inputs):
    with torch.no_grad():
        found = programs[graph](*(torch.from_numpy(inputs[one["name"]]) for one in graphs[graph]["inputs"]))
    return {one["name"]: value.numpy() for one, value in zip(graphs[graph]["outputs"], found)}
"""

    def write(self, trainee: Trainee, decoded: Decoded | None, folder: Path) -> Written:
        """``model.pt2``, and ``start.pt2`` and ``step.pt2`` where the model decodes."""
        graphs = recordable(trainee, decoded)
        for one in graphs:
            program = program_of(one)
            with unsupported(f"torch cannot save the graph '{one.signature.name}'"):
                torch.export.save(program, folder / f"{one.signature.name}.pt2")
        note = f"the files were written by torch {torch.__version__.partition('+')[0]}; an older one may not load them"
        return Written(tuple(one.signature for one in graphs), (note,))

    def open(self, folder: Path, signatures: Mapping[str, Signature]) -> Runner:
        """Loads the programs with ``torch.export.load``."""
        programs = {name: torch.export.load(folder / f"{name}.pt2").module() for name in signatures}

        def run(graph: str, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
            given = [torch.from_numpy(np.ascontiguousarray(inputs[port.name])) for port in signatures[graph].inputs]
            with torch.no_grad():
                found = programs[graph](*given)
            return {port.name: value.numpy() for port, value in zip(signatures[graph].outputs, found, strict=True)}

        return run


def program_of(graph: Recordable) -> torch.export.ExportedProgram:
    """A graph recorded for all lengths that vary.

    Raises:
        UnsupportedArgument: something in it cannot be recorded; torch's reason is told.
    """
    with unsupported(f"torch cannot record the graph '{graph.signature.name}'"), torch.no_grad():
        return torch.export.export(graph.module, graph.example(), dynamic_shapes=(graph.varying(),), strict=False)


EXPORTER = ProgramExporter()
