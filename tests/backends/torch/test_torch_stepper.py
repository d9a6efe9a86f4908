"""Decoding step by step against the whole sequence at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from attention_models import sentences, translation
from small_models import VOCABULARY, Listener, Windows, Workshop, language_model

from framework.backends.torch.decoding.cell import DecodingCell
from framework.backends.torch.gru import products
from framework.backends.torch.product import MANY, PreparedProduct
from framework.errors import InputError

pytestmark = pytest.mark.torch

GRU = {"kind": "gru", "units": 6, "return_sequences": True}

MODELS: dict[str, dict[str, Any]] = {
    "folded": {"gru": GRU},
    "without bias": {"gru": {**GRU, "use_bias": False}},
    "other activations": {"gru": {**GRU, "activation": "relu", "recurrent_activation": "hard_sigmoid"}},
    "linear": {"gru": {**GRU, "activation": None, "recurrent_activation": None}},
    "gates as wholes": {"gru": {**GRU, "recurrent_activation": "softmax"}},
    "reset before": {"gru": {**GRU, "reset_after": False}},
    "stateful": {"gru": {**GRU, "stateful": True, "return_state": True}},
    "dropouts": {"drop": {"kind": "dropout", "rate": 0.5}, "gru": {**GRU, "dropout": 0.4, "recurrent_dropout": 0.3}},
    "two layers": {"gru": GRU, "norm": {"kind": "layer_normalization"}, "second": {**GRU, "units": 4, "reset_after": False}},
    "residual": {
        "gru": {**GRU, "units": 5},
        "sum": {"kind": "add", "inputs": ["embedding", "gru"]},
        "top": GRU,
        "wide": {"kind": "concatenate", "inputs": ["sum", "top"], "axis": 2},
    },
    "embedding read twice": {"one": {**GRU, "inputs": "embedding"}, "wide": {"kind": "concatenate", "inputs": ["embedding", "one"]}},
    "nothing recurrent": {
        "hidden": {"kind": "dense", "units": 7, "activation": "tanh"},
        "act": {"kind": "activation", "activation": "silu"},
    },
    "dense between": {"hidden": {"kind": "dense", "units": 7, "activation": "tanh"}, "gru": GRU},
    "own data type": {"gru": {**GRU, "dtype": "float64"}},
}


def tokens_of(rows: int = 3, time: int = 7, seed: int = 2) -> Any:
    return np.random.default_rng(seed).integers(1, VOCABULARY, (rows, time), dtype=np.int32)


def made(workshop: Workshop, layers: dict[str, Any], *, mask_zero: bool = False, **trainer: Any) -> Any:
    """A trainee with weights large enough to tell one state from another."""
    model = language_model(**layers)
    model["layers"]["embedding"]["mask_zero"] = mask_zero
    trainee = workshop.trainee(model, **trainer)
    random = np.random.default_rng(1)
    trainee.set_weights({name: 0.7 * random.normal(size=value.shape) for name, value in trainee.weights().items()})
    return trainee


def stepped(stepper: Any, tokens: Any, state: Any = None) -> tuple[Any, Any]:
    """Logits of every step ``(rows, time, vocabulary)``, and the last state."""
    state = stepper.start({}, len(tokens)) if state is None else state
    logits = []
    for time in range(tokens.shape[1]):
        given, state = stepper.step(tokens[:, time], state)[:2]
        logits.append(given.copy())
    return np.stack(logits, axis=1), state


def form_of(stepper: Any, name: str) -> Any:
    """A layer's step form."""
    return next(part.form for part in stepper._step_parts if part.planned.name == name)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [1, 3])
def test_steps_give_what_the_sequence_gives(name: str, rows: int, workshop: Workshop) -> None:
    trainee = made(workshop, MODELS[name])
    tokens = tokens_of(rows)
    (expected,) = trainee.predict({"tokens": tokens}).values()
    trainee.native.train()
    stepper = trainee.stepper()
    logits, state = stepped(stepper, tokens)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, rtol=2e-5, atol=2e-6)
    assert trainee.native.training
    prompted, read = stepper.step(tokens, stepper.start({}, rows))[:2]
    np.testing.assert_allclose(prompted, expected[:, -1], rtol=2e-5, atol=2e-6)
    assert read.carried.keys() == state.carried.keys()
    for key, value in state.carried.items():
        np.testing.assert_allclose(read.carried[key], value, rtol=2e-5, atol=2e-6)


