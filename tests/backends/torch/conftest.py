"""What the tests of the torch backend share: plans from plain mappings, batches from a seed, and a listener that notes all events."""

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

VOCABULARY = 11
ROWS, TIME = 4, 6


def model_of(**layers: Mapping[str, Any]) -> dict[str, Any]:
    """A language model of the given layers between tokens and logits; ``rows`` fixes the batch."""
    return {
        "inputs": {"tokens": {"dtype": "int32", "shape": [None], "batch_size": ROWS}},
        "layers": {
            "embedding": {"kind": "embedding", "input_dim": VOCABULARY, "output_dim": 5},
            **layers,
            "logits": {"kind": "dense", "units": VOCABULARY},
        },
        "outputs": "logits",
    }


@dataclass
class Windows:
    """Random tokens by (seed, epoch, position), the same each time they are asked for."""

    steps: int
    batch_size: int = ROWS
    time: int = TIME
    seed: int = 0
    weighted: bool = False
    zeros: bool = False

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch."""
        for position in range(start, self.steps):
            random = np.random.default_rng((self.seed, epoch, position))
            tokens = random.integers(0 if self.zeros else 1, VOCABULARY, (self.batch_size, self.time + 1), dtype=np.int32)
            weights = random.random((self.batch_size, self.time), dtype=np.float32) if self.weighted else None
            yield Batch({"tokens": tokens[:, :-1]}, tokens[:, 1:], weights)


@dataclass
class Listener:
    """Notes every event, and asks to stop after so many steps or epochs."""

    stop_after_steps: int | None = None
    stop_after_epochs: int | None = None
    began: list[tuple[Position, int]] = field(default_factory=list)
    steps: list[StepResult] = field(default_factory=list)
    epochs: list[EpochResult] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    step_hook: Callable[[StepResult], None] | None = None
    epoch_hook: Callable[[EpochResult], None] | None = None

    def on_train_begin(self, position: Position, steps_per_epoch: int) -> None:
        self.began.append((position, steps_per_epoch))
        self.order.append("begin")

    def on_step(self, result: StepResult) -> None:
        self.steps.append(result)
        self.order.append("step")
        if self.step_hook is not None:
            self.step_hook(result)

    def on_epoch_end(self, result: EpochResult) -> None:
        self.epochs.append(result)
        self.order.append("epoch")
        if self.epoch_hook is not None:
            self.epoch_hook(result)

    @property
    def should_stop(self) -> bool:
        return (self.stop_after_steps is not None and len(self.steps) >= self.stop_after_steps) or (
            self.stop_after_epochs is not None and len(self.epochs) >= self.stop_after_epochs
        )


class Workshop:
    """Makes plans, trainees and trainings for tests."""

    model_of = staticmethod(model_of)
    Windows = Windows
    Listener = Listener
    vocabulary, rows, time = VOCABULARY, ROWS, TIME

    @staticmethod
    def plan(model: Mapping[str, Any], seed: int = 3) -> ModelPlan:
        """The plan of a model given as a mapping."""
        return plan_model(validate_model(model), seed)

    @classmethod
    def trainee(cls, model: Mapping[str, Any], *, seed: int = 3, weights: Arrays | None = None, **trainer: Any) -> Any:
        """A built model with its initial weights."""
        from framework.backends.torch.backend import TorchBackend

        plan = cls.plan(model, seed)
        spec = TrainerSpec(**trainer)
        return TorchBackend().build(plan, initial_weights(plan) if weights is None else weights, spec, BackendSpec(device="cpu"))

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


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models gain nothing from more threads, and lose much where several tests run at once."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def workshop() -> type[Workshop]:
    """Plans, trainees, batches and listeners."""
    return Workshop
