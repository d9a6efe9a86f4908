"""Memory of one training step of the GRU layer at its peak, each contestant in a process of its own."""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.gru import SHAPES, contestants

LAYERS = ("gatework torch", "torch.nn.GRU", "gatework tensorflow", "keras.layers.GRU")
_MEBIBYTE = 2**20


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each layer at the first shape (or those given): MiB that a first and second training step added at most."""
    shapes = [tuple(map(int, one.split(","))) for one in arguments.shapes.split(";")] if arguments.shapes else SHAPES[:1]
    names = arguments.only.split(",") if arguments.only else LAYERS
    rows = []
    for shape in shapes:
        grown = {name: _in_a_process(shape, name, arguments.dtype) for name in names}
        for name, value in grown.items():
            row: dict[str, Any] = {"batch, time, features, units": ", ".join(map(str, shape)), "layer": name, "MiB": round(value)}
            native = "torch.nn.GRU" if "torch" in name else "keras.layers.GRU"
            rows.append({**row, "of the native layer": value / grown[native] if native in grown and native != name else None})
    return rows


def _in_a_process(shape: tuple[int, ...], name: str, dtype: str) -> float:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_grow, args=(sender, shape, name, dtype))
    process.start()
    sender.close()
    grown = float(receiver.recv())
    process.join()
    return grown


def _grow(sender: Connection, shape: tuple[int, int, int, int], name: str, dtype: str) -> None:
    train, _ = dict(contestants(shape, dtype, with_variants=False, backend="torch" if "torch" in name else "tensorflow"))[name]
    before = _peak()
    train()
    train()
    sender.send(_peak() - before)


def _peak() -> float:
    """MiB that this process has held at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / _MEBIBYTE if sys.platform == "darwin" else peak / 1024
