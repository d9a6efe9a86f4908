"""Each layer kind against NumPy in float64, with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracles import gru_numpy
from small_models import Workshop, language_model, single_layer

pytestmark = pytest.mark.tensorflow

ROWS, TIME, WIDTH, UNITS = 3, 5, 4, 6
X = np.random.default_rng(7).normal(size=(ROWS, TIME, WIDTH)).astype(np.float32)


def run(workshop: Workshop, model: dict[str, Any], inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Prediction of a model, and its weights in float64."""
    trainee = workshop.trainee(model)
    return trainee.predict(inputs)["output"], {name: value.astype(np.float64) for name, value in trainee.weights().items()}


def close(found: Any, expected: Any) -> None:
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)


def gru(x: Any, weights: dict[str, Any], prefix: str, mask: Any = None, **settings: Any) -> gru_numpy.Result:
    names = [f"{prefix}/{name}" for name in ("kernel", "recurrent_kernel", "bias")]
    state = np.zeros((len(x), weights[names[1]].shape[0]))
    return gru_numpy.forward(x.astype(np.float64), state, *(weights.get(name) for name in names), mask, gru_numpy.Settings(**settings))


def test_embedding(workshop: Workshop) -> None:
    model = {
        "inputs": {"x": {"dtype": "int64", "shape": [None]}},
        "layers": {"layer": {"kind": "embedding", "input_dim": 9, "output_dim": 4}},
        "outputs": "layer",
    }
    tokens = np.array([[0, 8, 8], [3, 1, 0]], np.int64)
    found, weights = run(workshop, model, {"x": tokens})
    close(found, weights["layer/embeddings"][tokens])


@pytest.mark.parametrize("activation", [None, *gru_numpy.ACTIVATIONS])
def test_dense_and_every_activation(workshop: Workshop, activation: str | None) -> None:
    found, weights = run(workshop, single_layer(WIDTH, kind="dense", units=UNITS, activation=activation), {"x": 3 * X})
    function = gru_numpy.ACTIVATIONS[activation or "linear"][0]
    np.testing.assert_allclose(found, function(3.0 * X @ weights["layer/kernel"] + weights["layer/bias"]), rtol=2e-5, atol=2e-5)


def test_dense_without_bias(workshop: Workshop) -> None:
    found, weights = run(workshop, single_layer(WIDTH, kind="dense", units=UNITS, use_bias=False), {"x": X})
    assert list(weights) == ["layer/kernel"]
    close(found, X.astype(np.float64) @ weights["layer/kernel"])


@pytest.mark.parametrize("activation", ["softmax", "hard_sigmoid", "hard_sigmoid_tf2"])
def test_activation(workshop: Workshop, activation: str) -> None:
    found, _ = run(workshop, single_layer(WIDTH, kind="activation", activation=activation), {"x": 4 * X})
    x = 4.0 * X.astype(np.float64)
    exponentials = np.exp(x - x.max(-1, keepdims=True))
    expected = {
        "softmax": exponentials / exponentials.sum(-1, keepdims=True),
        "hard_sigmoid": np.clip(x / 6 + 0.5, 0, 1),
        "hard_sigmoid_tf2": np.clip(0.2 * x + 0.5, 0, 1),
    }
    close(found, expected[activation])


@pytest.mark.parametrize(("scale", "center"), [(True, True), (True, False), (False, True), (False, False)])
def test_layer_normalization(workshop: Workshop, scale: bool, center: bool) -> None:
    model = single_layer(WIDTH, kind="layer_normalization", epsilon=0.01, scale=scale, center=center)
    found, weights = run(workshop, model, {"x": X})
    x = X.astype(np.float64)
    normal = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 0.01)
    close(found, normal * weights.get("layer/gamma", 1.0) + weights.get("layer/beta", 0.0))


def test_dropout_does_nothing_in_inference(workshop: Workshop) -> None:
    found, _ = run(workshop, single_layer(WIDTH, kind="dropout", rate=0.7), {"x": X})
    close(found, X)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"reset_after": False},
        {"use_bias": False},
        {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
        {"activation": None, "recurrent_activation": "hard_sigmoid_tf2", "reset_after": False},
        {"go_backwards": True},
        {"implementation": 1, "dropout": 0.5, "recurrent_dropout": 0.5},
    ],
    ids=str,
)
def test_gru(workshop: Workshop, settings: dict[str, Any]) -> None:
    model = single_layer(WIDTH, kind="gru", units=UNITS, return_sequences=True, **settings)
    model["layers"]["last"] = {**model["layers"]["layer"], "inputs": "x", "return_sequences": False}
    model["outputs"] = {"sequence": "layer", "last": "last"}
    trainee = workshop.trainee(model)
    found, weights = trainee.predict({"x": X}), {name: value.astype(np.float64) for name, value in trainee.weights().items()}
    numbers = {"activation", "recurrent_activation", "reset_after", "go_backwards"}
    given = {name: value for name, value in settings.items() if name in numbers}
    close(found["sequence"], gru(X, weights, "layer", **given).outputs)
    close(found["last"], gru(X, weights, "last", **given).last)


def test_gru_time_major(workshop: Workshop) -> None:
    model = single_layer(WIDTH, kind="gru", units=UNITS, return_sequences=True, time_major=True)
    model["inputs"]["x"]["shape"] = [None, WIDTH]
    found, weights = run(workshop, model, {"x": X.swapaxes(0, 1)})
    close(found.swapaxes(0, 1), gru(X, weights, "layer").outputs)


