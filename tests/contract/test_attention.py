"""Attending decoders on both backends: their numbers against an oracle, their gradients, their steps, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from attention_models import DECODERS, GRU, over_vectors, sentences, translation, vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.attention_numpy import decode
from small_models import Listener, One, Workshop, slopes

from framework.data.batches import Batch
from framework.errors import UnsupportedArgument

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]


@pytest.fixture(params=BACKENDS)
def workshop(request: pytest.FixtureRequest) -> Workshop:
    return Workshop(request.param)


def own_weights(trainee: Any, layer: str = "decoder") -> dict[str, np.ndarray]:
    """A layer's weights by their names within it."""
    return {name.removeprefix(f"{layer}/"): value for name, value in trainee.weights().items() if name.startswith(f"{layer}/")}


def taught(given: dict[str, np.ndarray], seed: int = 1) -> Batch:
    random = np.random.default_rng(seed)
    return Batch(given, random.integers(0, 11, given["target"].shape), random.random(given["target"].shape).astype(np.float32))


def cases(every: Iterable[str], few: Sequence[str]) -> dict[str, Any]:
    """Arguments of ``parametrize``: each case on torch, and on TensorFlow, whose graphs take a second each, a few that differ in kind."""
    pairs = [*(("torch", name) for name in every), *(("tensorflow", name) for name in few)]
    values = [pytest.param(backend, name, marks=getattr(pytest.mark, backend), id=f"{backend}-{name}") for backend, name in pairs]
    return {"argnames": ("workshop", "name"), "argvalues": values, "indirect": ["workshop"]}


# --- numbers


@pytest.mark.parametrize(**cases(DECODERS, list(DECODERS)))
def test_the_numbers_are_the_oracles(workshop: Workshop, name: str) -> None:
    decoder = DECODERS[name]
    cells = decoder.get("cells") or [decoder["cell"]]
    starts = len(cells) if decoder.get("carry_state", True) else 1
    trainee, given = workshop.trainee(over_vectors(decoder, starts), precision="64-true"), vectors(starts)
    found = trainee.predict(given)
    first = [given[f"first_{number}"].astype(np.float64) for number in range(starts)] or None
    x, places = given["x"].astype(np.float64), given["places"].astype(np.float64)
    expected = decode(x, places, own_weights(trainee), decoder, first, (x != 0).any(-1), (places != 0).any(-1))
    for output, value in vars(expected).items():
        np.testing.assert_allclose(found[output], value, rtol=0, atol=1e-6, err_msg=output)  # predictions are float32


CHOICES = (
    st.fixed_dictionaries(
        {
            "attention": st.sampled_from([{"kind": kind} for kind in ("additive", "dot", "general", "concat")]),
            "attend": st.sampled_from(["before_cell", "after_cell"]),
            "input_feeding": st.booleans(),
            "attention_vector": st.sampled_from([None, {"units": 6}]),
            "cells": st.lists(st.builds(lambda after: {**GRU, "reset_after": after}, st.booleans()), min_size=1, max_size=2),
            "carry_state": st.booleans(),
            "mask_memory": st.booleans(),
        }
    )
    .filter(lambda one: one["attend"] == "after_cell" or not one["input_feeding"])
    .filter(lambda one: one["attend"] == "before_cell" or one["carry_state"])
)


@pytest.mark.torch
@settings(max_examples=25, deadline=None)
@given(decoder=CHOICES, seed=st.integers(0, 99))
def test_any_settings_give_the_oracles_numbers(decoder: dict[str, Any], seed: int) -> None:
    trainee, given = Workshop("torch").trainee(over_vectors(decoder), seed=seed, precision="64-true"), vectors(seed=seed)
    x, places = given["x"].astype(np.float64), given["places"].astype(np.float64)
    expected = decode(x, places, own_weights(trainee), decoder, None, (x != 0).any(-1), (places != 0).any(-1))
    for output, value in vars(expected).items():
        np.testing.assert_allclose(trainee.predict(given)[output], value, rtol=0, atol=1e-6, err_msg=output)


