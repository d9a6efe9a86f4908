"""What the tests of the TensorFlow backend share: models from plain mappings, batches from a seed, and a recorder of events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from framework.backends.base.training import Arrays, EpochResult, Position, StepResult, Training
from framework.builder.plan import ModelPlan
from framework.builder.planner import plan_model
from framework.data.batches import Batch
from framework.spec.backend import BackendSpec
from framework.spec.optimizer import AdamSpec, OptimizerSpec
from framework.spec.trainer import TrainerSpec
from framework.spec.validate import validate_model
from framework.weights.initializers import initial_weights

TOKENS = 11


@dataclass
class Sentences:
    """Random tokens by (seed, epoch, position); ``rows`` by position where they differ, ``weighted`` for weights of targets."""

    steps: int
    batch_size: int = 4
    time: int = 6
    seed: int = 0
    weighted: bool = False
    rows: Mapping[int, int] = field(default_factory=dict)
    asked: list[tuple[int, int]] = field(default_factory=list)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        self.asked.append((epoch, start))
        for position in range(start, self.steps):
            random = np.random.default_rng((self.seed, epoch, position))
            rows = self.rows.get(position, self.batch_size)
            tokens = random.integers(0, TOKENS, (rows, self.time + 1), dtype=np.int32)
            weights = random.random((rows, self.time), dtype=np.float32) if self.weighted else None
            yield Batch({"tokens": tokens[:, :-1]}, tokens[:, 1:], weights)


class Recorder:
    """Notes what it is told, in order; asks to stop after the step of that number, or after that epoch."""

    def __init__(self, stop_after_step: int | None = None, stop_after_epoch: int | None = None) -> None:
        self.heard: list[Any] = []
        self.stop = (stop_after_step, stop_after_epoch)
        self.should_stop = False
        self.at_step: Callable[[StepResult], None] = lambda result: None

    def on_train_begin(self, position: Position, steps_per_epoch: int) -> None:
        self.heard.append((position, steps_per_epoch))

    def on_step(self, result: StepResult) -> None:
        self.heard.append(result)
        self.at_step(result)
        self.should_stop = self.should_stop or result.position.step == self.stop[0]

    def on_epoch_end(self, result: EpochResult) -> None:
        self.heard.append(result)
        self.should_stop = self.should_stop or result.position.epoch == self.stop[1]

    @property
    def steps(self) -> list[StepResult]:
        return [one for one in self.heard if isinstance(one, StepResult)]

    @property
    def epochs(self) -> list[EpochResult]:
        return [one for one in self.heard if isinstance(one, EpochResult)]


class Kit:
    """Makes plans, trainees and trainings."""

    Sentences = Sentences
    Recorder = Recorder
    tokens = TOKENS

    @staticmethod
    def model(batch_size: int | None = 4, **layers: Mapping[str, Any]) -> dict[str, Any]:
        """A language model: ``layers`` between an embedding and logits."""
        return {
            "inputs": {"tokens": {"dtype": "int32", "shape": [None], "batch_size": batch_size}},
            "layers": {
                "embedding": {"kind": "embedding", "input_dim": TOKENS, "output_dim": 5},
                **(layers or {"gru": {"kind": "gru", "units": 7, "return_sequences": True}}),
                "logits": {"kind": "dense", "units": TOKENS},
            },
            "outputs": "logits",
        }

    @staticmethod
    def single(width: int, time: int | None = None, **layer: Any) -> dict[str, Any]:
        """A model of one layer called ``layer`` over ``(batch, time, width)``."""
        return {"inputs": {"x": {"dtype": "float32", "shape": [time, width]}}, "layers": {"layer": layer}, "outputs": "layer"}

    @staticmethod
    def plan(model: Mapping[str, Any], seed: int = 3) -> ModelPlan:
        return plan_model(validate_model(model), seed)

    @classmethod
    def trainee(cls, model: Mapping[str, Any], weights: Arrays | None = None, seed: int = 3, **trainer: Any) -> Any:
        """A built model; initial weights by the seed, with nonzero biases, unless given."""
        from framework.backends.tensorflow import TensorFlowBackend

        plan = cls.plan(model, seed)
        start = cls.weights(plan) if weights is None else weights
        return TensorFlowBackend().build(plan, start, TrainerSpec(**trainer), BackendSpec(name="tensorflow"))

    @staticmethod
    def weights(plan: ModelPlan) -> dict[str, Any]:
        random = np.random.default_rng(plan.seed)
        drawn = initial_weights(plan)
        return {name: (value + 0.1 * random.normal(size=value.shape)).astype(value.dtype) for name, value in drawn.items()}

    @staticmethod
    def training(
        train: Any,
        validation: Any = None,
        start: Position | None = None,
        optimizer: OptimizerSpec | None = None,
        rate: Callable[[int], float] = lambda step: 0.02 / (1 + step),
        reset: bool = True,
        **trainer: Any,
    ) -> Training:
        spec = TrainerSpec(**{"max_epochs": 1, **trainer})
        return Training(spec, optimizer or AdamSpec(), rate, train, validation, start or Position(), reset)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    """Plans, trainees, batches and recorders."""
    return Kit
