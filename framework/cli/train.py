"""Train a model as a run in runs/<recipe>/<name>, or go on with that run where it was left.

gatework train recipe=text_generation
gatework train recipe=text_generation backend=tensorflow model.layers.gru.units=512
gatework train -m recipe=text_generation model.layers.gru.units=256,512
gatework train recipe=text_generation sweep=optuna hydra.sweeper.n_trials=30
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from framework.config.compose import Composed
from framework.config.jobs import Job, JobOutcome
from framework.config.launch import RunJobs, add_launch_arguments, launch
from framework.console import showing
from framework.secrets import concealed


class RunStopped(KeyboardInterrupt):
    """A signal has stopped a run in order: its checkpoint is written.

    Attributes:
        run: its folder.
    """

    def __init__(self, run: Path) -> None:
        super().__init__(run)
        self.run = run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_launch_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""

    def around(runs_dir: Path, job: Job, run_jobs: RunJobs) -> list[JobOutcome]:
        from rich.console import Console

        from framework.cli.ended import tell_end
        from framework.engine.many.multirun import record_multirun
        from framework.report.progress import ConsoleReporter

        return record_multirun(runs_dir, arguments.overrides, job, run_jobs, ConsoleReporter(Console()).warn, told=tell_end)

    return launch(arguments, train_composed, around)


def train_composed(composed: Composed) -> dict[str, Any]:
    """Trains one composed config; a function at the top of a module, so that launchers can run it in other processes.

    Raises:
        RunStopped: the run was stopped by a signal; its checkpoint is written.
    """
    from rich.console import Console

    from framework.cli.next_steps import next_lines
    from framework.engine.processes.found import is_member
    from framework.engine.run.train import train
    from framework.report.preparing import preparation_progress
    from framework.report.progress import ConsoleReporter

    experiment = composed.experiment()
    console = Console(quiet=is_member(experiment.trainer))  # process 0 tells what there is to tell
    with showing(display=True), preparation_progress(console):
        done = train(
            experiment,
            composed=composed.composed_yaml,
            overrides=composed.overrides,
            locate=composed.locate,
            reporter=ConsoleReporter(console),
            prune=_pruning(composed),
            apart=composed.swept,
            title=job_title(composed),
        )
    if done.status == "stopped":
        raise RunStopped(done.path)
    if composed.job is None and done.status == "finished":
        for line in next_lines(done, composed, experiment):
            console.print(concealed(line), markup=False, highlight=False, soft_wrap=True)
    return {"run": str(done.path), "status": done.status}


def job_title(composed: Composed) -> str | None:
    """What sets a job apart from the others of its multirun, such as ``units=256, learning_rate=0.001``; None for a run by itself."""
    from framework.report.changed import changed_of, changed_text

    if composed.job is None:
        return None
    words = [word for word in composed.overrides if word.partition("=")[0].lstrip("+~") in composed.swept]
    return concealed(changed_text(changed_of(words))) or None


def _pruning(composed: Composed) -> Any:
    """What ends a trial of a search early."""
    from framework.tracking.sync import PARENT

    folder = os.environ.get(PARENT)
    if folder is None or composed.job is None:
        return None
    from framework.engine.many.search import pruning

    return pruning(Path(folder), composed.job)
