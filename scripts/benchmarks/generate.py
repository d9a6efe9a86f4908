"""Tokens a second of a trained run: one prompt alone, and sixteen in one batch.

Beside them stands what the machine allows: tokens a second if a step were nothing but its matrix products, each by the fastest
product at hand, measured in the same call. Few rows are bound by the speed at which weights are read from memory.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.product import product_seconds
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
        settings = generator.settings(length=LENGTH, temperature=0.8)
        prompt = settings.prompt

        def write(count: int, generator: TextGenerator = generator, settings: Any = settings, prompt: str = prompt) -> object:
            return generator.generate([prompt] * count, settings)

        seconds = in_turns({str(count): (lambda count=count: write(count)) for count in ROWS}, arguments.rounds)  # type: ignore[misc]
        alone = LENGTH / seconds["1"]
        shapes = _products(generator)
        for count in ROWS:
            rate = LENGTH * count / seconds[str(count)]
            limit = count / sum(product_seconds(count, features, units) for features, units in shapes)
            row: dict[str, Any] = {"backend": backend, "prompts": count, "tokens a second": round(rate), "× one prompt": rate / alone}
            rows.append({**row, "products alone": round(limit), "of these": f"{rate / limit:.0%}"})
    return rows


def _products(generator: Any) -> list[tuple[int, int]]:
    """Features and units of the products of one decoding step.

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
    return [weights[name].shape for name in kept]
