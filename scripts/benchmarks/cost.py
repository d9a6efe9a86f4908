"""Cost against work: time and memory of the GRU layer's training step against time steps, batch and units, one changed at a time."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.gru import contestants
from benchmarks.memory import training_step
from benchmarks.peak import first_call
from benchmarks.turns import in_turns

LAYERS = ("gatework torch", "gatework tensorflow")
BASE = {"batch": 32, "time": 100, "features": 128, "units": 256}
CHANGED: dict[str, tuple[int, ...]] = {"time": (25, 50, 100, 200, 400), "batch": (8, 16, 32, 64, 128), "units": (64, 128, 256, 512, 1024)}
"""What is changed, and to what."""


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each layer, size that is changed, and value: milliseconds, MiB that two steps added, and both against the value before.

    Beside them the work: multiplications of the step's products, against the value before. Where time grows as the work or less, it is
    linear in it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    rows: list[dict[str, Any]] = []
    for name in arguments.only.split(",") if arguments.only else LAYERS:
        for size, values in CHANGED.items():
            rows.extend(_series(name, size, values, arguments.rounds))
    return rows


def _series(name: str, size: str, values: tuple[int, ...], rounds: int) -> list[dict[str, Any]]:
    backend = "torch" if "torch" in name else "tensorflow"
    shapes = {value: _shape({**BASE, size: value}) for value in values}
    steps = {str(value): dict(contestants(shape, "float32", False, backend))[name][0] for value, shape in shapes.items()}
    seconds = in_turns(steps, rounds)
    rows: list[dict[str, Any]] = []
    for value, shape in shapes.items():
        found = first_call(training_step, shape, name, "float32")
        row: dict[str, Any] = {"layer": name, "changed": size, "to": value, "ms": seconds[str(value)] * 1e3}
        row |= {"MiB": round(found.grown), "work": work(shape)}
        before = rows[-1] if rows else None
        for figure in ("ms", "MiB", "work"):
            row[f"{figure} grew"] = row[figure] / before[figure] if before and before[figure] else None
        rows.append(row)
    return rows


def work(shape: tuple[int, int, int, int]) -> int:
    """Multiplications of a training step: three times those of the forward pass."""
    batch, time, features, units = shape
    return 3 * batch * time * 3 * units * (features + units)


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Time above and memory below, a column for each size that is changed; thin lines are what grows as the work does.

    Args:
        rows: of :func:`measure`.
        path: of the picture, PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sizes = list(dict.fromkeys(row["changed"] for row in rows))
    figure, axes = pyplot.subplots(2, len(sizes), figsize=(3.2 * len(sizes), 5), sharex="col", sharey="row", layout="constrained")
    for column, size in enumerate(sizes):
        for layer in dict.fromkeys(row["layer"] for row in rows):
            series = [row for row in rows if row["changed"] == size and row["layer"] == layer]
            values, last = [row["to"] for row in series], series[-1]
            for line, what in enumerate(("ms", "MiB")):
                axes[line][column].loglog(values, [row[what] for row in series], "o-", base=2, label=layer.removeprefix("gatework "))
            ideal = [last["ms"] * row["work"] / last["work"] for row in series]
            axes[0][column].loglog(values, ideal, color="0.6", linewidth=0.8, base=2)
        axes[1][column].set_xlabel(size)
        axes[1][column].set_xticks(values, [str(value) for value in values])
        axes[1][column].minorticks_off()
    axes[0][0].set_ylabel("ms a training step")
    axes[1][0].set_ylabel("MiB that two steps add")
    axes[0][0].legend()
    others = ", ".join(f"{size} {value}" for size, value in BASE.items())
    figure.suptitle(f"One size changed at a time, the others: {others}", fontsize="medium")
    figure.savefig(path, dpi=100, metadata={"Software": None})
    pyplot.close(figure)


def _shape(sizes: dict[str, int]) -> tuple[int, int, int, int]:
    return sizes["batch"], sizes["time"], sizes["features"], sizes["units"]
