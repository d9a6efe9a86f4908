"""A training's events where several processes train: all stop together, and process 0 is told with the whole state at hand."""

from __future__ import annotations

from collections.abc import Callable

from framework.backends.base.processes import Processes
from framework.backends.base.state import State, gathered_rows
from framework.backends.base.training import EpochResult, Position, StepResult, TrainingEvents


class SharedEvents:
    """Implements :class:`~framework.backends.base.training.TrainingEvents` over those of process 0.

    What stateful layers keep lies by rows with all processes. It is gathered before a moment at which process 0 may write a checkpoint:
    which these are follows from the config and from what all have agreed on.

    Args:
        events: that are told; those of the other processes do nothing.
        processes: that train together.
        state: gives the state of this process.
        every_n_steps: steps between two checkpoints within an epoch.
    """

    def __init__(self, events: TrainingEvents, processes: Processes, state: Callable[[], State], every_n_steps: int | None) -> None:
        self.events = events
        self.processes = processes
        self._state = state
        self._every = every_n_steps
        self._whole: State | None = None
        processes.wish = lambda: events.should_stop

    def whole_state(self) -> State:
        """The state with the rows of all processes, as of the last moment of a checkpoint."""
        if self.processes.size == 1:
            return self._state()
        assert self._whole is not None, "the state was not gathered"
        return self._whole

    def on_train_begin(self, position: Position, steps_per_epoch: int) -> None:
        """Passed on."""
        self.events.on_train_begin(position, steps_per_epoch)

    def on_step(self, result: StepResult) -> None:
        """Passed on, once the state is gathered where that is due."""
        if result.loss is not None:
            self.processes.read()
        due = self._every is not None and result.position.step % self._every == 0
        self._gather(due or self.processes.stopping)
        self.events.on_step(result)

    def on_epoch_end(self, result: EpochResult) -> None:
        """Passed on, once the state is gathered; then all agree whether to go on."""
        self._gather(True)
        self.events.on_epoch_end(result)
        self.processes.agree()

    @property
    def should_stop(self) -> bool:
        """What all have agreed on."""
        return self.processes.stopping

    def _gather(self, due: bool) -> None:
        self._whole = gathered_rows(self._state(), self.processes) if due else None


class NoEvents:
    """Of a process that only helps: it is told nothing, and asks to stop where somebody asks it.

    Args:
        stop_requested: whether somebody does.
    """

    def __init__(self, stop_requested: Callable[[], bool]) -> None:
        self._stop_requested = stop_requested

    def on_train_begin(self, position: Position, steps_per_epoch: int) -> None:
        """Nothing."""

    def on_step(self, result: StepResult) -> None:
        """Nothing."""

    def on_epoch_end(self, result: EpochResult) -> None:
        """Nothing."""

    @property
    def should_stop(self) -> bool:
        """Whether this process was asked to."""
        return self._stop_requested()
