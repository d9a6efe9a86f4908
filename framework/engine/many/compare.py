"""Several runs beside one another: the settings in which they differ, what they came to, their curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from framework.engine.many.jobs import runs_of_multirun
from framework.engine.many.judged import judged_by, reached
from framework.engine.many.listing import differing, epoch_records, run_row, settings_of
from framework.engine.run.folder import RunFolder, all_runs, find_run
from framework.errors import GateworkError, InputError
from framework.report.compare import Compared, Comparison
from framework.report.runs import NOT_SET
from framework.tasks.monitored import Monitored
from framework.tracking.outbox import MULTIRUN

PLOT = "compare.png"


def runs_to_compare(names: Sequence[str], runs_dir: str = "runs") -> list[RunFolder]:
    """The runs that a person means, each once; a multirun's folder stands for the runs of its jobs.

    Args:
        names: runs as :func:`find_run` knows them, or folders of multiruns.
        runs_dir: folder of all runs.

    Raises:
        RunError: there is no such run.
        InputError: there are fewer than two to compare.
    """
    found: dict[RunFolder, None] = {}
    for name in names:
        folder = Path(name)
        found.update(dict.fromkeys(runs_of_multirun(folder.resolve()) if (folder / MULTIRUN).is_file() else [find_run(name, runs_dir)]))
    runs = list(found)
    if len(runs) < 2:
        only = f"only {runs[0].recipe}/{runs[0].name} is named" if runs else f"{' '.join(names)} has no run yet"
        others = [f"{one.recipe}/{one.name}" for one in all_runs(runs_dir) if one not in found]
        there = f"; other runs there: {', '.join(others[:10])}{', …' if len(others) > 10 else ''}" if others else ""
        raise InputError(f"{only}; a comparison needs two runs, or the folder of a multirun{there}")
    return runs


def compare_runs(runs: Sequence[RunFolder]) -> Comparison:
    """What several runs differ in, and what they came to.

    Args:
        runs: at least two; what cannot be read of one is told in its row, and hides nothing else.
    """
    settings = [settings_of(run) for run in runs]
    keys = differing(settings)
    by = judged_by(runs)
    rows = [
        _compared(run, {key: own.get(key, NOT_SET) for key in keys} if own else {}, by) for run, own in zip(runs, settings, strict=True)
    ]
    return Comparison(rows, by.name, by.highest)


def _compared(run: RunFolder, differs: Mapping[str, Any], by: Monitored) -> Compared:
    try:
        records = epoch_records(run.metrics)
    except GateworkError:  # told in the row
        records = []
    best = reached(records, by)
    curves: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        measured = record.of_epoch
        for name in _drawn(by.name):
            if name in measured:
                curves.setdefault(name, []).append((record.epoch, measured[name]))
    return Compared(
        row=replace(run_row(run), differs=differs),
        final=records[-1].of_epoch if records else {},
        best=None if best is None else best.value,
        best_epoch=None if best is None else best.epoch,
        parameters=_parameters(run),
        curves=curves,
    )


def place_of_plot(names: Sequence[str], runs_dir: str = "runs") -> Path:
    """Where the picture goes unless somebody says otherwise: into the multirun's folder; of single runs beside them all."""
    folders = [Path(name) for name in names if (Path(name) / MULTIRUN).is_file()]
    if len(folders) == 1 and len(names) == 1:
        return folders[0] / "plots" / PLOT
    return Path(runs_dir) / PLOT


def _drawn(name: str) -> tuple[str, ...]:
    """The curves that are kept: the losses, and the figure by which runs are compared."""
    return tuple(dict.fromkeys(("loss", "val_loss", name)))


def _parameters(run: RunFolder) -> Any:
    try:
        return run.read_record().get("parameters")
    except GateworkError:
        return None