def test_gru_unrolled(workshop: Workshop) -> None:
    found, weights = run(workshop, single_layer(WIDTH, TIME, kind="gru", units=UNITS, return_sequences=True, unroll=True), {"x": X})
    close(found, gru(X, weights, "layer").outputs)


def test_state_starts_another_gru_and_several_outputs_have_names(workshop: Workshop) -> None:
    model = {
        "inputs": {"x": {"dtype": "float32", "shape": [None, WIDTH]}},
        "layers": {
            "first": {"kind": "gru", "units": UNITS, "return_sequences": True, "return_state": True},
            "second": {"kind": "gru", "units": UNITS, "inputs": "x", "initial_state": "first.state"},
        },
        "outputs": {"sequence": "first", "state": "first.state", "last": "second"},
    }
    trainee = workshop.trainee(model)
    weights = {name: value.astype(np.float64) for name, value in trainee.weights().items()}
    found = trainee.predict({"x": X})
    first = gru(X, weights, "first")
    names = [f"second/{name}" for name in ("kernel", "recurrent_kernel", "bias")]
    second = gru_numpy.forward(X.astype(np.float64), first.state, *(weights[name] for name in names), None, gru_numpy.Settings())
    assert set(found) == {"sequence", "state", "last"}
    close(found["sequence"], first.outputs)
    close(found["state"], first.state)
    close(found["last"], second.last)


@pytest.mark.parametrize("zero", [False, True])
def test_masking_and_what_a_gru_makes_of_it(workshop: Workshop, zero: bool) -> None:
    model = single_layer(WIDTH, kind="masking", mask_value=-1.0)
    model["layers"]["gru"] = {"kind": "gru", "units": UNITS, "return_sequences": True, "zero_output_for_mask": zero}
    model["outputs"] = "gru"
    mask = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], bool)
    x = np.where(mask[:, :, None], X, np.float32(-1.0))
    found, weights = run(workshop, model, {"x": x})
    close(found, gru(x, weights, "gru", mask, zero_output_for_mask=zero).outputs)


def test_embedding_masks_token_zero(workshop: Workshop) -> None:
    model = language_model(None)
    model["layers"]["embedding"]["mask_zero"] = True
    tokens = np.array([[3, 0, 2, 0], [0, 1, 4, 5]], np.int32)
    found, weights = run(workshop, model, {"tokens": tokens})
    outputs = gru(weights["embedding/embeddings"][tokens], weights, "gru", tokens != 0).outputs
    close(found, outputs @ weights["logits/kernel"] + weights["logits/bias"])


def branches(merge: dict[str, Any]) -> dict[str, Any]:
    return {
        "inputs": {"x": {"dtype": "float32", "shape": [None, WIDTH]}},
        "layers": {
            "left": {"kind": "dense", "units": UNITS, "inputs": "x"},
            "right": {"kind": "dense", "units": UNITS, "inputs": "x"},
            "merged": {"inputs": ["left", "right"], **merge},
        },
        "outputs": "merged",
    }


@pytest.mark.parametrize("merge", [{"kind": "add"}, {"kind": "concatenate"}, {"kind": "concatenate", "axis": 1}], ids=str)
def test_merging(workshop: Workshop, merge: dict[str, Any]) -> None:
    found, weights = run(workshop, branches(merge), {"x": X})
    left, right = (X @ weights[f"{name}/kernel"] + weights[f"{name}/bias"] for name in ("left", "right"))
    close(found, left + right if merge["kind"] == "add" else np.concatenate([left, right], merge.get("axis", -1)))


@pytest.mark.parametrize(("merge_mode", "sequences"), [("concat", True), ("concat", False), ("sum", True), ("mul", True), ("ave", True)])
def test_bidirectional(workshop: Workshop, merge_mode: str, sequences: bool) -> None:
    inner = {"kind": "gru", "units": UNITS, "return_sequences": sequences, "reset_after": False}
    found, weights = run(workshop, single_layer(WIDTH, kind="bidirectional", layer=inner, merge_mode=merge_mode), {"x": X})
    names = ["kernel", "recurrent_kernel", "bias"]
    assert list(weights) == [f"layer/{direction}/{name}" for direction in ("forward", "backward") for name in names]
    forward = gru(X, weights, "layer/forward", reset_after=False)
    backward = gru(X, weights, "layer/backward", reset_after=False, go_backwards=True)
    one, other = (forward.outputs, backward.outputs[:, ::-1]) if sequences else (forward.last, backward.last)
    merged = {"concat": np.concatenate([one, other], -1), "sum": one + other, "mul": one * other, "ave": (one + other) / 2}
    close(found, merged[merge_mode])


def test_bidirectional_with_a_backward_layer_of_its_own(workshop: Workshop) -> None:
    layer = {"kind": "gru", "units": UNITS}
    backward = {"kind": "gru", "units": 2, "go_backwards": True, "activation": "relu"}
    found, weights = run(workshop, single_layer(WIDTH, kind="bidirectional", layer=layer, backward_layer=backward), {"x": X})
    one = gru(X, weights, "layer/forward").last
    other = gru(X, weights, "layer/backward", go_backwards=True, activation="relu").last
    close(found, np.concatenate([one, other], -1))
