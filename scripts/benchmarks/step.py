"""A training step of a recipe: Gatework's own trainer against plain loops of the same model by hand, all in turns.

Gatework trains as ever, in a thread that waits after each step for its turn; whatever its trainer, its events and its data pipeline take
is in its time. The plain loops have their batches at hand, and batches of a length that they have not met yet are theirs to prepare for
before their time runs: a ``tf.function`` is traced anew for each. All start from the same weights.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any

from benchmarks.peak import first_call
from benchmarks.product import limit_seconds, share
from benchmarks.rivals import rival_of

BACKENDS = ("torch", "tensorflow")
_RESAMPLES = 2000

_WARM = 2
"""Steps of each that are not counted."""


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each backend and plain loop: median milliseconds of both, and the median ratio with its 95 % interval.

    Beside them the milliseconds that the step's matrix products alone would take and their share of ours, the seconds of the first step
    of each, and the memory: the most that a process holds that does nothing but two such steps, libraries included.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    backends = tuple(arguments.only.split(",")) if arguments.only else BACKENDS
    prepared = {backend: prepared_recipe(arguments.recipe, backend, arguments.overrides) for backend in backends}
    one, pairs = prepared[backends[0]], max(arguments.rounds, 30)
    limit = limit_seconds(rival_of(one.experiment).products(one, _middle(islice(_batches(one), _WARM, _WARM + pairs))))
    alone = {
        (make, backend): first_call(make, arguments.recipe, backend, arguments.overrides)
        for make in (gatework_step, plain_step)
        for backend in backends
    }
    seconds = _in_turns(prepared, pairs)
    rows = []
    for backend in backends:
        ours = seconds[gatework_step, backend]
        for against in backends:
            plain = seconds[plain_step, against]
            ratios = [mine / other for mine, other in zip(ours, plain, strict=True)]
            low, high = _interval(ratios)
            row: dict[str, Any] = {"backend": backend, "pairs": pairs, "plain loop": against, "gatework ms": statistics.median(ours) * 1e3}
            row |= {"plain loop ms": statistics.median(plain) * 1e3, "ratio": statistics.median(ratios)}
            row |= {"95 % interval": f"{low:.3f} to {high:.3f}", "products alone ms": limit * 1e3}
            row["of ours"] = share(f"a step on {backend}", limit, statistics.median(ours))
            for name, found in (("gatework", alone[gatework_step, backend]), ("plain loop", alone[plain_step, against])):
                row |= {f"{name} first s": found.seconds, f"{name} MiB": round(found.called)}
            rows.append(row)
    return rows


def _in_turns(prepared: dict[str, Any], pairs: int) -> dict[tuple[Callable[..., Any], str], list[float]]:
    with ExitStack() as stack:
        contestants: dict[tuple[Callable[..., Any], str], Callable[[], float]] = {}
        for backend, one in prepared.items():
            contestants[gatework_step, backend] = stack.enter_context(Turns(one, pairs + _WARM)).step
            contestants[plain_step, backend] = _timed_loop(one, prepares=True)
        seconds: dict[tuple[Callable[..., Any], str], list[float]] = {name: [] for name in contestants}
        for number in range(pairs + _WARM):
            for name, step in contestants.items():
                found = step()
                if number >= _WARM:
                    seconds[name].append(found)
            gc.collect()
    return seconds


def gatework_step(recipe: str, backend: str, overrides: list[str]) -> Callable[[], object]:
    """Gatework's own training, a step a call."""
    return Turns(prepared_recipe(recipe, backend, overrides), sys.maxsize).__enter__().step


def plain_step(recipe: str, backend: str, overrides: list[str]) -> Callable[[], object]:
    """The plain loop, a step a call."""
    return _timed_loop(prepared_recipe(recipe, backend, overrides))


def prepared_recipe(recipe: str, backend: str, overrides: Sequence[str]) -> Any:
    """A recipe prepared for training, without tracking."""
    import framework
    from framework.engine.run.prepare import prepare_experiment

    words = [f"backend={backend}", "tracking=none", "trainer.max_epochs=1000", *overrides]
    return prepare_experiment(framework.load(recipe, overrides=words))


