"""Trains an experiment as a run: found again, gone on with, recorded, finished in order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from framework.backends.base.backend import Backend, Trainee
from framework.backends.base.training import Position, Training
from framework.builder.planner import off_cudnn
from framework.builder.schedule import learning_rate
from framework.data.limit import limit
from framework.data.vocabulary import VOCABULARY_FILE
from framework.engine.checkpoint import CheckpointStore, Progress
from framework.engine.digest import config_digest, differences, may_change, resolved
from framework.engine.files import write_json, write_text
from framework.engine.folder import RunFolder, folder_for, next_free, remember_last
from framework.engine.lock import RunLock
from framework.engine.monitor import Monitor, Prune
from framework.engine.portable import write_portable
from framework.engine.prepare import Prepared, build_trainee, prepare_experiment
from framework.engine.recorder import Recorder
from framework.engine.run import Run
from framework.engine.samples import sample_maker
from framework.engine.signals import StopSignals
from framework.engine.summary import write_summary
from framework.errors import RunError, TrainingError
from framework.report.progress import Reporter, SilentReporter
from framework.spec.experiment import Experiment
from framework.spec.problems import Locate, nowhere
from framework.tracking.environment import describe_environment
from framework.tracking.tracker import open_tracker


def train(
    experiment: Experiment,
    *,
    composed: str | None = None,
    overrides: Sequence[str] = (),
    locate: Locate = nowhere,
    reporter: Reporter | None = None,
    prune: Prune | None = None,
) -> Run:
    """Trains an experiment to its end, or goes on where its run was left.

    Args:
        experiment: a validated config.
        composed: the composed YAML, kept in the run's folder; written from the experiment when not given.
        overrides: the overrides as typed, kept likewise.
        locate: where each key was set, for messages.
        reporter: who is told what happens; nobody when not given.
        prune: told each epoch's values; True ends the run.

    Returns:
        The run; ``run.status`` is ``finished``, ``stopped`` after Ctrl-C or SIGTERM, or ``pruned``.

    Raises:
        GateworkError: the run cannot be started or gone on with, or training failed; the run's record holds the error.
    """
    told = reporter or SilentReporter()
    folder, fresh = _choose_folder(experiment)
    if folder is None:
        raise RunError("resume=must, but there is no run to go on with")
    if not fresh and _is_finished(folder, experiment):
        told.message(f"run {folder.path} is finished already; resume=never starts a new one, a larger trainer.max_epochs goes on")
        return Run(folder)
    with RunLock(folder.path):
        return _train_locked(experiment, folder, fresh, composed, overrides, locate, told, prune)


def _choose_folder(experiment: Experiment) -> tuple[RunFolder | None, bool]:
    """The folder to train in, and whether it is a new one.

    Raises:
        RunError: a run of that name is there with another config.
    """
    folder = folder_for(experiment)
    if not folder.exists():
        for place in (folder.path, *folder.path.parents):
            if place.exists() and not place.is_dir():
                raise RunError(f"{place} is a file; a run needs a folder there")
        return (None if experiment.resume == "must" else folder), True
    if experiment.resume == "never":
        return next_free(folder), True
    changed = differences(folder.read_record().get("settings", {}), resolved(experiment))
    conflicts = [one for one in changed if not may_change(one[0])]
    if conflicts:
        lines = [f"  {key}: {before!r} in the run, {after!r} now" for key, before, after in conflicts]
        head = f"run {folder.path} has another config; only trainer.max_epochs, tracking and paths may change:"
        raise RunError("\n".join([head, *lines, "  start another run with another name=…, or with resume=never"]))
    return folder, False


def _is_finished(folder: RunFolder, experiment: Experiment) -> bool:
    record = folder.read_record()
    if record.get("status") == "pruned":
        return True
    if record.get("status") != "finished":
        return False
    return bool(record.get("stopped_early")) or record.get("epochs", 0) >= experiment.trainer.max_epochs


def _train_locked(
    experiment: Experiment,
    folder: RunFolder,
    fresh: bool,
    composed: str | None,
    overrides: Sequence[str],
    locate: Locate,
    reporter: Reporter,
    prune: Prune | None,
) -> Run:
    prepared = prepare_experiment(experiment, locate)
    _check_data(folder, prepared)
    _write_start(folder, experiment, prepared, composed, overrides)
    remember_last(folder, experiment.paths.runs_dir)
    reporter.message(f"{'run' if fresh else 'going on with'} {folder.path}")
    for line in off_cudnn(prepared.plan, experiment.backend.name):
        reporter.message(line)
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        tracker = stack.enter_context(open_tracker(folder.path, experiment, reporter.warn))
        try:
            session = _Session(experiment, folder, prepared, signals, reporter, prune)
            session.run()
            status = "pruned" if session.monitor.pruned else "finished" if session.complete else "stopped"
            session.finish(status)
        except BaseException as error:
            status = "killed" if isinstance(error, KeyboardInterrupt) else "failed"
            folder.update_record(status=status, error=f"{type(error).__name__}: {error}", ended=time.time())
            tracker.finish(status, str(error))
            raise
        tracker.finish(status)
    return Run(folder)


def _check_data(folder: RunFolder, prepared: Prepared) -> None:
    """A run goes on only with the data that it was begun with."""
    before = folder.read_record().get("data_digest")
    if before is not None and before != prepared.data.digest:
        raise RunError(
            f"run {folder.path} was begun with other data (digest {before[:12]}…, now {prepared.data.digest[:12]}…); "
            "give it the same data, or start another run with another name=… or resume=never"
        )


def _write_start(folder: RunFolder, experiment: Experiment, prepared: Prepared, composed: str | None, overrides: Sequence[str]) -> None:
    from framework.config.saved import dump_yaml, save_resolved

    write_text(folder.config / "composed.yaml", composed if composed is not None else dump_yaml(resolved(experiment)))
    write_text(folder.config / "overrides.yaml", dump_yaml(list(overrides)))
    write_json(folder.environment, describe_environment(Path.cwd()))
    save_resolved(folder.config / "resolved.yaml", resolved(prepared.experiment))
    prepared.data.vocabulary.save(folder.config / VOCABULARY_FILE)
    folder.update_record(
        status="running",
        error=None,
        backend=experiment.backend.name,
        digest=config_digest(experiment),
        data_digest=prepared.data.digest,
        data_source=prepared.data.source,
        settings=resolved(experiment),
        sizes=dict(prepared.data.sizes),
        parameters=prepared.plan.parameters,
        started=folder.read_record().get("started", time.time()),
    )


class _Session:
    """One stretch of training, from the latest checkpoint (or the start) to the end or a stop."""

    def __init__(
        self,
        experiment: Experiment,
        folder: RunFolder,
        prepared: Prepared,
        signals: StopSignals,
        reporter: Reporter,
        prune: Prune | None,
    ) -> None:
        self.experiment = experiment
        self.folder = folder
        self.prepared = prepared
        self.reporter = reporter
        self.store = CheckpointStore(folder.checkpoints)
        self.backend, self.trainee, progress = self._restore()
        self.recorder = Recorder(folder.metrics)
        self.training = self._training(progress.position)
        self.monitor = Monitor(
            experiment.trainer,
            self.trainee,
            self.store,
            self.recorder,
            reporter,
            progress,
            signals.requested,
            lambda loss: prepared.task.training_metrics(loss, prepared.data),
            sample_maker(prepared, self.trainee, folder),
            prune,
        )

    @property
    def complete(self) -> bool:
        """Whether all epochs are done, or early stopping ended them."""
        return self.monitor.stopped_early or self.monitor.progress.position.epoch >= self.experiment.trainer.max_epochs

    def run(self) -> None:
        """Trains; a stop asked for in the middle of an epoch leaves a checkpoint there."""
        if self.monitor.progress.position.step == 0 and not self.recorder.has("epoch/untrained_loss"):
            self._measure_untrained()
        self.folder.update_record(versions=self.backend.versions())
        begun = time.time()
        try:
            self.trainee.fit(self.training, self.monitor)
        except TrainingError as error:
            raise TrainingError(f"{error}\n    hint: {self._way_back()}") from error
        finally:
            self.reporter.end()
            self.folder.update_record(wall_seconds=self.folder.read_record().get("wall_seconds", 0.0) + time.time() - begun)
            self.recorder.close()
        if not (self.complete or self.monitor.pruned):
            self.monitor.checkpoint()

    def finish(self, status: str) -> None:
        """Writes the portable model, plots and report, and marks the run."""
        progress = self.monitor.progress
        write_portable(self.folder, self.prepared, self.store)
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
        if status == "pruned":
            self.reporter.message(f"pruned after epoch {progress.position.epoch}: other trials were better by then")
        elif status == "stopped":
            self.reporter.message(f"stopped at step {progress.position.step}; the same command goes on from there")
        else:
            self.reporter.message(f"finished {self.folder.path}")

    def _way_back(self) -> str:
        """What is left of a training that failed."""
        step = self.store.step("last")
        if step is None:
            return "there is no checkpoint yet; trainer.checkpoint.every_n_steps=100 writes one within an epoch"
        return f"the last good checkpoint is {self.store.folder / 'last'}, after step {step:,}"

    def _restore(self) -> tuple[Backend, Trainee, Progress]:
        checkpoint = self.store.latest(self.reporter.warn)
        backend, trainee = build_trainee(self.prepared)
        if checkpoint is None:
            return backend, trainee, Progress(Position())
        trainee.load_state(checkpoint.state)
        at = checkpoint.progress.position
        self.reporter.message(f"from checkpoint '{checkpoint.name}': epoch {at.epoch}, step {at.step}")
        return backend, trainee, checkpoint.progress

    def _training(self, start: Position) -> Training:
        experiment, data = self.experiment, self.prepared.data
        train_batches = limit(data.train, experiment.trainer.limit_train_batches)
        validation = None if data.validation is None else limit(data.validation, experiment.trainer.limit_val_batches)
        total = train_batches.steps * experiment.trainer.max_epochs
        return Training(
            trainer=experiment.trainer,
            optimizer=experiment.optimizer,
            learning_rate=learning_rate(experiment.optimizer, total),
            train=train_batches,
            validation=validation,
            start=start,
            reset_states_each_epoch=self.prepared.task.reset_states_each_epoch(experiment),
        )

    def _measure_untrained(self) -> None:
        """The first batch's loss before any step: near ln(vocabulary) where the set-up is right."""
        loss = self.trainee.evaluate(self.training.train, limit=1)
        self.recorder.record(0, 0.0, {"epoch/untrained_loss": loss})
        self.reporter.message(f"untrained loss {loss:.4f}")
