"""Tokens a second of a trained run: one prompt alone, and sixteen in one batch."""

from __future__ import annotations

import argparse
from typing import Any

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
        for count in ROWS:
            rate = LENGTH * count / seconds[str(count)]
            rows.append({"backend": backend, "prompts": count, "tokens a second": round(rate), "× one prompt": rate / alone})
    return rows
