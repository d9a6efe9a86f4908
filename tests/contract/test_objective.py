"""The losses of both backends against NumPy in float64, and the sums of an evaluation over batches of any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from small_models import ROWS, TIME, VOCABULARY, Listener, Windows, Workshop, language_model

from framework.backends.base.objective import Objective, Totals
from framework.data.batches import Batch
from framework.errors import DataError, InputError
from framework.spec.optimizer import SGDSpec

MASKED = {
    "inputs": {"tokens": {"dtype": "int32", "shape": [None]}},
    "layers": {
        "embedding": {"kind": "embedding", "input_dim": VOCABULARY, "output_dim": 5, "mask_zero": True},
        "logits": {"kind": "dense", "units": VOCABULARY},
    },
    "outputs": "logits",
}
NUMBERS = {**language_model(), "layers": {**language_model()["layers"], "logits": {"kind": "dense", "units": 1}}}


@pytest.fixture(params=["torch", "tensorflow"], scope="module")
def workshop(request: pytest.FixtureRequest) -> Workshop:
    return Workshop(request.param)


class Ragged:
    """Three batches of different rows and lengths, padded and weighted."""

    steps, batch_size = 3, ROWS

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for position in range(start, self.steps):
            random = np.random.default_rng((epoch, position))
            rows, time = ROWS - position, TIME + position
            tokens = random.integers(1, VOCABULARY, (rows, time + 1), dtype=np.int32)
            weights = (random.random((rows, time)) < 0.6).astype(np.float32)
            yield Batch({"tokens": tokens[:, :-1]}, tokens[:, 1:], weights)


def losses(trainee: Any, batch: Batch, smoothing: float = 0.0) -> np.ndarray:
    """Each target's loss, from the logits by the book."""
    logits = trainee.predict(batch.inputs)["output"].astype(np.float64)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    right = np.take_along_axis(logs, batch.targets[..., None].astype(np.int64), -1)[..., 0]
    return -(1 - smoothing) * right - smoothing * logs.mean(-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_the_weighted_mean_over_its_targets(workshop: Workshop, weighted: bool, smoothing: float) -> None:
    trainee = workshop.trainee(objective=Objective(label_smoothing=smoothing))
    batch = Windows(1, weighted=weighted).first()
    expected = np.average(losses(trainee, batch, smoothing), weights=batch.weights)
    assert trainee.loss_and_gradients(batch)[0] == pytest.approx(expected, rel=1e-5)
    measured = np.average(losses(trainee, batch), weights=batch.weights)
    assert trainee.evaluate(Windows(1, weighted=weighted)).loss == pytest.approx(measured, rel=1e-5)


def test_weights_alone_decide_what_counts_and_a_mask_only_where_there_are_none(workshop: Workshop) -> None:
    trainee = workshop.trainee(MASKED)
    plain = Windows(1, lowest=0, seed=4).first()
    kept = plain.inputs["tokens"] != 0
    assert not kept.all()
    assert trainee.loss_and_gradients(plain)[0] == pytest.approx(losses(trainee, plain)[kept].mean(), rel=1e-5)
    weights = np.random.default_rng(0).random(plain.targets.shape, dtype=np.float32)
    weights[0] = 0
    weighted = Batch(plain.inputs, plain.targets, weights)
    assert trainee.loss_and_gradients(weighted)[0] == pytest.approx(np.average(losses(trainee, plain), weights=weights), rel=1e-5)
    nothing = Batch(plain.inputs, plain.targets, np.zeros_like(weights))
    loss, gradients = trainee.loss_and_gradients(nothing)
    assert loss == 0.0 and not any(value.any() for value in gradients.values())


def test_per_row_divides_the_gradient_by_the_rows_and_reports_the_mean_all_the_same(workshop: Workshop) -> None:
    batch = next(Ragged().epoch(0))
    by_token, by_row = (workshop.trainee(objective=Objective(normalization=each)) for each in ("per_token", "per_row"))
    (loss, gradients), (same, scaled) = by_token.loss_and_gradients(batch), by_row.loss_and_gradients(batch)
    assert same == loss
    for name, value in gradients.items():
        np.testing.assert_allclose(scaled[name], value * batch.count / batch.rows, rtol=2e-5, atol=1e-7)


def test_an_evaluation_is_exact_over_batches_of_any_size(workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(batch_size=None))
    found = trainee.evaluate(Ragged())
    batches = list(Ragged().epoch(0))
    every = [losses(trainee, batch) for batch in batches]
    right = [trainee.predict(batch.inputs)["output"].argmax(-1) == batch.targets for batch in batches]
    count = sum(batch.count for batch in batches)
    assert (found.count, found.rows) == (count, ROWS + ROWS - 1 + ROWS - 2)
    assert found.loss == pytest.approx(sum((one * batch.weights).sum() for one, batch in zip(every, batches, strict=True)) / count)
    assert found.sums["correct"] == sum((one * batch.weights).sum() for one, batch in zip(right, batches, strict=True))


def test_a_training_and_its_validation_add_up_weights_and_rows(workshop: Workshop) -> None:
    trainee, listener = workshop.trainee(language_model(batch_size=None)), Listener()
    still = workshop.training(Ragged(), Ragged(), optimizer=SGDSpec(), rate=lambda step: 0.0, max_epochs=1)
    trainee.fit(still, listener)
    (epoch,) = listener.epochs
    measured = trainee.evaluate(Ragged())
    assert (epoch.training.count, epoch.training.rows) == (measured.count, measured.rows)
    assert epoch.loss == pytest.approx(measured.loss, rel=1e-6) and epoch.val_loss == pytest.approx(measured.loss, rel=1e-6)
    assert [one.count for one in listener.steps] == [batch.count for batch in Ragged().epoch(0)]


def test_squared_error_compares_numbers(workshop: Workshop) -> None:
    trainee = workshop.trainee(NUMBERS, objective=Objective("squared_error"))
    drawn = Windows(1).first()
    batch = Batch(drawn.inputs, np.random.default_rng(1).normal(size=drawn.targets.shape).astype(np.float32))
    error = (trainee.predict(batch.inputs)["output"][..., 0] - batch.targets) ** 2
    assert trainee.loss_and_gradients(batch)[0] == pytest.approx(error.mean(), rel=1e-5)


def test_one_target_a_row(workshop: Workshop) -> None:
    model = language_model(gru={"kind": "gru", "units": 7})
    trainee, drawn = workshop.trainee(model), Windows(1).first()
    batch = Batch(drawn.inputs, drawn.targets[:, 0], np.array([1, 0, 1, 2], np.float32))
    assert trainee.loss_and_gradients(batch)[0] == pytest.approx(np.average(losses(trainee, batch), weights=batch.weights), rel=1e-5)


def test_what_cannot_be_compared_is_refused(workshop: Workshop) -> None:
    drawn = Windows(1).first()
    with pytest.raises(InputError, match="the output must have one axis more"):
        workshop.trainee(language_model(gru={"kind": "gru", "units": 7})).loss_and_gradients(drawn)
    with pytest.raises(InputError, match="no output 'other' to train, only output"):
        workshop.trainee(objective=Objective(output="other")).loss_and_gradients(drawn)
    with pytest.raises(DataError, match="no batches"):
        workshop.trainee().evaluate(Windows(0))


def test_totals_add_up() -> None:
    one, other = Totals({"loss": 2.0}, 4.0, 1), Totals({"loss": 1.0, "correct": 3.0}, 2.0, 2)
    assert one + other == Totals({"loss": 3.0, "correct": 3.0}, 6.0, 3)
    assert (one + other).loss == 0.5 and np.isnan(Totals().loss) and np.isnan(one.mean("correct"))
