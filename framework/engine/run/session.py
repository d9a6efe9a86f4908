"""One stretch of a run's training: from the latest checkpoint, or the start, to the end or a stop."""

from __future__ import annotations

import time
from collections.abc import Callable

from framework.backends.base.backend import Trainee
from framework.backends.base.processes import Processes
from framework.backends.base.registry import load_backend
from framework.backends.base.shared_events import SharedEvents
from framework.backends.base.state import State
from framework.backends.base.training import Position, TrainingEvents
from framework.engine.run.checkpoint import CheckpointStore, Progress
from framework.engine.run.folder import RunFolder
from framework.engine.run.judge import Judge
from framework.engine.run.monitor import Monitor, Prune
from framework.engine.run.pictures import write_pictures
from framework.engine.run.portable import write_portable
from framework.engine.run.prepare import Prepared
from framework.engine.run.recorder import Recorder
from framework.engine.run.samples import sample_maker
from framework.engine.run.scores import score_maker
from framework.engine.run.signals import StopSignals
from framework.engine.run.summary import write_summary
from framework.engine.run.training import build_share, load_share, training_of, untrained_totals
from framework.errors import LostProcess, TrainingError
from framework.report.progress import Reporter
from framework.spec.experiment import Experiment

_UNTRAINED = "epoch/untrained_loss"