def test_a_prompt_goes_on_from_a_state_in_chunks(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    stepper = made(workshop, MODELS["two layers"]).stepper()
    tokens = tokens_of(time=11)
    expected, last = stepped(stepper, tokens)
    monkeypatch.setattr("framework.backends.torch.decoding.stepper.CHUNK", 3)
    _, state = stepped(stepper, tokens[:, :2])
    logits, state = stepper.step(tokens[:, 2:], state)[:2]
    np.testing.assert_allclose(logits, expected[:, -1], rtol=1e-5, atol=1e-6)
    for key, value in last.carried.items():
        np.testing.assert_allclose(state.carried[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("layers", ["folded", "two layers", "reset before"])
def test_masked_tokens_carry_the_state(layers: str, zeros: bool, workshop: Workshop) -> None:
    changed = {name: {**one, "zero_output_for_mask": zeros} if one["kind"] == "gru" else one for name, one in MODELS[layers].items()}
    trainee = made(workshop, changed, mask_zero=True)
    tokens = tokens_of()
    tokens[0, :3] = tokens[1, 2] = tokens[2, -2:] = 0
    (expected,) = trainee.predict({"tokens": tokens}).values()
    stepper = trainee.stepper()
    logits, _ = stepped(stepper, tokens)
    np.testing.assert_allclose(logits, expected, rtol=2e-5, atol=2e-6)
    prompted, _ = stepper.step(tokens, stepper.start({}, 3))[:2]
    np.testing.assert_allclose(prompted, expected[:, -1], rtol=2e-5, atol=2e-6)
    # Masked first steps of a prompt that goes on from a state repeat the output before.
    _, state = stepped(stepper, tokens_of(time=2, seed=3))
    rest = np.zeros((3, 2), np.int32)
    np.testing.assert_allclose(stepper.step(rest, state)[0], stepped(stepper, rest, state)[0][:, -1], rtol=2e-5, atol=2e-6)


def test_a_step_leaves_the_state_that_it_is_given(workshop: Workshop) -> None:
    stepper = made(workshop, MODELS["folded"]).stepper()
    tokens = tokens_of()
    _, state = stepped(stepper, tokens[:, :2])
    kept = {key: value.clone() for key, value in state.carried.items()}
    first, _ = stepper.step(tokens[:, 2], state)[:2]
    first = first.copy()
    _, _ = stepper.step(tokens[:, 3], state)[:2]
    again, _ = stepper.step(tokens[:, 2], state)[:2]
    assert np.array_equal(first, again)
    assert all(torch.equal(value, kept[key]) for key, value in state.carried.items())


def test_rows_can_be_selected_repeated_and_dropped(workshop: Workshop) -> None:
    stepper = made(workshop, MODELS["two layers"]).stepper()
    tokens = tokens_of()
    _, state = stepped(stepper, tokens[:, :3])
    rows = np.array([2, 0, 2, 2])
    logits, _ = stepper.step(tokens[rows, 3], stepper.select(state, rows))[:2]
    logits = logits.copy()
    expected, _ = stepper.step(tokens[:, 3], state)[:2]
    np.testing.assert_allclose(logits, expected[rows], rtol=1e-5, atol=1e-6)


def test_the_training_state_of_a_stateful_layer_is_not_touched(workshop: Workshop) -> None:
    trainee = made(workshop, MODELS["stateful"])
    trainee.fit(workshop.training(Windows(1), max_epochs=1), Listener())
    layer = trainee.native.layers["gru"].gru
    kept = layer.state.clone()
    stepper = trainee.stepper()
    stepper.step(tokens_of(rows=2), stepper.start({}, 2))
    assert torch.equal(layer.state, kept)


def test_precision_of_the_weights(workshop: Workshop) -> None:
    trainee = made(workshop, MODELS["two layers"], precision="64-true")
    tokens = tokens_of()
    (expected,) = trainee.predict({"tokens": tokens}).values()
    logits, state = stepped(trainee.stepper(), tokens)
    assert logits.dtype == np.float32
    assert {value.dtype for value in state.carried.values()} == {torch.float64}
    np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("layer", ["embedding", "gru", "before", "norm", "hidden", "logits"])
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64"])
def test_a_layer_with_a_data_type_of_its_own(dtype: str, layer: str, workshop: Workshop) -> None:
    layers = {
        "gru": GRU,
        "norm": {"kind": "layer_normalization"},
        "before": {**GRU, "units": 5, "reset_after": False},
        "hidden": {"kind": "dense", "units": 7, "activation": "tanh"},
    }
    model = language_model(**layers)
    model["layers"][layer] = {**model["layers"][layer], "dtype": dtype}
    plain, typed = workshop.trainee(language_model(**layers)), workshop.trainee(model)
    tokens = tokens_of()
    (expected,) = plain.predict({"tokens": tokens}).values()
    (own,) = typed.predict({"tokens": tokens}).values()
    near = {"float64": 1e-6, "bfloat16": 3e-2, "float16": 3e-3}
    np.testing.assert_allclose(own, expected, atol=near.get(dtype.removeprefix("mixed_"), 0.0), rtol=0)
    stepper = typed.stepper()
    found, last = stepped(stepper, tokens)
    whole, state = stepper.step(tokens, stepper.start({}, len(tokens)))[:2]
    # Mixed layers keep weights in float32, and steps are in the data type of the weights.
    allowed = 1e-6 if dtype.startswith("mixed") else near[dtype]
    np.testing.assert_allclose(found, expected, atol=allowed, rtol=0)
    np.testing.assert_allclose(whole, expected[:, -1], atol=allowed, rtol=0)
    for name, value in state.carried.items():
        np.testing.assert_allclose(value.float().numpy(), last.carried[name].float().numpy(), atol=allowed, rtol=0)
        assert value.dtype == last.carried[name].dtype == stepper.start({}, 1).carried[name].dtype


@pytest.mark.parametrize("layer", ["source_embedding", "encoder", "decoder", "target_embedding"])
def test_a_translators_layer_with_a_data_type_of_its_own(layer: str, workshop: Workshop) -> None:
    spec = translation()
    spec["layers"][layer]["dtype"] = "float64"
    trainee, inputs = workshop.trainee(spec), sentences()
    stepper, target = trainee.stepper("target"), inputs["target"]
    state = stepper.start({"source": inputs["source"]}, len(target))
    [expected] = trainee.predict(inputs).values()
    for time, tokens in enumerate(np.ascontiguousarray(target.T)):
        logits, state, _ = stepper.step(tokens, state)
        np.testing.assert_allclose(logits, expected[:, time], rtol=1e-4, atol=1e-5)


def test_a_large_table_is_not_folded(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    trainee = made(workshop, MODELS["folded"])
    tokens = tokens_of()
    folded, _ = stepped(trainee.stepper(), tokens)
    assert form_of(trainee.stepper(), "gru").table is not None
    monkeypatch.setattr("framework.builder.step.LARGEST_TABLE", 100)
    stepper = trainee.stepper()
    assert form_of(stepper, "gru").table is None
    np.testing.assert_allclose(stepped(stepper, tokens)[0], folded, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, MANY, 33])
@pytest.mark.parametrize("bias", [True, False])
def test_prepared_products_give_the_products_numbers(rows: int, bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framework.backends.torch.product.PACKED_SIZE", 100)
    random = torch.Generator().manual_seed(0)
    kernel, x = torch.randn(40, 70, generator=random), torch.randn(rows, 40, generator=random)
    offset = torch.randn(70, generator=random) if bias else None
    product = PreparedProduct(kernel, offset)
    assert product.packing == products.packs(kernel)
    expected = x.double() @ kernel.double() + (0.0 if offset is None else offset.double())
    for _ in range(2):
        np.testing.assert_allclose(product(x), expected, rtol=1e-5, atol=1e-5)
    if product.packing:  # the others are plain: another data type, and no oneDNN
        assert not PreparedProduct(kernel.double()).packing
        monkeypatch.setattr("framework.backends.torch.product.packs", lambda tensor: False)
        plain = PreparedProduct(kernel, offset)
        assert not plain.packing
        np.testing.assert_allclose(plain(x), expected, rtol=1e-5, atol=1e-5)


def test_packed_and_plain_steps_agree(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    trainee = made(workshop, MODELS["dense between"])
    tokens = tokens_of()
    plain, _ = stepped(trainee.stepper(), tokens)
    monkeypatch.setattr("framework.backends.torch.product.PACKED_SIZE", 1)
    np.testing.assert_allclose(stepped(trainee.stepper(), tokens)[0], plain, rtol=1e-5, atol=1e-6)


def test_a_prompt_needs_a_token(workshop: Workshop) -> None:
    stepper = made(workshop, MODELS["folded"]).stepper()
    with pytest.raises(InputError, match=r"\(rows, time\) with at least one step"):
        stepper.step(np.zeros((2, 0), np.int32), stepper.start({}, 2))


def test_a_cell_that_cannot_be_prepared_is_told(workshop: Workshop) -> None:
    trainee = made(workshop, MODELS["reset before"])
    gru = trainee.native.layers["gru"].gru
    assert not DecodingCell(gru).prepared