@pytest.mark.parametrize("kind", ["additive", "general"])
def test_attention_alone_is_a_decoders_attention_after_its_cell(workshop: Workshop, kind: str) -> None:
    score = {"kind": kind}
    joined = workshop.trainee(over_vectors({"cell": GRU, "attend": "after_cell", "attention": score}), precision="64-true")
    model = over_vectors({"cell": GRU})
    model["layers"]["gru"] = {**GRU, "inputs": "steps", "return_sequences": True}
    model["layers"]["decoder"] = {"kind": "attention", "inputs": "gru", "memory": "memory", "attention": score}
    model["outputs"] = {"context": "decoder", "attention": "decoder.attention"}
    weights = {name.replace("decoder/cell/", "gru/"): value for name, value in joined.weights().items()}
    apart = workshop.trainee(model, weights=weights, precision="64-true")
    whole, given = joined.predict(vectors()), vectors()
    counts = (given["x"] != 0).any(-1)[:, :, None]
    for name, value in apart.predict(given).items():
        np.testing.assert_allclose(value * counts, whole[name], atol=1e-6, err_msg=name)


# --- gradients


@pytest.mark.parametrize(**cases(DECODERS, ["additive"]))
def test_gradients_are_slopes_of_the_loss(workshop: Workshop, name: str) -> None:
    trainee, batch = workshop.trainee(translation(DECODERS[name]), precision="64-true"), taught(sentences())
    found, measured = slopes(trainee, batch)
    assert found == pytest.approx(measured, rel=1e-6)


def test_what_an_optimizer_keeps_is_named_by_the_weight_that_it_is_of(workshop: Workshop) -> None:
    """Keras puts the layers of two branches in an order of its own."""
    trainee, batch = workshop.trainee(translation()), taught(sentences())
    before, (_, gradients) = trainee.weights(), trainee.loss_and_gradients(batch)
    trainee.fit(workshop.training(One(batch), max_epochs=1), Listener())
    state = trainee.state()
    slots = [name for name in state if name.startswith("optimizer/") and name.removeprefix("optimizer/").partition("/")[2] in before]
    assert len(slots) == 2 * len(before)
    for name in slots:
        slot, _, weight = name.removeprefix("optimizer/").partition("/")
        assert state[name].shape == before[weight].shape
        if slot == "momentum":
            np.testing.assert_allclose(state[name], 0.1 * gradients[weight], atol=1e-6, err_msg=weight)


def test_a_state_that_is_not_carried_gives_the_recurrent_kernel_no_gradient_and_the_bias_one(workshop: Workshop) -> None:
    _, gradients = workshop.trainee(translation(DECODERS["the tutorial's"])).loss_and_gradients(taught(sentences()))
    assert not gradients["decoder/cell/recurrent_kernel"].any()
    assert gradients["decoder/cell/bias"][1, 12:].all()
    assert gradients["encoder/recurrent_kernel"].any()
    _, carried = workshop.trainee(translation()).loss_and_gradients(taught(sentences()))
    assert carried["decoder/cell/recurrent_kernel"].all()


def test_padding_of_the_memory_counts_only_where_it_is_not_masked(workshop: Workshop) -> None:
    given = sentences()
    longer = {**given, "source": np.pad(given["source"], ((0, 0), (0, 3)))}
    for mask_memory in (True, False):
        trainee = workshop.trainee(translation({"cell": GRU, "mask_memory": mask_memory}))
        [one], [other] = trainee.predict(given).values(), trainee.predict(longer).values()
        assert np.allclose(one, other, atol=1e-6) == mask_memory


# --- how it decodes


MODELS = {
    **{name: translation(decoder) for name, decoder in DECODERS.items()},
    "from zeros": translation({"cell": GRU, "initial_state": None}),
    "padded targets": translation(),
    "contexts read too": translation(both={"kind": "concatenate", "inputs": ["decoder", "decoder.context", "target_embedding"]}),
    "attention after a gru": translation(
        {"kind": "gru", "units": 6, "return_sequences": True, "memory": None},
        attend={"kind": "attention", "inputs": "decoder", "memory": "encoder"},
    ),
}
MODELS["attention after a gru"]["layers"]["decoder"].pop("memory")
MODELS["padded targets"]["layers"]["target_embedding"]["mask_zero"] = True


FEW = ["the tutorial's", "general", "two cells", "after", "vector fed", "from zeros", "padded targets", "attention after a gru"]