class Session:
    """A training in progress.

    Args:
        experiment: the config.
        folder: the run's folder, locked.
        prepared: the experiment with its data.
        signals: asked whether somebody wants to stop.
        reporter: told what a person may want to see.
        prune: told each epoch's values; True ends the run.
        processes: that train together.
        who_is_gone: names the one of them that is, where another has gone.
    """

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        prepared: Prepared,
        signals: StopSignals,
        reporter: Reporter,
        prune: Prune | None,
        processes: Processes,
        who_is_gone: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.processes, self.who_is_gone = processes, who_is_gone
        self.experiment = experiment
        self.folder = folder
        self.prepared = prepared
        self.reporter = reporter
        self.store = CheckpointStore(folder.checkpoints)
        self.trainee, progress = self._restore()
        self._untrained: float | None = None
        self.recorder = Recorder(folder.metrics, reporter.warn)
        self._tell_of_lost_values(progress.position.step)
        self.training = training_of(prepared, progress.position, processes)
        self.monitor = Monitor(
            experiment.trainer,
            Judge(experiment.trainer, prepared.task, prepared.data.validation is not None),
            self._whole_state,
            self.store,
            self.recorder,
            reporter,
            progress,
            signals.requested,
            lambda totals: prepared.task.describe(totals, prepared.data),
            score_maker(prepared, self.trainee),
            sample_maker(prepared, self.trainee, folder, reporter.warn),
            prune,
        )
        self.events: TrainingEvents = self.monitor
        if processes.size > 1:
            every = experiment.trainer.checkpoint.every_n_steps
            self.events = self.shared = SharedEvents(self.monitor, processes, self.trainee.state, every)

    def _whole_state(self) -> State:
        return dict(self.trainee.state()) if self.processes.size == 1 else self.shared.whole_state()

    @property
    def complete(self) -> bool:
        """Whether all epochs are done, or early stopping ended them."""
        return self.monitor.stopped_early or self.monitor.progress.position.epoch >= self.experiment.trainer.max_epochs

    def try_out(self) -> None:
        """Runs a fresh model once, which refuses what only the first call can tell; nothing is written.

        The first batch's loss before any step is near ln(vocabulary) where the set-up is right.
        """
        due = self.monitor.progress.position.step == 0 and not self.recorder.has(_UNTRAINED)
        self.processes.tell_json({"try_out": due})
        if due:
            self._untrained = untrained_totals(self.prepared, self.training, self.trainee).loss

    def run(self) -> None:
        """Trains; a stop asked for in the middle of an epoch leaves a checkpoint there."""
        if self._untrained is not None:
            self.recorder.record(0, 0.0, {_UNTRAINED: self._untrained})
            self.reporter.message(f"untrained loss {self._untrained:.4f}")
        self.folder.update_record(versions=load_backend(self.experiment.backend.name).versions())
        begun = time.monotonic()
        try:
            train = not self.complete  # a kill may have come between the last epoch and the run's end
            self.processes.tell_json({"train": train})
            if train:
                self.trainee.fit(self.training, self.events)
        except LostProcess as error:
            raise LostProcess(f"{self.who_is_gone() or error}; the same command goes on\n    hint: {self._way_back()}") from error
        except TrainingError as error:
            raise TrainingError(f"{error}\n    hint: {self._way_back()}") from error
        finally:
            self.reporter.end()
            self.recorder.close()
            self.folder.update_record(wall_seconds=self.folder.read_record().get("wall_seconds", 0.0) + time.monotonic() - begun)
        if not (self.complete or self.monitor.pruned):
            self.monitor.checkpoint()

    def finish(self, status: str) -> None:
        """Writes the portable model, plots and report, and marks the run."""
        progress = self.monitor.progress
        write_portable(self.folder, self.prepared, self.store, self.reporter.warn)
        if status == "finished":
            write_pictures(self.folder, self.prepared, self.trainee, self.reporter.warn)
        self.folder.update_record(
            status=status,
            epochs=progress.position.epoch,
            steps=progress.position.step,
            best=progress.best,
            best_epoch=progress.best_epoch,
            stopped_early=self.monitor.stopped_early,
            pruned_after_epoch=progress.position.epoch if status == "pruned" else None,
            ended=time.time(),
        )
        write_summary(self.folder)
        for line in self._outcome(status):
            self.reporter.message(line)

    def _outcome(self, status: str) -> list[str]:
        """How the training ended, for people, and what goes on with it."""
        progress = self.monitor.progress
        epoch, step = progress.position.epoch, progress.position.step
        if status == "pruned":
            return [f"pruned after epoch {epoch}: other trials were better by then"]
        if status == "stopped":
            name = f", with name={self.folder.name} in place of resume=never," if self.experiment.resume == "never" else ""
            return [f"stopped at step {step}; the same command{name} goes on from there"]
        early = [f"stopped early after epoch {epoch}, best was {progress.best_epoch}"] if self.monitor.stopped_early else []
        return [*early, f"finished {self.folder.path}"]

    def _way_back(self) -> str:
        """What is left of a training that failed, and how to try again."""
        step = self.store.step("last")
        if step is None:
            left = "there is no checkpoint yet; trainer.checkpoint.every_n_steps=100 writes one within an epoch"
        else:
            left = f"the last good checkpoint is {self.store.folder / 'last'}, after step {step:,}"
        again = "; with other settings it is another run, which needs another name=…, or resume=never"
        return left + (again if self.experiment.name else "")

    def _restore(self) -> tuple[Trainee, Progress]:
        checkpoint = self.store.latest(self.reporter.warn)
        trainee = build_share(self.prepared, self.processes)
        at = Position() if checkpoint is None else checkpoint.progress.position
        self.processes.tell_json({"checkpoint": None if checkpoint is None else checkpoint.name, "step": at.step})
        if checkpoint is None:
            return trainee, Progress(at)
        load_share(trainee, checkpoint.state, self.processes)
        self.reporter.message(f"from checkpoint '{checkpoint.name}': epoch {at.epoch}, step {at.step}")
        return trainee, checkpoint.progress

    def _tell_of_lost_values(self, step: int) -> None:
        """What was measured before a checkpoint is on the disk before it; where it is gone, somebody shall know."""
        kept, due = self.recorder.last_step, step - step % self.experiment.trainer.log_every_n_steps
        if step > 0 and kept < due:
            self.reporter.warn(
                f"{self.folder.metrics} ends {f'at step {kept}' if kept >= 0 else 'before the first step'}, and the checkpoint is of "
                f"step {step}: what was measured between is lost"
            )