def plain_loop(prepared: Any) -> Callable[[Any], float]:
    """The plain loop of a prepared experiment, from its initial weights: trains on a batch, gives its loss."""
    from framework.weights.initializers import initial_weights

    rival = rival_of(prepared.experiment)
    make = rival.torch_step if prepared.experiment.backend.name == "torch" else rival.tensorflow_step
    step: Callable[[Any], float] = make(prepared, initial_weights(prepared.plan))
    return step


def _timed_loop(prepared: Any, prepares: bool = False) -> Callable[[], float]:
    step, batches = plain_loop(prepared), _batches(prepared)
    known: set[tuple[tuple[int, ...], ...]] = set()

    def timed() -> float:
        batch = next(batches)
        shapes = tuple(one.shape for one in batch.inputs.values())
        if prepares and shapes not in known:
            known.add(shapes)
            step(batch)
        started = time.perf_counter()
        step(batch)
        return time.perf_counter() - started

    return timed


def _middle(batches: Iterable[Any]) -> Any:
    """The batch of middle size: by places, padding counted, and among equals by those that count."""

    def size(batch: Any) -> tuple[int, int]:
        places = int(batch.targets.size)
        return places, places if batch.weights is None else int((batch.weights != 0).sum())

    known = sorted(batches, key=size)
    return known[len(known) // 2]


class Turns:
    """Gatework's training, a step at a time. Implements ``TrainingEvents``."""

    def __init__(self, prepared: Any, steps: int) -> None:
        from framework.backends.base.training import Position, Training
        from framework.builder.schedule import learning_rate
        from framework.engine.run.prepare import build_trainee

        experiment = prepared.experiment
        _, self.trainee = build_trainee(prepared)
        self.left = steps
        self.result: Any = None
        """Of the last step."""
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.error: BaseException | None = None
        self.training = Training(
            trainer=experiment.trainer,
            optimizer=experiment.optimizer,
            learning_rate=learning_rate(experiment.optimizer, steps),
            train=prepared.data.train,
            validation=None,
            start=Position(),
            reset_states_each_epoch=False,
        )
        self.thread = threading.Thread(target=self._train, daemon=True)

    def __enter__(self) -> Turns:
        self.thread.start()
        self.done.acquire()  # the trainer is set up
        return self

    def __exit__(self, *error: object) -> None:
        self.left = 0
        self.go.release()
        self.thread.join()

    def step(self) -> float:
        """Seconds of the next step."""
        started = time.perf_counter()
        self.go.release()
        self.done.acquire()
        if self.error is not None:
            raise self.error
        return time.perf_counter() - started

    def on_train_begin(self, position: Any, steps_per_epoch: int) -> None:
        """The trainer is ready."""
        self.done.release()
        self.go.acquire()

    def on_step(self, result: Any) -> None:
        """A turn is over."""
        self.left, self.result = self.left - 1, result
        self.done.release()
        self.go.acquire()

    def on_epoch_end(self, result: Any) -> None:
        """Nothing."""

    @property
    def should_stop(self) -> bool:
        """Whether no step is left."""
        return self.left <= 0

    def _train(self) -> None:
        try:
            self.trainee.fit(self.training, self)
        except BaseException as error:
            self.error = error
            self.done.release()


def _batches(prepared: Any) -> Iterator[Any]:
    epoch = 0
    while True:
        yield from prepared.data.train.epoch(epoch)
        epoch += 1


def _interval(values: list[float]) -> tuple[float, float]:
    """The 95 % interval of the median, by the bootstrap (Efron 1979, "Bootstrap Methods: Another Look at the Jackknife")."""
    draws = random.Random(0)
    medians = sorted(statistics.median(draws.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    return medians[int(0.025 * _RESAMPLES)], medians[int(0.975 * _RESAMPLES)]