@pytest.mark.parametrize(**cases(MODELS, FEW))
def test_steps_are_what_it_is_taught_in_groups_of_any_width(workshop: Workshop, name: str) -> None:
    model, given = MODELS[name], sentences()
    trainee = workshop.trainee(model)
    [whole] = trainee.predict(given).values()
    target, stepper = given["target"], trainee.stepper()
    start = stepper.start({"source": given["source"]}, 3)
    read = stepper.step(target, start)
    np.testing.assert_allclose(read.logits, whole[:, -1], rtol=0, atol=1e-6)
    twice = np.repeat(np.arange(3), 2)
    state = stepper.select(start, twice, width=2)
    kept = {name: id(value) for name, value in start.constant.items()}
    assert kept and {name: id(value) for name, value in state.constant.items()} == kept  # one copy of the memory serves both
    attending = "attend" if "attend" in model["layers"] else "decoder"
    for step in range(target.shape[1]):
        logits, state, watched = stepper.step(target[twice, step], state)
        np.testing.assert_allclose(logits, whole[twice, step], rtol=0, atol=1e-6)
        assert watched[attending].shape == (6, 5) and watched[attending].dtype == np.float32
        np.testing.assert_allclose(watched[attending].sum(-1), 1.0, atol=1e-6)
    np.testing.assert_allclose(watched[attending], read.watched[attending][twice], atol=1e-6)
    last = stepper.select(state, np.array([5, 4]), width=2)
    logits, _, _ = stepper.step(target[[2, 2], 0], last)
    every, _, _ = stepper.step(np.repeat(target[[2], 0], 6), state)
    np.testing.assert_allclose(logits, every[[5, 4]], rtol=0, atol=1e-6)


def test_what_is_attended_to_must_be_there_before_the_first_step(workshop: Workshop) -> None:
    model = translation(attend={"kind": "attention", "inputs": "decoder", "memory": "target_embedding"})
    message = "layer 'attend': its memory is made from the tokens that are still to be decoded"
    for decoded in ("target", None):
        with pytest.raises(UnsupportedArgument, match=message):
            workshop.trainee(model).stepper(decoded)


# --- encoders of both directions, and images


def both_ways(merge_mode: str, **between: Any) -> dict[str, Any]:
    model = translation({"cell": GRU, "initial_state": "bridge" if between else "encoder.state"}, between=between)
    model["layers"]["encoder"] = {
        "kind": "bidirectional",
        "layer": {**GRU, "return_sequences": True},
        "merge_mode": merge_mode,
        "return_state": True,
    }
    return model


@pytest.mark.parametrize("merge_mode", ["concat", "sum"])
def test_an_encoder_of_both_directions_hands_its_states_over(workshop: Workshop, merge_mode: str) -> None:
    bridge = {"bridge": {"kind": "dense", "inputs": "encoder.state", "units": 6, "activation": "tanh"}} if merge_mode == "concat" else {}
    trainee, given = workshop.trainee(both_ways(merge_mode, **bridge)), sentences()
    [whole] = trainee.predict(given).values()
    stepper = trainee.stepper()
    state = stepper.start({"source": given["source"]}, 3)
    for step in range(given["target"].shape[1]):
        logits, state, _ = stepper.step(given["target"][:, step], state)
        np.testing.assert_allclose(logits, whole[:, step], rtol=0, atol=1e-6)


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave"])
def test_the_state_of_both_directions_is_their_last_outputs_joined(workshop: Workshop, merge_mode: str) -> None:
    layer = {"kind": "bidirectional", "layer": GRU, "merge_mode": merge_mode, "return_state": True}
    model = {
        "inputs": {"x": {"dtype": "float32", "shape": [None, 4]}},
        "layers": {"both": layer},
        "outputs": {"output": "both", "state": "both.state"},
    }
    found = workshop.trainee(model).predict({"x": vectors()["x"]})
    np.testing.assert_array_equal(found["output"], found["state"])


