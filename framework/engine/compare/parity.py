"""Whether both backends compute the same from one YAML: weights, outputs, loss, gradients, the first steps, and text."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.backend import Trainee
from framework.backends.base.registry import BACKENDS
from framework.backends.base.training import EpochResult, Position, StepResult, Training
from framework.builder.schedule import learning_rate
from framework.data.batches import Batch
from framework.data.limit import limit
from framework.decoding.generate import generate
from framework.decoding.sampling import Sampling
from framework.engine.compare.drawn_text import drawn_text, until_a_border
from framework.engine.run.digest import resolved
from framework.engine.run.prepare import Prepared, build_trainee, prepare_experiment
from framework.spec.experiment import Experiment
from framework.spec.measurements import ParityRow
from framework.spec.validate import validate_experiment

TEXT_LENGTH = 100
"""Tokens of the texts that are compared."""

MARGINS = "margins"
"""Beside what is compared: how near each drawn token was to being another one."""

CANCELLED = 0.01
"""Gradients of an array that are smaller than this share of the model's largest are held against that share: they are sums whose terms
cancel, such as those of a bias that all places of an attention's softmax have in common, and what is left of them is rounding."""

SENTENCES = 16
"""Inputs whose predictions are compared, where the model searches for what it writes."""


@dataclass(frozen=True)
class Tolerance:
    """How far two backends may be apart.

    Attributes:
        bound: largest difference, as a share of the largest absolute value; 0 is equal to the bit.
        why: why not closer.
    """

    bound: float
    why: str


TOLERANCES = {
    "initial weights": Tolerance(0.0, "both are given the same arrays"),
    "outputs": Tolerance(1e-5, "float32 sums in another order"),
    "loss": Tolerance(1e-5, "float32 sums in another order"),
    "gradients": Tolerance(1e-4, "float32 sums over time in another order"),
    "step losses": Tolerance(1e-3, "differences of the gradients add up over the steps; each loss is compared with itself"),
    "greedy text": Tolerance(0.0, "tokens are equal or not"),
    "sampled text": Tolerance(0.0, "the random numbers are the same: tokens are equal, up to the first that two tokens share"),
    "predictions": Tolerance(0.0, "what is written is equal or not"),
}
"""By what is compared."""


@dataclass(frozen=True)
class Comparison:
    """One line of the table.

    Attributes:
        what: kind of thing compared, a key of :data:`TOLERANCES`.
        name: which one, such as ``gru/kernel``.
        difference: largest difference, as a share of the largest absolute value; of losses, each as a share of itself; of gradients
            that cancel, see :data:`CANCELLED`.
    """

    what: str
    name: str
    difference: float

    @property
    def tolerance(self) -> float:
        """Largest difference allowed."""
        return TOLERANCES[self.what].bound

    @property
    def ok(self) -> bool:
        """Whether the two agree."""
        return self.difference <= self.tolerance


Measured = Mapping[str, Mapping[str, NDArray[Any]]]
"""Arrays by what they are and by name."""


def measure_backends(experiment: Experiment, steps: int = 50) -> dict[str, Measured]:
    """Measures both backends, each in a process of its own.

    Args:
        experiment: what to build; its ``backend`` is left out of account.
        steps: optimizer steps to compare, on the same batches.

    Returns:
        What :func:`compare` compares, by backend.

    Raises:
        GateworkError: a backend cannot build or train it.
    """
    settings = resolved(experiment)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        return {backend: pool.submit(measure, settings, backend, steps).result() for backend in BACKENDS}


def measure(settings: Mapping[str, Any], backend: str, steps: int) -> Measured:
    """Everything that is compared, on one backend.

    Args:
        settings: a resolved config.
        backend: name of the backend.
        steps: optimizer steps.
    """
    experiment = validate_experiment({**settings, "backend": {**settings["backend"], "name": backend}})
    prepared = prepare_experiment(experiment)
    _, trainee = build_trainee(prepared)
    batch = next(iter(prepared.data.train.epoch(0)))
    found: dict[str, dict[str, NDArray[Any]]] = {"initial weights": trainee.weights()}
    found["outputs"] = trainee.predict(batch.inputs)
    trainee.reset_states()
    loss, gradients = trainee.loss_and_gradients(batch)
    found["loss"] = {"first batch": np.array(loss)}
    found["gradients"] = gradients
    events = _Losses()
    train = limit(prepared.data.train, min(steps, prepared.data.train.steps))
    # Logged at every step, or a GPU keeps most losses to itself.
    trainer = experiment.trainer.model_copy(update={"max_epochs": 1, "limit_train_batches": None, "log_every_n_steps": 1})
    rate = learning_rate(experiment.optimizer, train.steps)
    trainee.fit(Training(trainer, experiment.optimizer, rate, train, None, Position(), False), events)
    found["step losses"] = {"steps": np.array(events.losses)}
    found.update(_decoded(prepared, trainee, batch))
    found.update(_predicted(prepared, trainee))
    return found


