"""What every task tells the engine, and the table of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from framework.backends.base.objective import Totals
from framework.builder.plan import ModelPlan
from framework.spec.experiment import Experiment
from framework.spec.problems import ProblemCollector

if TYPE_CHECKING:
    from framework.decoding.sampling import Sampling
    from framework.decoding.stepper import Stepper


class Task(Protocol):
    """One kind of task; stateless."""

    def check(self, plan: ModelPlan, experiment: Experiment, sizes: Mapping[str, int], collector: ProblemCollector) -> None:
        """Adds a problem for everything about the model that the task cannot be trained with."""
        ...

    def reset_states_each_epoch(self, experiment: Experiment) -> bool:
        """Whether stateful layers start each epoch from zeros."""
        ...

    def describe(self, totals: Totals, data: Any) -> dict[str, float]:
        """What sums over batches mean in the task's units, by name; beside the mean loss itself."""
        ...

    def sample(self, stepper: Stepper, data: Any, sampling: Sampling, experiment: Experiment, seed: int) -> str:
        """A piece of what the model makes, as text."""
        ...


TASKS: dict[str, Task] = {}
"""Tasks by name; filled by :func:`task`."""

AnyTask = TypeVar("AnyTask", bound=type[Any])


def task(name: str) -> Callable[[AnyTask], AnyTask]:
    """Makes a class the task that ``task.kind: name`` chooses."""

    def register(made: AnyTask) -> AnyTask:
        TASKS[name] = made()
        return made

    return register
