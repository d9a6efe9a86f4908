"""What a person sees while a model trains: a bar on a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from framework.backends.base.training import EpochResult, Position, StepResult
from framework.secrets import concealed

ESTIMATE_AFTER = 20
"""Steps after which the length of the whole training is estimated, from the later half of them: the first ones are slow."""

ESTIMATE_SECONDS = 10.0
"""Seconds of training before which nobody needs an estimate."""

LONGEST_WAIT = 60.0
"""Seconds after which a few steps have to do for an estimate: who begins a training of hours wants to know it now."""

FEWEST_STEPS = 3


class Reporter(Protocol):
    """Told of everything a person watching may want to know."""

    def message(self, text: str) -> None:
        """One line of news."""

    def warn(self, text: str) -> None:
        """One line of something unexpected that does not stop the run."""

    def begin(self, position: Position, steps_per_epoch: int, max_epochs: int) -> None:
        """Training begins."""

    def step(self, result: StepResult) -> None:
        """A step is done."""

    def epoch(self, result: EpochResult, metrics: dict[str, float], sample: str | None) -> None:
        """An epoch is done, with what it measured and a sample of what the model makes."""

    def end(self) -> None:
        """Training has ended, however it ended."""


class SilentReporter:
    """Says nothing; for use from Python and in tests."""

    def message(self, text: str) -> None:
        """Nothing."""

    def warn(self, text: str) -> None:
        """Nothing."""

    def begin(self, position: Position, steps_per_epoch: int, max_epochs: int) -> None:
        """Nothing."""

    def step(self, result: StepResult) -> None:
        """Nothing."""

    def epoch(self, result: EpochResult, metrics: dict[str, float], sample: str | None) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class GuardedReporter:
    """Tells another reporter everything until it fails: what goes wrong with showing a training is no reason to end it.

    Args:
        reporter: is told.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter: Reporter = reporter

    def message(self, text: str) -> None:
        """Passed on."""
        self._tell(lambda told: told.message(text))

    def warn(self, text: str) -> None:
        """Passed on."""
        self._tell(lambda told: told.warn(text))

    def begin(self, position: Position, steps_per_epoch: int, max_epochs: int) -> None:
        """Passed on."""
        self._tell(lambda told: told.begin(position, steps_per_epoch, max_epochs))

    def step(self, result: StepResult) -> None:
        """Passed on."""
        self._tell(lambda told: told.step(result))

    def epoch(self, result: EpochResult, metrics: dict[str, float], sample: str | None) -> None:
        """Passed on."""
        self._tell(lambda told: told.epoch(result, metrics, sample))

    def end(self) -> None:
        """Passed on."""
        self._tell(lambda told: told.end())

    def _tell(self, tell: Callable[[Reporter], None]) -> None:
        try:
            tell(self._reporter)
        except Exception as error:
            reporter, self._reporter = self._reporter, SilentReporter()
            with suppress(Exception):  # warnings may be errors, and a bar may be as broken as the rest
                reporter.end()
            with suppress(Exception):
                warnings.warn(f"the training goes on unseen: its reporter failed with {error!r}", RuntimeWarning, stacklevel=4)


class ConsoleReporter:
    """Writes to a console; a bar with loss, tokens a second and time left where the console is a terminal.

    Args:
        console: where to write.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar: Progress | None = None
        self._tokens = 0.0
        self._steps = 0
        self._started = 0.0
        self._ends: list[float] | None = []
        self._total_steps = 0
        self._max_epochs = 0
        self._shown_loss = ""

    def message(self, text: str) -> None:
        """Prints ``text`` as it is."""
        self.console.print(concealed(text), markup=False, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Prints ``text`` with a mark that it is a warning."""
        self.console.print(f"warning: {concealed(text)}", markup=False, highlight=False, style="yellow", soft_wrap=True)

    def begin(self, position: Position, steps_per_epoch: int, max_epochs: int) -> None:
        """Starts the bar and the clock."""
        self._tokens, self._steps, self._ends = 0.0, 0, []
        self._started = time.perf_counter()
        self._max_epochs = max_epochs
        self._total_steps = (max_epochs - position.epoch) * steps_per_epoch - position.batch
        if self.console.is_terminal and self._total_steps > 0:
            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} steps"),
                TextColumn("loss {task.fields[loss]}"),
                TextColumn("{task.fields[rate]} tokens/s"),
                TimeRemainingColumn(),
                console=self.console,
                refresh_per_second=4,
            )
            self._bar.start()
            self._bar.add_task("train", total=self._total_steps, epoch=f"{position.epoch + 1}/{max_epochs}", loss="–", rate="–")

    def step(self, result: StepResult) -> None:
        """Moves the bar on; after 20 steps and 10 seconds, or a minute, says how long the whole training will take."""
        self._steps += 1
        self._tokens += result.count or 0.0
        if result.loss is not None:
            self._shown_loss = f"{result.loss:.4f}"
        elapsed = time.perf_counter() - self._started
        if self._ends is not None:
            self._ends.append(elapsed)
            enough = self._steps >= ESTIMATE_AFTER and elapsed >= ESTIMATE_SECONDS
            if enough or (self._steps >= FEWEST_STEPS and elapsed >= LONGEST_WAIT):
                self._estimate(self._ends)
                self._ends = None
        if self._bar is not None:
            epoch = min(result.position.epoch + 1, self._max_epochs)
            shown = {"epoch": f"{epoch}/{self._max_epochs}", "loss": self._shown_loss, "rate": f"{self._tokens / elapsed:,.0f}"}
            self._bar.update(self._bar.task_ids[0], completed=self._steps, **shown)  # type: ignore[arg-type]

    def _estimate(self, ends: Sequence[float]) -> None:
        """Says how long the training will take, where more of it is to come than was."""
        later = ends[len(ends) // 2 :]
        seconds = (later[-1] - later[0]) / (len(later) - 1)
        left = self._total_steps - len(ends)
        if left > len(ends):
            rate = self._tokens / len(ends) / seconds
            self.message(f"about {duration(ends[-1] + seconds * left)} in all: {seconds:.3f} s a step, {rate:,.0f} tokens a second")

    def epoch(self, result: EpochResult, metrics: dict[str, float], sample: str | None) -> None:
        """Prints a line for the epoch, its figures and then the validation's by their own names, and the sample below."""
        shown = {name: f"{name} {value:.3f}" for name, value in metrics.items()}
        values = [f"loss {result.loss:.4f}", *(text for name, text in shown.items() if not name.startswith("val_"))]
        if result.val_loss is not None:
            values += [f"val_loss {result.val_loss:.4f}", *(text for name, text in shown.items() if name.startswith("val_"))]
        speed = f" ({result.training.count / result.seconds:,.0f} tokens/s, {duration(result.seconds)})" if result.seconds > 0 else ""
        self.message(f"epoch {result.position.epoch}/{self._max_epochs}: {', '.join(values)}{speed}")
        if sample:
            self.console.print(
                "\n".join(f"  │ {line}" for line in sample.splitlines()), markup=False, highlight=False, style="dim", soft_wrap=True
            )

    def end(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def duration(seconds: float) -> str:
    """``8.3 s``, ``4 min 10 s`` or ``2 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
