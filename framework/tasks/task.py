"""What every task tells the engine, and the table of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from framework.backends.base.objective import Objective, Totals
from framework.builder.plan import ModelPlan
from framework.errors import InputError, nearest
from framework.metrics.score import Score
from framework.registry import Registry
from framework.spec.experiment import Experiment
from framework.spec.problems import ProblemCollector
from framework.spec.task import TASK_KINDS, TaskSpec
from framework.tasks.attended import Attended
from framework.tasks.model import Model
from framework.tasks.spelling import Spelling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.data.prepared import Example, PreparedData

Row = Mapping[str, Any]
"""One raw input, or one prediction: values by column."""


@dataclass(frozen=True)
class Interface:
    """What a trained model takes and gives, for the command line, MLflow and who calls it over HTTP.

    Attributes:
        inputs: type by column: ``string``, ``binary``, ``double`` or ``long``.
        outputs: likewise.
        settings: what may be given for all rows at once beside ``seed``, by name: its type.
        one_of: whether a row has one of the inputs alone; else it has all of them.
        text: the input that a row of plain text is; the only one where nothing is said.
    """

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)
    one_of: bool = False
    text: str | None = None

    @property
    def plain(self) -> str | None:
        """The input that a row of plain text is; None where there are several."""
        return self.text or (next(iter(self.inputs)) if len(self.inputs) == 1 else None)

    def check(self, rows: Sequence[Row]) -> None:
        """Makes sure that rows have the columns that are read.

        Raises:
            InputError: there is no row, or one lacks a column or has an unknown one; it is named.
        """
        if not rows:
            raise InputError(f"there is nothing to predict; expected rows with {', '.join(self.inputs)}")
        for number, row in enumerate(rows, start=1):
            if self.one_of and sum(row.get(name) is not None for name in self.inputs) == 1:
                continue
            if self.one_of:
                given = " and ".join(name for name in self.inputs if row.get(name) is not None) or ", ".join(row) or "nothing"
                raise InputError(f"row {number} has {given}; expected one of {', '.join(self.inputs)}")
            for name in self.inputs:
                if name not in row:
                    close = nearest(name, [one for one in row if one not in self.inputs])
                    guess = f"; it has '{close}'" if close else ""
                    raise InputError(f"row {number} has no '{name}'{guess}; expected {', '.join(self.inputs)}")


class Task:
    """One kind of task; stateless. A task of one's own derives from this and gives what differs.

    Attributes:
        measures: what :meth:`describe` gives of a validation, by name, and whether its lowest (``min``) or highest (``max``) is the best;
            what is named here can be monitored as ``val_<name>``.
        score_names: what :meth:`score` gives, which can be monitored likewise; the highest is the best.
        use: what a person types behind ``gatework`` to use a trained run.
    """

    measures: ClassVar[Mapping[str, Literal["min", "max"]]] = {}
    score_names: ClassVar[Sequence[str]] = ()
    use: ClassVar[str] = "predict {run} ROW"

    def check(self, plan: ModelPlan, experiment: Experiment, sizes: Mapping[str, int], collector: ProblemCollector) -> None:
        """Adds a problem for everything about the model that the task cannot be trained with.

        Args:
            plan: of the model.
            experiment: the config.
            sizes: of the data, as far as known.
            collector: gathers the problems.
        """

    def hints(self, plan: ModelPlan, experiment: Experiment) -> list[str]:
        """What a person should know about the model before it is trained, although it can be; a line each, with what to set."""
        return []

    def objective(self, experiment: Experiment) -> Objective:
        """What the model is trained for; cross-entropy unless the task says otherwise."""
        return Objective()

    def completed(self, experiment: Experiment, data: PreparedData) -> Experiment:
        """The config with what only the data tells, such as a prompt to begin samples with."""
        return experiment

    def decoded(self, plan: ModelPlan) -> str | None:
        """The model input that is decoded token by token; None for a task that decodes nothing."""
        return None

    def spelling(self, model: Model) -> Spelling | None:
        """How what the model decodes becomes text; None for a task that decodes nothing, or no text."""
        return None

    def reset_states_each_epoch(self, experiment: Experiment) -> bool:
        """Whether stateful layers start each epoch from zeros."""
        return False

    def describe(self, totals: Totals, data: PreparedData) -> dict[str, float]:
        """What sums over batches mean in the task's units, by name; beside the mean loss itself."""
        return {}

    def sample(self, model: Model, data: PreparedData) -> str | None:
        """A piece of what the model makes, as text, written while it trains; None for a task that has none to show."""
        return None

    def attended(self, model: Model, rows: Sequence[Row]) -> Sequence[Attended]:
        """What a trained model attended to in each input, to be drawn; nothing for a task, or a model, without attention.

        Args:
            model: trained.
            rows: as :meth:`predict` reads them.
        """
        return ()

    def interface(self, experiment: Experiment) -> Interface:
        """What a trained model takes and gives."""
        raise NotImplementedError(f"{type(self).__name__} says nothing of what its models take and give")

    def input_example(self, experiment: Experiment) -> Row:
        """One row as :meth:`predict` reads it."""
        empty = {"string": "", "binary": b"", "double": 0.0, "long": 0}
        return {name: empty[kind] for name, kind in self.interface(experiment).inputs.items()}

    def predict(self, model: Model, rows: Sequence[Row], settings: Mapping[str, Any], seed: int = 0) -> list[Row]:
        """Predictions for raw input.

        Args:
            model: trained.
            rows: as :meth:`interface` tells.
            settings: likewise; what is not given is as the config says.
            seed: of random draws, where there are any.

        Returns:
            A prediction for each row, in order.

        Raises:
            InputError: a row or a setting cannot be taken; it is named.
        """
        raise NotImplementedError(f"{type(self).__name__} makes no predictions")

    def score(self, model: Model, predictions: Sequence[Row], references: Sequence[Sequence[Any]]) -> dict[str, Score]:
        """Figures of predictions against all right answers of each; a task that has none does not give this.

        Args:
            model: that made them.
            predictions: from :meth:`predict`.
            references: of each prediction, at least one; their number may differ.
        """
        return {}

    def score_regions(self, model: Model, examples: Sequence[Example]) -> dict[str, Score]:
        """Figures of what a model attends to in examples whose regions are known; nothing for a task, or examples, without."""
        return {}

    def score_each(
        self, model: Model, predictions: Sequence[Row], references: Sequence[Sequence[Any]]
    ) -> tuple[str, Sequence[float]] | None:
        """A figure of each prediction by itself, the higher the better, and its name; None where there is none."""
        return None

    def photo(self, row: Row) -> NDArray[np.uint8] | None:
        """What people see of an input, ``(height, width, 3) uint8``; None for inputs that are no images."""
        return None

    @property
    def scores(self) -> bool:
        """Whether its predictions are scored."""
        return type(self).score is not Task.score


TASKS: Registry[Task] = Registry("task.kind", "task")
"""Tasks by name; filled by :func:`task`."""

AnyTask = TypeVar("AnyTask", bound=type[Task])


def task(spec: type[TaskSpec]) -> Callable[[AnyTask], AnyTask]:
    """Makes a class the task whose settings are ``spec``; the default of its field ``kind`` is what ``task.kind`` says."""
    kind = str(spec.model_fields["kind"].default)

    def register(made: AnyTask) -> AnyTask:
        TASKS.add(kind, made(), made)
        TASK_KINDS.add(kind, spec)
        return made

    return register