def test_places_of_an_image_are_attended_to_from_a_state_of_zeros(workshop: Workshop) -> None:
    """The captioning tutorial's form: no encoder over time, no first state, the state is not carried."""
    model = translation({"cell": GRU, "memory": "places", "initial_state": None, "carry_state": False})
    model["inputs"] = {"image": {"dtype": "float32", "shape": [4, 3]}, "target": {"dtype": "int32", "shape": [None]}}
    model["layers"] = {
        "places": {"kind": "dense", "inputs": "image", "units": 6, "activation": "relu"},
        **{name: layer for name, layer in model["layers"].items() if name in ("target_embedding", "decoder", "logits")},
    }
    trainee = workshop.trainee(model)
    image, target = np.random.default_rng(0).normal(size=(3, 4, 3)).astype(np.float32), sentences()["target"]
    [whole] = trainee.predict({"image": image, "target": target}).values()
    stepper = trainee.stepper()
    state = stepper.start({"image": image}, 3)
    for step in range(target.shape[1]):
        logits, state, watched = stepper.step(target[:, step], state)
        np.testing.assert_allclose(logits, whole[:, step], rtol=0, atol=1e-6)
    assert watched["decoder"].shape == (3, 4)


# --- one meaning on both


@pytest.mark.torch
@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "name",
    [
        "the tutorial's",
        "vector fed",
        "doubly stochastic",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("additive", "dropped", "two cells, state not carried", "after")),
    ],
)
def test_both_backends_train_alike(name: str) -> None:
    more = {
        "dropped": {"cell": {**GRU, "dropout": 0.2, "recurrent_dropout": 0.3}},
        "doubly stochastic": {"cell": GRU, "doubly_stochastic": 0.5},
    }
    decoder = more.get(name) or DECODERS[name]
    results = []
    for backend in ("torch", "tensorflow"):
        workshop, listener = Workshop(backend), Listener()
        trainee = workshop.trainee(translation(decoder), precision="64-true")
        loss, gradients = trainee.loss_and_gradients(taught(sentences()))
        trainee.fit(workshop.training(One(taught(sentences())), max_epochs=3, precision="64-true"), listener)
        results.append((np.array([loss, *(one.loss for one in listener.steps)]), gradients, trainee.weights()))
    (losses, gradients, weights), (other_losses, other_gradients, other_weights) = results
    np.testing.assert_allclose(losses, other_losses, rtol=1e-9)
    assert gradients.keys() == other_gradients.keys()
    for key, value in gradients.items():
        np.testing.assert_allclose(value, other_gradients[key], rtol=0, atol=1e-10, err_msg=key)
        if key != "decoder/attention/score/bias":  # a softmax does not see it: its gradient is zero, or what rounding leaves
            np.testing.assert_allclose(weights[key], other_weights[key], rtol=0, atol=1e-8, err_msg=key)


@pytest.mark.parametrize("masked", [False, True])
def test_places_that_are_left_out_cost_what_the_formula_says(masked: bool, workshop: Workshop) -> None:
    batch = sentences()
    batch["target"][0, 2:] = 0
    model = translation({"cell": GRU, "doubly_stochastic": 0.5})
    model["layers"]["target_embedding"]["mask_zero"] = masked
    model["outputs"] = {"output": "logits", "attention": "decoder.attention"}
    native = workshop.trainee(model).native
    if hasattr(native, "network"):
        torch = pytest.importorskip("torch")
        found = native({name: torch.from_numpy(value) for name, value in batch.items()})
        penalties = native.network.losses()
        attention = found["attention"].detach().numpy().astype(np.float64)
    else:
        found = native(batch)
        penalties = native.losses
        attention = found["attention"].numpy().astype(np.float64)
    assert attention.shape == (3, 4, 5) and (attention[0, 2:].sum() == 0) == masked
    expected = 0.5 * ((1 - attention.sum(axis=1)) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(sum(np.asarray(one.detach() if hasattr(one, "detach") else one) for one in penalties), expected, rtol=1e-6)


def test_a_state_that_is_not_carried_is_multiplied_with_nothing(workshop: Workshop) -> None:
    model = translation(DECODERS["the tutorial's"])
    weights = workshop.start(workshop.plan(model))
    found = []
    for kernel in (weights["decoder/cell/recurrent_kernel"], np.full((6, 18), np.nan, np.float32)):
        trainee = workshop.trainee(model, weights={**weights, "decoder/cell/recurrent_kernel": kernel})
        stepper = trainee.stepper("target")
        found.append(stepper.step(np.array([1, 2, 3]), stepper.start({"source": sentences()["source"]}, 3)).logits.copy())
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-7)
