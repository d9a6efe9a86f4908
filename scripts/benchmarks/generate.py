"""Tokens a second of a trained run: one prompt alone, and sixteen in one batch.

Beside them stands what the machine allows: tokens a second if a step were nothing but its matrix products, each by the fastest
product at hand. Few rows are bound by the speed at which weights are read from memory.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.product import Product, limit_seconds, share
from benchmarks.turns import in_turns

LENGTH = 1000
ROWS = (1, 16)


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each backend that is installed and each number of prompts."""
    from framework.engine.folder import find_run
    from framework.engine.text import TextGenerator

    folder = find_run(arguments.run, arguments.runs_dir)
    rows: list[dict[str, Any]] = []
    for backend in ("torch", "tensorflow"):
        generator = TextGenerator.of_run(folder, backend)
        limits = {count: limit_seconds(_products(generator, count)) for count in ROWS}
        settings = generator.settings(length=LENGTH, temperature=0.8)
        prompt = settings.prompt

        def write(count: int, generator: TextGenerator = generator, settings: Any = settings, prompt: str = prompt) -> object:
            return generator.generate([prompt] * count, settings)

        seconds = in_turns({str(count): (lambda count=count: write(count)) for count in ROWS}, arguments.rounds)  # type: ignore[misc]
        one_prompt = LENGTH / seconds["1"]
        for count in ROWS:
            rate = LENGTH * count / seconds[str(count)]
            row: dict[str, Any] = {"backend": backend, "prompts": count, "tokens a second": round(rate), "× one prompt": rate / one_prompt}
            of_limit = share(f"a step of {count} prompts on {backend}", limits[count], seconds[str(count)] / LENGTH)
            rows.append({**row, "products alone": round(count / limits[count]), "of these": of_limit})
    return rows


def _products(generator: Any, rows: int) -> list[Product]:
    """The products of one decoding step.

    The input product of a recurrent layer is left out, since an
    embedding before it is folded into a table that is looked up.
    """
    weights = generator.trainee.weights()
    recurrent = {name.rpartition("/")[0] for name in weights if name.endswith("/recurrent_kernel")}
    kept = [
        name
        for name in weights
        if name.endswith("kernel") and (name.endswith("/recurrent_kernel") or name[: -len("/kernel")] not in recurrent)
    ]
    return [Product(rows, *weights[name].shape) for name in kept]
