"""What happens while a model trains: records, checkpoints, early stopping, samples. Both backends tell it the same events."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from framework.backends.base.objective import Totals
from framework.backends.base.training import Arrays, EpochResult, Position, StepResult
from framework.engine.run.checkpoint import CheckpointStore, Progress
from framework.engine.run.judge import Judge
from framework.engine.run.recorder import Recorder
from framework.engine.run.scores import Scores
from framework.errors import TrainingError
from framework.report.progress import Reporter
from framework.spec.trainer import TrainerSpec

Prune = Callable[[int, Mapping[str, float]], bool]
"""Told the values of each epoch by its number; True ends the run."""


class Monitor:
    """Implements :class:`~framework.backends.base.training.TrainingEvents`.

    Args:
        trainer: rhythm of records, checkpoints and samples.
        judge: tells which epoch is the best, and when to stop early.
        state: gives the training's state, asked for at each checkpoint.
        store: where checkpoints go.
        recorder: where values go.
        reporter: told what a person may want to see.
        progress: how far the training had come before; of a fresh run, nothing.
        stop_requested: asked after each step; True ends the training as soon as possible.
        describe: from sums to what the task tells of them.
        scores: gives the scores of what the model makes now; asked after each validation.
        sample: makes a sample of what the model makes now, given the epoch; or gives None.
        prune: asked after each epoch whether to end the run, since others are better; or None.
    """

    def __init__(
        self,
        trainer: TrainerSpec,
        judge: Judge,
        state: Callable[[], Arrays],
        store: CheckpointStore,
        recorder: Recorder,
        reporter: Reporter,
        progress: Progress,
        stop_requested: Callable[[], bool],
        describe: Callable[[Totals], dict[str, float]],
        scores: Scores,
        sample: Callable[[int], str | None],
        prune: Prune | None = None,
    ) -> None:
        self.trainer = trainer
        self.judge = judge
        self._state = state
        self.store = store
        self.recorder = recorder
        self.reporter = reporter
        self.progress = progress
        self.epochs: list[EpochResult] = []
        self.pruned = False
        self._stop_requested = stop_requested
        self._describe = describe
        self._scores = scores
        self._sample = sample
        self._prune = prune
        self._steps_per_epoch = 0

    def on_train_begin(self, position: Position, steps_per_epoch: int) -> None:
        """Tells the reporter."""
        self._steps_per_epoch = steps_per_epoch
        self.reporter.begin(position, steps_per_epoch, self.trainer.max_epochs)

    def on_step(self, result: StepResult) -> None:
        """Records the loss, and writes a checkpoint where one is due within the epoch."""
        step = result.position.step
        if result.loss is not None and (step % self.trainer.log_every_n_steps == 0 or step == 1):
            epoch = self._epoch_of(result.position)
            self.recorder.record(step, epoch, {"loss": result.loss, "learning_rate": result.learning_rate})
        self.progress = replace(self.progress, position=result.position)
        self.reporter.step(result)
        every = self.trainer.checkpoint.every_n_steps
        if every is not None and step % every == 0 and result.position.batch < self._steps_per_epoch:
            self.checkpoint()

    def on_epoch_end(self, result: EpochResult) -> None:
        """Records the epoch, judges it, writes checkpoints and a sample."""
        self.epochs.append(result)
        metrics = self._metrics(result)
        losses = {"loss": result.loss} if result.val_loss is None else {"loss": result.loss, "val_loss": result.val_loss}
        measured = {**losses, "tokens": result.training.count, **_speed(result), **metrics}
        values = {f"epoch/{name}": value for name, value in measured.items()}
        epoch = result.position.epoch
        self.recorder.record(result.position.step, epoch, values)
        self.progress = self.judge.judged(self.progress, {**losses, **metrics}, epoch)
        improved = self.progress.best_epoch == epoch
        if self._prune is not None and epoch < self.trainer.max_epochs and not self.stopped_early:
            self.pruned = self._prune(epoch, values)
        spent = self.progress.seconds + (0.0 if math.isnan(result.seconds) else result.seconds)
        self.progress = replace(self.progress, position=result.position, seconds=spent)
        last = epoch >= self.trainer.max_epochs or self.stopped_early or self.pruned
        if improved or last or epoch % self.trainer.checkpoint.every_n_epochs == 0:
            self.checkpoint(best=improved)
        every = self.trainer.sample_every_n_epochs
        sample = self._sample(epoch) if every is not None and (epoch % every == 0 or last) else None
        self.reporter.epoch(result, metrics, sample)

    @property
    def stopped_early(self) -> bool:
        """Whether early stopping has ended the training; also where it did so just before a kill, which the checkpoint remembers."""
        return self.judge.has_stopped(self.progress)

    @property
    def should_stop(self) -> bool:
        """Early stopping, a search's pruning, or somebody asked."""
        return self.stopped_early or self.pruned or self._stop_requested()

    def checkpoint(self, best: bool = False) -> None:
        """Writes the state of now.

        Raises:
            TrainingError: it holds numbers that are not finite, so that the checkpoint before is the last good one.
        """
        state = self._state()
        for name, value in state.items():
            if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
                step = self.progress.position.step
                raise TrainingError(f"after step {step:,}, {name} is not finite any more; a lower optimizer.learning_rate may help")
        self.recorder.sync()
        self.store.save(state, self.progress, best=best)

    def _metrics(self, result: EpochResult) -> dict[str, float]:
        """What the epoch measured beside its losses, by name."""
        metrics = self._describe(result.training)
        if result.validation is not None:
            measured = {**self._describe(result.validation), **self._scores()}
            metrics.update({f"val_{name}": value for name, value in measured.items()})
        return metrics

    def _epoch_of(self, position: Position) -> float:
        return position.epoch + position.batch / self._steps_per_epoch


def _speed(result: EpochResult) -> dict[str, float]:
    """How long the epoch took; nothing where a part of it was trained before its seconds were kept."""
    if math.isnan(result.seconds):
        return {}
    speed = result.training.count / result.seconds if result.seconds > 0 else 0.0
    return {"seconds": result.seconds, "tokens_per_second": speed}
