"""Attention with several heads on both backends: Keras' numbers, the same training, and steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from attention_models import GRU, sentences, translation, vectors
from small_models import Listener, One, Workshop

from framework.data.batches import Batch

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]
HEADS = {"kind": "multi_head_attention", "inputs": "steps", "memory": "memory", "num_heads": 2, "key_dim": 3}
SETTINGS = {
    "two heads": {},
    "other widths": {"value_dim": 5, "output_shape": 7},
    "without biases": {"use_bias": False},
    "padding attended to": {"mask_memory": False},
}


@pytest.fixture(params=BACKENDS)
def workshop(request: pytest.FixtureRequest) -> Workshop:
    return Workshop(request.param)


def over_vectors(**heads: Any) -> dict[str, Any]:
    return {
        "inputs": {"x": {"dtype": "float32", "shape": [None, 4]}, "places": {"dtype": "float32", "shape": [None, 6]}},
        "layers": {
            "steps": {"kind": "masking", "inputs": "x"},
            "memory": {"kind": "masking", "inputs": "places"},
            "heads": {**HEADS, **heads},
        },
        "outputs": {"output": "heads", "attention": "heads.attention"},
    }


def translator(**heads: Any) -> dict[str, Any]:
    """Cross attention after a recurrent decoder."""
    model = translation(
        heads={"kind": "multi_head_attention", "inputs": "decoder", "memory": "encoder", "num_heads": 2, "key_dim": 3, **heads},
        sum={"kind": "add", "inputs": ["decoder", "heads"]},
    )
    model["layers"]["decoder"] = {**GRU, "inputs": "target_embedding", "return_sequences": True}
    return model


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", SETTINGS)
def test_the_numbers_are_those_of_keras_layer(workshop: Workshop, name: str) -> None:
    import keras

    settings = {key: value for key, value in SETTINGS[name].items() if key != "mask_memory"}
    trainee, given = workshop.trainee(over_vectors(**SETTINGS[name])), {key: value[:2] for key, value in vectors().items()}
    oracle = keras.layers.MultiHeadAttention(num_heads=2, key_dim=3, **settings)
    oracle(given["x"], given["places"])
    oracle.set_weights([value for key, value in trainee.weights().items() if key.startswith("heads/")])
    mask = (given["places"] != 0).any(-1)[:, None] if name != "padding attended to" else None
    expected, scores = oracle(given["x"], given["places"], attention_mask=mask, return_attention_scores=True)
    found = trainee.predict(given)
    np.testing.assert_allclose(found["output"], expected, atol=1e-6)
    np.testing.assert_allclose(found["attention"], np.asarray(scores).mean(1), atol=1e-6)


def test_steps_are_what_it_is_taught_in_groups(workshop: Workshop) -> None:
    trainee, given = workshop.trainee(translator()), sentences()
    [whole] = trainee.predict(given).values()
    target, stepper, twice = given["target"], trainee.stepper(), np.repeat(np.arange(3), 2)
    start = stepper.start({"source": given["source"]}, 3)
    np.testing.assert_allclose(stepper.step(target, start).logits, whole[:, -1], atol=1e-6)
    state = stepper.select(start, twice, width=2)
    for step in range(target.shape[1]):
        logits, state, watched = stepper.step(target[twice, step], state)
        np.testing.assert_allclose(logits, whole[twice, step], atol=1e-6)
        np.testing.assert_allclose(watched["heads"].sum(-1), 1.0, atol=1e-6)


@pytest.mark.torch
@pytest.mark.tensorflow
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_both_backends_train_alike(dropout: float) -> None:
    random, given, results = np.random.default_rng(1), sentences(), []
    batch = Batch(given, random.integers(0, 11, given["target"].shape), None)
    for backend in ("torch", "tensorflow"):
        workshop, listener = Workshop(backend), Listener()
        trainee = workshop.trainee(translator(dropout=dropout), precision="64-true")
        _, gradients = trainee.loss_and_gradients(batch)
        trainee.fit(workshop.training(One(batch), max_epochs=3, precision="64-true"), listener)
        results.append((gradients, np.array([one.loss for one in listener.steps]), trainee.weights()))
    (gradients, losses, weights), (other_gradients, other_losses, other_weights) = results
    np.testing.assert_allclose(losses, other_losses, rtol=1e-8)
    for key, value in gradients.items():
        np.testing.assert_allclose(value, other_gradients[key], rtol=0, atol=1e-10, err_msg=key)
        if key != "heads/key/bias":  # the same on every score of a softmax: its gradient is zero, or what rounding leaves
            np.testing.assert_allclose(weights[key], other_weights[key], rtol=0, atol=1e-7, err_msg=key)
    without = Workshop("torch").trainee(translator(), precision="64-true")
    listener = Listener()
    without.fit(Workshop("torch").training(One(batch), max_epochs=1, precision="64-true"), listener)
    assert (listener.steps[0].loss == pytest.approx(losses[0], rel=1e-9)) == (dropout == 0.0)
