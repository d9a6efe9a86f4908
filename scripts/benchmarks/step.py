"""A training step of a recipe: Gatework's own trainer against a plain loop of the same model by hand, in turns.

Gatework trains as ever, in a thread that waits after each step for its turn; whatever its trainer, its events and its data pipeline take
is in its time. The plain loops have their batches at hand.
"""

from __future__ import annotations

import argparse
import gc
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.peak import peak_memory

BACKENDS = ("torch", "tensorflow")
_RESAMPLES = 2000


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each backend: median milliseconds of both, the median ratio with its 95 % interval, and the memory of both.

    Memory is the most that a process holds that does nothing but two such steps, libraries included.
    """
    rows = []
    for backend in arguments.only.split(",") if arguments.only else BACKENDS:
        pairs = max(arguments.rounds, 30)
        ours, plain = _pairs(arguments.recipe, backend, arguments.overrides, pairs)
        ratios = [one / other for one, other in zip(ours, plain, strict=True)]
        low, high = _interval(ratios)
        row: dict[str, Any] = {"backend": backend, "pairs": pairs, "gatework ms": statistics.median(ours) * 1e3}
        row |= {"plain loop ms": statistics.median(plain) * 1e3, "ratio": statistics.median(ratios)}
        row |= {"95 % interval": f"{low:.3f} to {high:.3f}"}
        for name, make in (("gatework MiB", gatework_step), ("plain loop MiB", plain_step)):
            row[name] = round(peak_memory(make, arguments.recipe, backend, arguments.overrides)[1])
        rows.append(row)
    return rows


def _pairs(recipe: str, backend: str, overrides: list[str], pairs: int) -> tuple[list[float], list[float]]:
    prepared = _prepared(recipe, backend, overrides)
    by_hand = _plain(prepared)
    ours: list[float] = []
    plain: list[float] = []
    with _Turns(prepared, pairs + 2) as turns:
        for number in range(pairs + 2):  # the first two of each warm up
            seconds = turns.step(), _timed(by_hand)
            if number >= 2:
                ours.append(seconds[0])
                plain.append(seconds[1])
            gc.collect()
    return ours, plain


def gatework_step(recipe: str, backend: str, overrides: list[str]) -> Callable[[], object]:
    """Gatework's own training, a step a call."""
    return _Turns(_prepared(recipe, backend, overrides), sys.maxsize).__enter__().step


def plain_step(recipe: str, backend: str, overrides: list[str]) -> Callable[[], object]:
    """The plain loop, a step a call."""
    return _plain(_prepared(recipe, backend, overrides))


def _prepared(recipe: str, backend: str, overrides: list[str]) -> Any:
    import framework
    from framework.engine.run.prepare import prepare_experiment

    words = [f"backend={backend}", "tracking=none", "trainer.max_epochs=1000", *overrides]
    return prepare_experiment(framework.load(recipe, overrides=words))


def _plain(prepared: Any) -> Callable[[], object]:
    return (_plain_torch if prepared.experiment.backend.name == "torch" else _plain_keras)(prepared)


class _Turns:
    """Gatework's training, a step at a time. Implements ``TrainingEvents``."""

    def __init__(self, prepared: Any, steps: int) -> None:
        from framework.backends.base.training import Position, Training
        from framework.builder.schedule import learning_rate
        from framework.engine.run.prepare import build_trainee

        experiment = prepared.experiment
        _, self.trainee = build_trainee(prepared)
        self.left = steps
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

    def __enter__(self) -> _Turns:
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
        self.done.release()
        self.go.acquire()

    def on_step(self, result: Any) -> None:
        self.left -= 1
        self.done.release()
        self.go.acquire()

    def on_epoch_end(self, result: Any) -> None:
        """Nothing."""

    @property
    def should_stop(self) -> bool:
        return self.left <= 0

    def _train(self) -> None:
        try:
            self.trainee.fit(self.training, self)
        except BaseException as error:
            self.error = error
            self.done.release()


def _tutorial(prepared: Any) -> tuple[int, int, int, bool]:
    """Tokens, width of the embedding, units and whether the state is kept; of the model that the plain loops know."""
    layers = prepared.experiment.model.layers
    if [layer.kind for layer in layers.values()] != ["embedding", "gru", "dense"]:
        raise SystemExit("error: the plain loops are written for an embedding, a GRU and logits")
    embedding, gru, _ = layers.values()
    return int(embedding.input_dim), int(embedding.output_dim), int(gru.units), bool(gru.stateful)


def _batches(prepared: Any) -> Iterator[tuple[Any, Any]]:
    epoch = 0
    while True:
        for batch in prepared.data.train.epoch(epoch):
            [inputs] = batch.inputs.values()
            yield inputs, batch.targets
        epoch += 1


def _plain_torch(prepared: Any) -> Callable[[], object]:
    import torch
    from torch import nn

    tokens, width, units, stateful = _tutorial(prepared)
    embedding, gru, logits = nn.Embedding(tokens, width), nn.GRU(width, units, batch_first=True), nn.Linear(units, tokens)
    optimizer = torch.optim.Adam([*embedding.parameters(), *gru.parameters(), *logits.parameters()], lr=1e-3, eps=1e-7)
    batches, kept = _batches(prepared), [None]

    def step() -> float:
        inputs, targets = (torch.from_numpy(one).long() for one in next(batches))
        optimizer.zero_grad()
        states, last = gru(embedding(inputs), kept[0])
        loss = nn.functional.cross_entropy(logits(states).flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        if stateful:
            kept[0] = last.detach()
        return loss.item()

    return step


def _plain_keras(prepared: Any) -> Callable[[], object]:
    import keras

    tokens, width, units, stateful = _tutorial(prepared)
    batches = _batches(prepared)
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(prepared.experiment.data.batch_size, prepared.experiment.data.sequence_length)),
            keras.layers.Embedding(tokens, width),
            keras.layers.GRU(units, return_sequences=True, stateful=stateful),
            keras.layers.Dense(tokens),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return lambda: model.train_on_batch(*next(batches))


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _interval(values: list[float]) -> tuple[float, float]:
    """The 95 % interval of the median, by the bootstrap (Efron 1979, "Bootstrap Methods: Another Look at the Jackknife")."""
    draws = random.Random(0)
    medians = sorted(statistics.median(draws.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    return medians[int(0.025 * _RESAMPLES)], medians[int(0.975 * _RESAMPLES)]
