"""Small models on either backend for tests: plans from plain mappings, batches from a seed, a listener that notes all events.

The same words drive both backends, so that a test says what a backend promises and not how one of them does it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from framework.backends.base.objective import Objective
from framework.backends.base.registry import load_backend
from framework.backends.base.training import Arrays, EpochResult, Position, StepResult, Training
from framework.builder.plan import ModelPlan
from framework.builder.planner import plan_model
from framework.data.batches import Batch
from framework.spec.backend import BackendSpec
from framework.spec.optimizer import AdamSpec, OptimizerSpec
from framework.spec.trainer import TrainerSpec
from framework.spec.validate import validate_model
from framework.weights.initializers import initial_weights

VOCABULARY = 11
ROWS, TIME = 4, 6


def language_model(batch_size: int | None = ROWS, **layers: Mapping[str, Any]) -> dict[str, Any]:
    """A language model of the given layers between an embedding of tokens and logits; a GRU where none is given."""
    return {
        "inputs": {"tokens": {"dtype": "int32", "shape": [None], "batch_size": batch_size}},
        "layers": {
            "embedding": {"kind": "embedding", "input_dim": VOCABULARY, "output_dim": 5},
            **(layers or {"gru": {"kind": "gru", "units": 7, "return_sequences": True}}),
            "logits": {"kind": "dense", "units": VOCABULARY},
        },
        "outputs": "logits",
    }


def single_layer(width: int, time: int | None = None, **layer: Any) -> dict[str, Any]:
    """A model of one layer called ``layer`` over ``(batch, time, width)``."""
    return {"inputs": {"x": {"dtype": "float32", "shape": [time, width]}}, "layers": {"layer": layer}, "outputs": "layer"}


@dataclass
class Windows:
    """Random tokens by (seed, epoch, position), the same each time they are asked for.

    Attributes:
        rows: rows of a batch by its position, where they differ from ``batch_size``.
        weighted: whether targets have weights.
        lowest: smallest token; 1 where nothing may be taken for padding.
        asked: the epochs and positions that were asked for, in order.
    """

    steps: int
    batch_size: int = ROWS
    time: int = TIME
    seed: int = 0
    weighted: bool = False
    rows: Mapping[int, int] = field(default_factory=dict)
    lowest: int = 1
    asked: list[tuple[int, int]] = field(default_factory=list)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch from position ``start`` on."""
        self.asked.append((epoch, start))
        for position in range(start, self.steps):
            random = np.random.default_rng((self.seed, epoch, position))
            rows = self.rows.get(position, self.batch_size)
            tokens = random.integers(self.lowest, VOCABULARY, (rows, self.time + 1), dtype=np.int32)
            weights = random.random((rows, self.time), dtype=np.float32) if self.weighted else None
            yield Batch({"tokens": tokens[:, :-1]}, tokens[:, 1:], weights)

    def first(self) -> Batch:
        """The first batch of the first epoch."""
        return next(Windows(1, self.batch_size, self.time, self.seed, self.weighted, self.rows, self.lowest).epoch(0))


class One:
    """Data of one batch.

    Args:
        batch: the same in every epoch.
    """

    steps = 1

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batch."""
        yield from [self.batch][start:]


@dataclass
class Listener:
    """Notes every event, and asks to stop after so many of its own steps or epochs."""

    stop_after_steps: int | None = None
    stop_after_epochs: int | None = None
    heard: list[Any] = field(default_factory=list)
    at_step: Callable[[StepResult], None] = lambda result: None
    at_epoch: Callable[[EpochResult], None] = lambda result: None

    def on_train_begin(self, position: Position, steps_per_epoch: int) -> None:
        self.heard.append((position, steps_per_epoch))

    def on_step(self, result: StepResult) -> None:
        self.heard.append(result)
        self.at_step(result)

    def on_epoch_end(self, result: EpochResult) -> None:
        self.heard.append(result)
        self.at_epoch(result)

    @property
    def steps(self) -> list[StepResult]:
        return [one for one in self.heard if isinstance(one, StepResult)]

    @property
    def epochs(self) -> list[EpochResult]:
        return [one for one in self.heard if isinstance(one, EpochResult)]

    @property
    def began(self) -> list[tuple[Position, int]]:
        """Where trainings began, and the steps of their epochs."""
        return [one for one in self.heard if isinstance(one, tuple)]

    @property
    def order(self) -> list[str]:
        """``begin``, ``step`` and ``epoch`` as they came."""
        words = {StepResult: "step", EpochResult: "epoch"}
        return [words.get(type(one), "begin") for one in self.heard]

    @property
    def should_stop(self) -> bool:
        return (self.stop_after_steps is not None and len(self.steps) >= self.stop_after_steps) or (
            self.stop_after_epochs is not None and len(self.epochs) >= self.stop_after_epochs
        )


class Workshop:
    """Makes trainees and trainings on one backend.

    Args:
        name: of the backend.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @staticmethod
    def plan(model: Mapping[str, Any], seed: int = 3) -> ModelPlan:
        """The plan of a model given as a mapping."""
        return plan_model(validate_model(model), seed)

    @staticmethod
    def start(plan: ModelPlan) -> dict[str, Any]:
        """Initial weights by the plan's seed, moved a little so that no bias is zero."""
        random = np.random.default_rng(plan.seed)
        drawn = initial_weights(plan)
        return {name: (value + 0.1 * random.normal(size=value.shape)).astype(value.dtype) for name, value in drawn.items()}

    def trainee(
        self,
        model: Mapping[str, Any] | None = None,
        *,
        seed: int = 3,
        weights: Arrays | None = None,
        objective: Objective | None = None,
        device: Literal["cpu", "gpu"] = "cpu",
        **trainer: Any,
    ) -> Any:
        """A built model on this backend's CPU, or its ``device``; with the weights of :meth:`start` unless others are given."""
        plan = self.plan(model or language_model(), seed)
        backend = BackendSpec(name=self.name, device=device)
        start = self.start(plan) if weights is None else weights
        return load_backend(self.name).build(plan, start, TrainerSpec(**trainer), backend, objective)

    @staticmethod
    def training(
        train: Any,
        validation: Any = None,
        *,
        start: Position = Position(),  # noqa: B008 - frozen
        optimizer: OptimizerSpec | None = None,
        rate: Callable[[int], float] = lambda step: 1e-2 / (1 + step),
        reset: bool = False,
        **trainer: Any,
    ) -> Training:
        """A plan of training with a learning rate that changes at every step."""
        spec = TrainerSpec(**{"max_epochs": 2, **trainer})
        return Training(spec, optimizer or AdamSpec(), rate, train, validation, start, reset)


def slopes(trainee: Any, batch: Batch) -> tuple[float, float]:
    """The loss's slope in a random direction of the weights: by the trainee's gradients, and by the losses on both sides; in float64."""
    weights, (_, gradients) = trainee.weights(), trainee.loss_and_gradients(batch)
    random = np.random.default_rng(0)
    direction = {name: random.normal(size=value.shape) for name, value in weights.items()}

    def moved(by: float) -> float:
        trainee.set_weights({name: value + by * direction[name] for name, value in weights.items()})
        return float(trainee.loss_and_gradients(batch)[0])

    slope = sum(float((gradients[name] * direction[name]).sum()) for name in weights)
    return slope, (moved(1e-5) - moved(-1e-5)) / 2e-5