def _decoded(prepared: Prepared, trainee: Trainee, batch: Batch) -> dict[str, dict[str, NDArray[Any]]]:
    """What the model writes for the first row of a batch, where its task decodes: from the row's first tokens, and its other inputs."""
    decoded = prepared.task.decoded(prepared.plan)
    if decoded is None:
        return {}
    others = {name: value[:1] for name, value in batch.inputs.items() if name != decoded}
    prompt = batch.inputs[decoded][0][: 1 if others else 5]
    banned, seed = prepared.data.processor.banned, prepared.experiment.seed
    greedy = Sampling("greedy", banned=banned)
    result = generate(trainee.stepper(decoded), [prompt], greedy, length=TEXT_LENGTH, seed=seed, inputs=others).result()
    drawn = drawn_text(trainee.stepper(decoded), prompt, others, banned, seed, TEXT_LENGTH)
    return {"greedy text": {"tokens": result.tokens[0]}, "sampled text": {"tokens": drawn["tokens"]}, MARGINS: {"tokens": drawn["margins"]}}


def _predicted(prepared: Prepared, trainee: Trainee) -> dict[str, dict[str, NDArray[Any]]]:
    """What the model writes for the first examples, greedily and by a beam search, where its task has such a search; by character."""
    task = prepared.task
    examples = prepared.data.examples.get("validation") or prepared.data.examples.get("train") or ()
    rows = [examples[number].inputs for number in range(min(SENTENCES, len(examples)))]
    if not rows or "beam_width" not in task.interface(prepared.experiment).settings:
        return {}
    model = prepared.model(trainee)
    found = {}
    for strategy in ("greedy", "beam"):
        answers = task.predict(model, rows, {"strategy": strategy}, prepared.experiment.seed)
        text = "\n".join(str(value) for answer in answers for value in answer.values())
        found[strategy] = np.array([ord(character) for character in text])
    return {"predictions": found}


def compare(one: Measured, other: Measured) -> Iterator[Comparison]:
    """The lines of the table. What only one side has differs without bound."""
    for what in TOLERANCES:
        left, right = one.get(what, {}), other.get(what, {})
        floor = CANCELLED * max(map(_largest, left.values()), default=0.0) if what == "gradients" else 0.0
        for name in sorted({*left, *right}):
            if name not in left or name not in right or left[name].shape != right[name].shape:
                yield Comparison(what, name, float("inf"))
                continue
            a, b = left[name], right[name]
            if what == "sampled text" and MARGINS in one and MARGINS in other:
                a, b = until_a_border({name: a, MARGINS: one[MARGINS][name]}, {name: b, MARGINS: other[MARGINS][name]})
            yield Comparison(what, name, _each_to_itself(a, b) if what == "step losses" else _difference(a, b, floor))


def _each_to_itself(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Losses fall, so that the largest of them is no measure of the last."""
    return max((_difference(left, right) for left, right in zip(one, other, strict=True)), default=0.0)


def _largest(array: NDArray[Any]) -> float:
    return float(np.abs(np.asarray(array, np.float64)).max()) if array.size else 0.0


def _difference(one: NDArray[Any], other: NDArray[Any], floor: float = 0.0) -> float:
    """The largest difference as a share of the largest value, or of ``floor`` where that is more."""
    left, right = np.asarray(one, np.float64), np.asarray(other, np.float64)
    if not left.size:
        return 0.0
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return float("inf")
    largest = max(_largest(left), _largest(right), floor)
    difference = float(np.abs(left - right).max())
    return difference / largest if largest > 0 else difference


def table(comparisons: Iterable[Comparison]) -> list[ParityRow]:
    """The lines as they are kept and shown."""
    return [ParityRow(what=one.what, name=one.name, difference=one.difference, tolerance=one.tolerance, ok=one.ok) for one in comparisons]


class _Losses:
    """Training events that only remember the losses."""

    should_stop = False

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_begin(self, position: Position, steps_per_epoch: int) -> None:
        """Nothing."""

    def on_step(self, result: StepResult) -> None:
        """Remembers the loss."""
        self.losses.append(float("nan") if result.loss is None else result.loss)

    def on_epoch_end(self, result: EpochResult) -> None:
        """Nothing."""
