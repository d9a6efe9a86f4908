"""Tokens a second of a trained run: one prompt alone, and sixteen in one batch.

Beside them stands what the machine allows: tokens a second if a step were nothing but its matrix products, each by the fastest
product at hand. Few rows are bound by the speed at which weights are read from memory.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from benchmarks.product import Product, limit_seconds, share
from benchmarks.turns import in_turns

LENGTH = 1000
ROWS = (1, 16)


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each backend that is installed and each number of prompts."""
    from framework.engine.model.opening import open_model
    from framework.engine.run.folder import find_run
    from framework.tasks.known import task_of

    folder = find_run(arguments.run, arguments.runs_dir)
    rows: list[dict[str, Any]] = []
    for backend in ("torch", "tensorflow"):
        model = open_model(folder, backend)
        limits = {count: limit_seconds(_products(model, count)) for count in ROWS}
        predict = partial(task_of(model.experiment).predict, model, settings={"length": LENGTH, "temperature": 0.8})
        row = task_of(model.experiment).input_example(model.experiment)
        seconds = in_turns({str(count): partial(predict, [row] * count) for count in ROWS}, arguments.rounds)
        one_prompt = LENGTH / seconds["1"]
        for count in ROWS:
            rate = LENGTH * count / seconds[str(count)]
            speed = {"tokens a second": round(rate), "× one prompt": rate / one_prompt}
            found: dict[str, Any] = {"backend": backend, "prompts": count, **speed}
            of_limit = share(f"a step of {count} prompts on {backend}", limits[count], seconds[str(count)] / LENGTH)
            rows.append({**found, "products alone": round(count / limits[count]), "of these": of_limit})
    return rows


def _products(model: Any, rows: int) -> list[Product]:
    """The products of one decoding step.

    The input product of a recurrent layer is left out, since an
    embedding before it is folded into a table that is looked up.
    """
    weights = model.trainee.weights()
    recurrent = {name.rpartition("/")[0] for name in weights if name.endswith("/recurrent_kernel")}
    kept = [
        name
        for name in weights
        if name.endswith("kernel") and (name.endswith("/recurrent_kernel") or name[: -len("/kernel")] not in recurrent)
    ]
    return [Product(rows, *weights[name].shape) for name in kept]
