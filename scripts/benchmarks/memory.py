"""Memory of one training step of the GRU layer at its peak, each contestant in a process of its own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from benchmarks.gru import SHAPES, contestants
from benchmarks.peak import first_call

LAYERS = ("gatework torch", "torch.nn.GRU", "gatework tensorflow", "keras.layers.GRU")


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each layer at the first shape (or those given): MiB that a first and second training step added at most."""
    shapes = [tuple(map(int, one.split(","))) for one in arguments.shapes.split(";")] if arguments.shapes else SHAPES[:1]
    names = arguments.only.split(",") if arguments.only else LAYERS
    rows = []
    for shape in shapes:
        grown = {}
        for name in names:
            found = first_call(training_step, shape, name, arguments.dtype)
            grown[name] = found.grown
        for name, value in grown.items():
            row: dict[str, Any] = {"batch, time, features, units": ", ".join(map(str, shape)), "layer": name, "MiB": round(value)}
            native = "torch.nn.GRU" if "torch" in name else "keras.layers.GRU"
            rows.append({**row, "of the native layer": value / grown[native] if native in grown and native != name else None})
    return rows


def training_step(shape: tuple[int, int, int, int], name: str, dtype: str) -> Callable[[], object]:
    """The training step of one layer."""
    train, _ = dict(contestants(shape, dtype, with_variants=False, backend="torch" if "torch" in name else "tensorflow"))[name]
    return train
