"""Tokens a second of a trained run: one prompt alone, and sixteen in one batch, in each precision that a backend has.

Beside them stand the frameworks' own layers called token by token, and what the machine allows: tokens a second if a step were nothing but
its matrix products, each by the fastest product at hand, measured once for each number of rows. Few rows are bound by the speed at which
weights are read from memory.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from benchmarks.alone import alone
from benchmarks.product import Product, limit_seconds, share
from benchmarks.rivals import stepping
from benchmarks.turns import in_turns

LENGTH, OWN_LENGTH = 1000, 200
"""Tokens of a text: ours, and by the framework's own layers, which are slower and begin with nothing."""

ROWS = (1, 16)
PRECISIONS = {"torch": ("float32", "bfloat16", "int8"), "tensorflow": ("float32", "bfloat16")}
OWN = "own layers"
WRITERS: dict[str, dict[str, Callable[..., Callable[[], object]]]] = {
    "torch": {OWN: stepping.torch_writer},
    "tensorflow": {
        OWN: partial(stepping.tensorflow_writer, compiled=True),
        "own layers, not compiled": partial(stepping.tensorflow_writer, compiled=False),
    },
}
"""The framework's own layers by name."""


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each backend, number of prompts, and precision; and for the framework's own layers."""
    from framework.engine.model.opening import trained_model
    from framework.engine.run.folder import find_run

    folder = find_run(arguments.run, arguments.runs_dir)
    weights = trained_model(folder).weights
    limits = {
        (count, precision): limit_seconds(_products(weights, count), precision) for count in ROWS for precision in PRECISIONS["torch"]
    }
    rows: list[dict[str, Any]] = []
    for backend, precisions in PRECISIONS.items():
        for count, seconds in alone(timed, arguments.run, arguments.runs_dir, backend, arguments.rounds).items():
            rows.extend(_row(backend, count, precision, seconds, limits[count, precision]) for precision in precisions)
            for name in WRITERS[backend]:
                rate = {"tokens a second": round(OWN_LENGTH * count / seconds[name]), "× own layers": seconds[OWN] / seconds[name]}
                rows.append({"backend": backend, "prompts": count, "by": name, **rate})
    return rows


def timed(run: str, runs_dir: str, backend: str, rounds: int) -> dict[int, dict[str, float]]:
    """Seconds of a text by number of prompts, by precision, and by own layers; in a process where no other backend's threads are."""
    from framework.engine.model.opening import open_model
    from framework.engine.run.folder import find_run

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    folder = find_run(run, runs_dir)
    models = {precision: open_model(folder, backend, precision=precision) for precision in PRECISIONS[backend]}
    return {count: in_turns(_contestants(models, backend, count), rounds) for count in ROWS}


def _contestants(models: dict[str, Any], backend: str, count: int) -> dict[str, Callable[[], object]]:
    from framework.tasks.known import task_of

    found: dict[str, Callable[[], object]] = {}
    for precision, model in models.items():
        task = task_of(model.experiment)
        prompts = [task.input_example(model.experiment)] * count
        found[precision] = partial(task.predict, model, prompts, settings={"length": LENGTH, "temperature": stepping.TEMPERATURE})
    weights = next(iter(models.values())).trainee.weights()
    return {**found, **{name: writer(weights, count, OWN_LENGTH) for name, writer in WRITERS[backend].items()}}


def _row(backend: str, count: int, precision: str, seconds: dict[str, float], limit: float) -> dict[str, Any]:
    found: dict[str, Any] = {"backend": backend, "prompts": count, "by": f"gatework, {precision}"}
    found["tokens a second"] = round(LENGTH * count / seconds[precision])
    found["× own layers"] = seconds[OWN] / OWN_LENGTH * LENGTH / seconds[precision]
    of_limit = share(f"a step of {count} prompts on {backend} in {precision}", limit, seconds[precision] / LENGTH)
    return {**found, "products alone": round(count / limit), "of these": of_limit}


def _products(weights: Mapping[str, Any], rows: int) -> list[Product]:
    """The products of one decoding step.

    The input product of a recurrent layer is left out, since an
    embedding before it is folded into a table that is looked up.
    """
    recurrent = {name.rpartition("/")[0] for name in weights if name.endswith("/recurrent_kernel")}
    kept = [
        name
        for name in weights
        if name.endswith("kernel") and (name.endswith("/recurrent_kernel") or name[: -len("/kernel")] not in recurrent)
    ]
    return [Product(rows, *weights[name].shape) for name in kept]
