"""What a model is trained for, and what measuring it adds up: said once, computed by each backend's ``loss`` module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from framework.errors import DataError, InputError


@dataclass(frozen=True)
class Objective:
    """The loss that a task is trained with.

    Attributes:
        kind: ``cross_entropy`` of logits against whole numbers, or ``squared_error`` of numbers against numbers.
        output: name of the model output that is compared with the targets; the one called ``output``, or the first, when None.
        normalization: what the weighted sum of a batch's losses is divided by for its gradient: ``per_token`` by the sum of the weights,
            ``per_row`` by the number of rows. What is reported is per token in both cases.
        label_smoothing: share of the probability that is spread evenly over all classes, while training; evaluation measures without.
    """

    kind: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    output: str | None = None
    normalization: Literal["per_token", "per_row"] = "per_token"
    label_smoothing: float = 0.0

    def output_of(self, outputs: Mapping[str, object]) -> str:
        """Name of the output to compare with the targets, of all that a model has.

        Raises:
            InputError: the model has no output of the name that was asked for.
        """
        if self.output is not None and self.output not in outputs:
            raise InputError(f"the model has no output '{self.output}' to train, only {', '.join(outputs)}")
        return self.output or ("output" if "output" in outputs else next(iter(outputs)))

    @property
    def sums(self) -> tuple[str, ...]:
        """Names of what is added up to measure it; see :class:`Totals`."""
        return ("loss", "correct") if self.kind == "cross_entropy" else ("loss",)

    def optimized(self, mean: Any, weight: Any, rows: Any) -> Any:
        """What the gradient of a batch is taken of; tensors of a backend.

        Args:
            mean: weighted mean of the losses.
            weight: sum of the weights.
            rows: of the batch.
        """
        return mean if self.normalization == "per_token" else mean * weight / rows

    def share(self, mean: Any, weight: Any, whole_weight: Any, whole_rows: Any) -> Any:
        """A process's share of what the gradient of a whole batch is taken of; tensors of a backend. All shares add up to that.

        Args:
            mean: weighted mean of the losses of this process's rows.
            weight: sum of their weights.
            whole_weight: sum of the weights of all rows, more than zero.
            whole_rows: rows of the whole batch.
        """
        return self.optimized(mean * (weight / whole_weight), whole_weight, whole_rows)


@dataclass(frozen=True)
class Totals:
    """Sums over batches. Means are made of them once, at the end, so that they are exact over batches of any size.

    Attributes:
        sums: by name, each the sum of a target's value times its weight: ``loss``, and for classes ``correct``.
        count: sum of the weights; the number of targets where all count alike.
        rows: rows of all batches.
    """

    sums: Mapping[str, float] = field(default_factory=dict)
    count: float = 0.0
    rows: int = 0

    def __add__(self, other: Totals) -> Totals:
        names = dict.fromkeys([*self.sums, *other.sums])
        sums = {name: self.sums.get(name, 0.0) + other.sums.get(name, 0.0) for name in names}
        return Totals(sums, self.count + other.count, self.rows + other.rows)

    @property
    def loss(self) -> float:
        """Mean loss; for ``cross_entropy`` in nats a token."""
        return self.mean("loss")

    def mean(self, name: str) -> float:
        """One sum, divided by the count; not a number where nothing was counted."""
        return self.sums[name] / self.count if self.count and name in self.sums else float("nan")


def refuse_shapes(kind: str, output: Sequence[int | None], targets: Sequence[int | None]) -> InputError:
    """The error that says that a model's output cannot be compared with its targets.

    Args:
        kind: of the objective.
        output: the output's shape.
        targets: the targets'.
    """
    wanted = "the output must have one axis more, the vocabulary" if kind == "cross_entropy" else "they must be alike"
    return InputError(f"the model's output has the shape {tuple(output)} and the targets {tuple(targets)}; {wanted}")


def measured(totals: Totals) -> Totals:
    """The same sums.

    Raises:
        DataError: there were no batches.
    """
    if not totals.rows:
        raise DataError("there are no batches to evaluate on")
    return totals
