"""Sentences a second of a trained translator: greedily, and by a beam search of five, in batches of like lengths."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from benchmarks.turns import in_turns
from framework.errors import InputError

SENTENCES = 1000
SEARCHES: dict[str, dict[str, Any]] = {"greedy": {"strategy": "greedy"}, "beam 5": {"strategy": "beam", "beam_width": 5}}


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each backend and search: sentences a second, and how many times a greedy translation it takes.

    The sentences are held-out ones, again from the first on where there are too few.
    """
    from framework.engine.model.opening import open_model
    from framework.engine.run.folder import find_run
    from framework.tasks.known import task_of

    folder = find_run(arguments.run, arguments.runs_dir)
    rows: list[dict[str, Any]] = []
    for backend in arguments.only.split(",") if arguments.only else ("torch", "tensorflow"):
        model = open_model(folder, backend)
        predict = partial(task_of(model.experiment).predict, model, _sentences(model))
        searches = {name: partial(predict, settings=settings) for name, settings in SEARCHES.items()}
        seconds = in_turns(searches, arguments.rounds)
        for name, taken in seconds.items():
            row = {"backend": backend, "search": name, "sentences": SENTENCES, "sentences a second": round(SENTENCES / taken)}
            rows.append({**row, "× greedy's time": taken / seconds["greedy"]})
    return rows


def _sentences(model: Any) -> list[dict[str, Any]]:
    from framework.data.prepare import prepare

    experiment = model.experiment
    data = prepare(experiment.data, experiment.paths, experiment.seed)
    examples = data.examples.get("validation") or data.examples.get("train")
    if not examples or "source" not in examples[0].inputs:
        raise InputError(f"the run's data, {data.source}, has no sentences to translate; expected the run of a translator")
    return [dict(examples[number % len(examples)].inputs) for number in range(SENTENCES)]
