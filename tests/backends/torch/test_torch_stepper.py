"""Decoding step by step against the whole sequence at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from framework.backends.torch.cell import DecodingCell
from framework.backends.torch.gru import products
from framework.backends.torch.product import MANY, PreparedProduct
from framework.errors import UnsupportedArgument

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


def tokens_of(workshop: Any, rows: int = 3, time: int = 7, seed: int = 2) -> Any:
    return np.random.default_rng(seed).integers(1, workshop.vocabulary, (rows, time), dtype=np.int32)


def made(workshop: Any, layers: dict[str, Any], *, mask_zero: bool = False, **trainer: Any) -> Any:
    """A trainee with weights large enough to tell one state from another."""
    model = workshop.model_of(**layers)
    model["layers"]["embedding"]["mask_zero"] = mask_zero
    trainee = workshop.trainee(model, **trainer)
    random = np.random.default_rng(1)
    trainee.set_weights({name: 0.7 * random.normal(size=value.shape) for name, value in trainee.weights().items()})
    return trainee


def stepped(stepper: Any, tokens: Any, state: Any = None) -> tuple[Any, Any]:
    """Logits of every step ``(rows, time, vocabulary)``, and the last state."""
    state = stepper.initial_state(len(tokens)) if state is None else state
    logits = []
    for time in range(tokens.shape[1]):
        given, state = stepper(tokens[:, time], state)
        logits.append(given.copy())
    return np.stack(logits, axis=1), state


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rows", [1, 3])
def test_steps_give_what_the_sequence_gives(name: str, rows: int, workshop: Any) -> None:
    trainee = made(workshop, MODELS[name])
    tokens = tokens_of(workshop, rows)
    (expected,) = trainee.predict({"tokens": tokens}).values()
    trainee.native.train()
    stepper = trainee.stepper()
    logits, state = stepped(stepper, tokens)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, rtol=2e-5, atol=2e-6)
    assert trainee.native.training
    prompted, read = stepper(tokens, stepper.initial_state(rows))
    np.testing.assert_allclose(prompted, expected[:, -1], rtol=2e-5, atol=2e-6)
    assert read.keys() == state.keys()
    for key, value in state.items():
        np.testing.assert_allclose(read[key], value, rtol=2e-5, atol=2e-6)


def test_a_prompt_goes_on_from_a_state_in_chunks(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stepper = made(workshop, MODELS["two layers"]).stepper()
    tokens = tokens_of(workshop, time=11)
    expected, last = stepped(stepper, tokens)
    monkeypatch.setattr("framework.backends.torch.stepper.CHUNK", 3)
    _, state = stepped(stepper, tokens[:, :2])
    logits, state = stepper(tokens[:, 2:], state)
    np.testing.assert_allclose(logits, expected[:, -1], rtol=1e-5, atol=1e-6)
    for key, value in last.items():
        np.testing.assert_allclose(state[key], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("layers", ["folded", "two layers", "reset before"])
def test_masked_tokens_carry_the_state(layers: str, zeros: bool, workshop: Any) -> None:
    changed = {name: {**one, "zero_output_for_mask": zeros} if one["kind"] == "gru" else one for name, one in MODELS[layers].items()}
    trainee = made(workshop, changed, mask_zero=True)
    tokens = tokens_of(workshop)
    tokens[0, :3] = tokens[1, 2] = tokens[2, -2:] = 0
    (expected,) = trainee.predict({"tokens": tokens}).values()
    stepper = trainee.stepper()
    logits, _ = stepped(stepper, tokens)
    np.testing.assert_allclose(logits, expected, rtol=2e-5, atol=2e-6)
    prompted, _ = stepper(tokens, stepper.initial_state(3))
    np.testing.assert_allclose(prompted, expected[:, -1], rtol=2e-5, atol=2e-6)
    # Masked first steps of a prompt that goes on from a state repeat the output before.
    _, state = stepped(stepper, tokens_of(workshop, time=2, seed=3))
    rest = np.zeros((3, 2), np.int32)
    np.testing.assert_allclose(stepper(rest, state)[0], stepped(stepper, rest, state)[0][:, -1], rtol=2e-5, atol=2e-6)


def test_a_step_leaves_the_state_that_it_is_given(workshop: Any) -> None:
    stepper = made(workshop, MODELS["folded"]).stepper()
    tokens = tokens_of(workshop)
    _, state = stepped(stepper, tokens[:, :2])
    kept = {key: value.clone() for key, value in state.items()}
    first, _ = stepper(tokens[:, 2], state)
    first = first.copy()
    _, _ = stepper(tokens[:, 3], state)
    again, _ = stepper(tokens[:, 2], state)
    assert np.array_equal(first, again)
    assert all(torch.equal(value, kept[key]) for key, value in state.items())


def test_rows_can_be_selected_repeated_and_dropped(workshop: Any) -> None:
    stepper = made(workshop, MODELS["two layers"]).stepper()
    tokens = tokens_of(workshop)
    _, state = stepped(stepper, tokens[:, :3])
    rows = np.array([2, 0, 2, 2])
    logits, _ = stepper(tokens[rows, 3], stepper.select(state, rows))
    logits = logits.copy()
    expected, _ = stepper(tokens[:, 3], state)
    np.testing.assert_allclose(logits, expected[rows], rtol=1e-5, atol=1e-6)


def test_the_training_state_of_a_stateful_layer_is_not_touched(workshop: Any) -> None:
    trainee = made(workshop, MODELS["stateful"])
    trainee.fit(workshop.training(workshop.Windows(1), max_epochs=1), workshop.Listener())
    layer = trainee.native.layers["gru"].gru
    kept = layer.state.clone()
    stepper = trainee.stepper()
    stepper(tokens_of(workshop, rows=2), stepper.initial_state(2))
    assert torch.equal(layer.state, kept)


def test_precision_of_the_weights(workshop: Any) -> None:
    trainee = made(workshop, MODELS["two layers"], precision="64-true")
    tokens = tokens_of(workshop)
    (expected,) = trainee.predict({"tokens": tokens}).values()
    logits, state = stepped(trainee.stepper(), tokens)
    assert logits.dtype == np.float32
    assert {value.dtype for value in state.values()} == {torch.float64}
    np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("layer", ["embedding", "gru", "before", "norm", "hidden", "logits"])
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float16", "float64"])
def test_a_layer_with_a_data_type_of_its_own(dtype: str, layer: str, workshop: Any) -> None:
    layers = {
        "gru": GRU,
        "norm": {"kind": "layer_normalization"},
        "before": {**GRU, "units": 5, "reset_after": False},
        "hidden": {"kind": "dense", "units": 7, "activation": "tanh"},
    }
    model = workshop.model_of(**layers)
    model["layers"][layer] = {**model["layers"][layer], "dtype": dtype}
    plain, typed = workshop.trainee(workshop.model_of(**layers)), workshop.trainee(model)
    tokens = tokens_of(workshop)
    (expected,) = plain.predict({"tokens": tokens}).values()
    (own,) = typed.predict({"tokens": tokens}).values()
    near = {"float64": 1e-6, "bfloat16": 3e-2, "float16": 3e-3}
    np.testing.assert_allclose(own, expected, atol=near.get(dtype.removeprefix("mixed_"), 0.0), rtol=0)
    stepper = typed.stepper()
    found, last = stepped(stepper, tokens)
    whole, state = stepper(tokens, stepper.initial_state(len(tokens)))
    # Mixed layers keep weights in float32, and steps are in the data type of the weights.
    allowed = 1e-6 if dtype.startswith("mixed") else near[dtype]
    np.testing.assert_allclose(found, expected, atol=allowed, rtol=0)
    np.testing.assert_allclose(whole, expected[:, -1], atol=allowed, rtol=0)
    for name, value in state.items():
        np.testing.assert_allclose(value.float().numpy(), last[name].float().numpy(), atol=allowed, rtol=0)
        assert value.dtype == last[name].dtype == stepper.initial_state(1)[name].dtype


def test_a_large_table_is_not_folded(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trainee = made(workshop, MODELS["folded"])
    tokens = tokens_of(workshop)
    folded, _ = stepped(trainee.stepper(), tokens)
    assert trainee.stepper().cells["gru"].table is not None
    monkeypatch.setattr("framework.backends.torch.cell.LARGEST_TABLE", 100)
    stepper = trainee.stepper()
    assert stepper.cells["gru"].table is None
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


def test_packed_and_plain_steps_agree(workshop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trainee = made(workshop, MODELS["dense between"])
    tokens = tokens_of(workshop)
    plain, _ = stepped(trainee.stepper(), tokens)
    monkeypatch.setattr("framework.backends.torch.product.PACKED_SIZE", 1)
    np.testing.assert_allclose(stepped(trainee.stepper(), tokens)[0], plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"gru": {**GRU, "go_backwards": True}}, "layer 'gru': go_backwards reads the end"),
        ({"both": {"kind": "bidirectional", "layer": GRU}}, "layer 'both': bidirectional reads the sequence backwards too"),
        (
            {
                "one": {**GRU, "return_state": True},
                "two": {**GRU, "inputs": "embedding", "initial_state": "one.state"},
                "sum": {"kind": "add", "inputs": ["one", "two"]},
            },
            "layer 'two': its initial_state is made from the tokens that are still to be decoded",
        ),
    ],
)
def test_what_has_no_step_form_is_refused_by_name(layers: dict[str, Any], message: str, workshop: Any) -> None:
    with pytest.raises(UnsupportedArgument, match=f"cannot be decoded step by step: {message}"):
        workshop.trainee(workshop.model_of(**layers)).stepper()


def test_a_model_of_two_inputs_is_refused(workshop: Any) -> None:
    model = workshop.model_of()
    model["inputs"]["more"] = {"dtype": "float32", "shape": [None, 3]}
    model["layers"]["embedding"]["inputs"] = "tokens"
    model["layers"]["wide"] = {"kind": "concatenate", "inputs": ["embedding", "more"]}
    model["layers"]["logits"]["inputs"] = "wide"
    model["inputs"]["tokens"].pop("batch_size")
    with pytest.raises(UnsupportedArgument, match="a model with one input; this one has tokens, more"):
        workshop.trainee(model).stepper()


def test_a_prompt_needs_a_token(workshop: Any) -> None:
    stepper = made(workshop, MODELS["folded"]).stepper()
    with pytest.raises(ValueError, match="at least one token"):
        stepper(np.zeros((2, 0), np.int32), stepper.initial_state(2))


def test_a_cell_that_cannot_be_prepared_is_told(workshop: Any) -> None:
    trainee = made(workshop, MODELS["reset before"])
    gru = trainee.native.layers["gru"].gru
    assert not DecodingCell.can_fold(gru, trainee.native.layers["embedding"].embeddings)
    assert not DecodingCell(gru).prepared
