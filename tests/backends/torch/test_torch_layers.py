"""Layers: what is honoured, what is refused by name, and what only training shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from small_models import VOCABULARY, Listener, Windows, Workshop, language_model

from framework.backends.base.layer_builders import LAYER_BUILDERS
from framework.backends.torch.backend import TorchBackend
from framework.backends.torch.layers.base import Layer, Setting, single
from framework.backends.torch.layers.table import build_layer, builds
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer, PlannedTensor, Reference
from framework.errors import BackendUnavailable, CheckpointError, DataError, UnsupportedArgument
from framework.registry import Registry
from framework.spec.backend import BackendSpec
from framework.spec.layers.base import LayerSpec
from framework.spec.trainer import TrainerSpec

pytestmark = pytest.mark.torch

GRU = {"kind": "gru", "units": 6, "return_sequences": True}


def layer_of(workshop: Workshop, config: dict[str, Any], seed: int = 3) -> Any:
    return workshop.trainee(language_model(it=config), seed=seed).native.layers["it"]


def dropped(layer: Any, x: torch.Tensor) -> torch.Tensor:
    return layer([Signal(x)])["output"].value


def test_dropout_drops_the_rate_and_keeps_the_mean(workshop: Workshop) -> None:
    layer = layer_of(workshop, {"kind": "dropout", "rate": 0.3}).train()
    out = dropped(layer, torch.ones(100, 50, 20))
    share = float((out == 0).float().mean())
    assert share == pytest.approx(0.3, abs=0.005)
    np.testing.assert_allclose(out[out != 0], 1 / 0.7, rtol=1e-6)
    assert float(out.mean()) == pytest.approx(1.0, abs=0.01)
    # Every value on its own: no row, step or feature is dropped as a whole.
    assert all(float((out == 0).float().mean(dim).std()) < 0.1 for dim in (0, 1))
    assert torch.equal(dropped(layer.eval(), torch.ones(2, 3)), torch.ones(2, 3))


def test_dropout_draws_anew_at_every_step_and_alike_for_one_seed(workshop: Workshop) -> None:
    x = torch.ones(4, 50)
    one, same, other, seeded, seeded_too = (
        layer_of(workshop, config, seed).train()
        for config, seed in [
            ({"kind": "dropout", "rate": 0.5}, 3),
            ({"kind": "dropout", "rate": 0.5}, 3),
            ({"kind": "dropout", "rate": 0.5}, 4),
            ({"kind": "dropout", "rate": 0.5, "seed": 8}, 3),
            ({"kind": "dropout", "rate": 0.5, "seed": 8}, 4),
        ]
    )
    first, second = dropped(one, x), dropped(one, x)
    assert not torch.equal(first, second)
    assert torch.equal(first, dropped(same, x))
    assert not torch.equal(first, dropped(other, x))
    mine = dropped(seeded, x)
    assert torch.equal(mine, dropped(seeded_too, x))
    assert not torch.equal(mine, first)


def test_dropout_does_not_depend_on_torchs_own_random_numbers_and_takes_one_of_them(workshop: Workshop) -> None:
    one, same = (layer_of(workshop, {"kind": "dropout", "rate": 0.5}).train() for _ in range(2))
    torch.manual_seed(1)
    first = dropped(one, torch.ones(40))
    after = torch.random.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(dropped(same, torch.ones(40)), first)
    torch.manual_seed(1)
    torch.randint(2**63 - 1, ())
    assert torch.equal(torch.random.get_rng_state(), after)
    dropped(one.eval(), torch.ones(40))
    assert torch.equal(torch.random.get_rng_state(), after)


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_dropout_of_nothing_and_of_everything(rate: float, expected: float, workshop: Workshop) -> None:
    layer = layer_of(workshop, {"kind": "dropout", "rate": rate}).train()
    assert torch.equal(dropped(layer, torch.ones(3, 4)), torch.full((3, 4), expected))


@pytest.mark.parametrize(
    "config",
    [
        {**GRU},
        {"kind": "bidirectional", "layer": {**GRU, "units": 3}},
        {"kind": "dense", "units": 4},
        {"kind": "layer_normalization"},
    ],
    ids=lambda config: config["kind"],
)
def test_a_frozen_layer_is_not_trained(config: dict[str, Any], workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(it={**config, "trainable": False}))
    before = trainee.weights()
    trainee.fit(workshop.training(Windows(2), max_epochs=1), Listener())
    after = trainee.weights()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {name for name in before if not name.startswith("it/")}
    _, gradients = trainee.loss_and_gradients(next(Windows(1).epoch(0)))
    assert set(gradients) == changed


def test_one_direction_can_be_frozen(workshop: Workshop) -> None:
    config = {"kind": "bidirectional", "layer": GRU, "backward_layer": {**GRU, "go_backwards": True, "trainable": False}}
    trainee = workshop.trainee(language_model(it=config))
    _, gradients = trainee.loss_and_gradients(next(Windows(1).epoch(0)))
    assert {name for name in gradients if name.startswith("it/")} == {"it/forward/kernel", "it/forward/recurrent_kernel", "it/forward/bias"}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize(("dtype", "weights", "computed"), [
    ("float64", torch.float64, torch.float64),
    ("float32", torch.float32, torch.float32),
    ("bfloat16", torch.bfloat16, torch.bfloat16),
    ("mixed_bfloat16", torch.float32, torch.bfloat16),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["dense", "gru", "bidirectional"])
def test_a_layers_own_dtype(precision: str, dtype: str, weights: torch.dtype, computed: torch.dtype, kind: str, workshop: Workshop) -> None:
    config = {"dense": {"kind": "dense", "units": 4}, "gru": GRU, "bidirectional": {"kind": "bidirectional", "layer": GRU}}[kind]
    trainee = workshop.trainee(language_model(it={**config, "dtype": dtype}), precision=precision)
    layer = trainee.native.layers["it"]
    assert {weight.dtype for weight in layer.parameters()} == {weights}
    seen = []
    layer.register_forward_hook(lambda module, read, given: seen.append(given["output"].value.dtype))
    listener = Listener()
    trainee.fit(workshop.training(Windows(1), max_epochs=1, precision=precision), listener)
    assert seen == [computed]
    assert listener.steps[0].loss == pytest.approx(np.log(VOCABULARY), rel=0.05)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "dense", "units": 4, "dtype": "flaot32"}, r"layer 'it': dtype 'flaot32' is not one of .*; did you mean 'float32'\?"),
        ({"kind": "bidirectional", "layer": {**GRU, "stateful": True}}, "layer 'it': layer.stateful is not supported inside bidirectional"),
        (
            {"kind": "bidirectional", "layer": {**GRU, "dtype": "float64"}},
            "layer 'it': layer.dtype is not supported; set the dtype of 'it'",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(config: dict[str, Any], message: str, workshop: Workshop) -> None:
    with pytest.raises(UnsupportedArgument, match=message):
        workshop.trainee(language_model(it=config))


def test_a_gru_that_must_run_on_cudnn_is_refused_with_every_reason(workshop: Workshop) -> None:
    plan = workshop.plan(language_model(it={**GRU, "use_cudnn": True, "reset_after": False, "activation": "relu"}))
    with pytest.raises(UnsupportedArgument) as caught:
        TorchBackend().build(plan, {}, TrainerSpec(), BackendSpec(device="cpu"))
    assert all(word in str(caught.value) for word in ("it", "reset_after", "activation"))


def test_weights_of_another_model_are_refused(workshop: Workshop) -> None:
    plan = workshop.plan(language_model(gru=GRU))
    with pytest.raises(CheckpointError, match="do not fit the model: 6 missing"):
        TorchBackend().build(plan, {}, TrainerSpec(), BackendSpec(device="cpu"))


class OwnSpec(LayerSpec):
    kind: str = "twice"


class Twice(Layer):
    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        value, mask = inputs[0]
        return single(Signal(2.0 * value, mask))


def planned(kind: str) -> PlannedLayer:
    tensor = PlannedTensor((None, 3))
    return PlannedLayer("own", OwnSpec(kind=kind), {"inputs": (Reference("x"),)}, (tensor,), {"output": tensor})


def test_a_kind_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LAYER_BUILDERS["torch"], "_builders", Registry("model.layers", "torch layer"))
    builds("twice")(Twice)
    layer = build_layer(planned("twice"), Setting())
    assert dropped(layer, torch.ones(2, 3)).tolist() == [[2.0] * 3] * 2
    with pytest.raises(DataError, match="two plug-ins register the torch layer 'twice'"):
        builds("twice")(lambda one, setting: Twice(one, setting))


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(
        UnsupportedArgument, match=r"model\.layers\.own\.kind: the torch backend builds no kind 'denze', only .*did you mean 'dense'\?"
    ):
        build_layer(planned("denze"), Setting())


@pytest.mark.parametrize("name", ["keys", "training", "a.b", "pop"])
def test_layers_may_have_any_name(name: str, workshop: Workshop) -> None:
    model = language_model()
    model["layers"] = {"embedding": model["layers"]["embedding"], name.replace(".", "_"): GRU, "logits": model["layers"]["logits"]}
    trainee = workshop.trainee(model)
    assert f"{name.replace('.', '_')}/kernel" in trainee.weights()
    assert trainee.evaluate(Windows(1)).loss == pytest.approx(np.log(VOCABULARY), rel=0.05)


def test_configuring_sets_threads_and_random_numbers() -> None:
    threads = torch.get_num_threads()
    try:
        TorchBackend().configure(BackendSpec(device="cpu", threads=2), seed=5)
        first = torch.rand(3)
        assert torch.get_num_threads() == 2
        TorchBackend().configure(BackendSpec(device="cpu"), seed=5)
        assert torch.equal(first, torch.rand(3))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(BackendUnavailable, match=r"backend.device=gpu: torch sees no CUDA GPU \(.*\); backend.device=cpu or auto"):
        TorchBackend().configure(BackendSpec(device="gpu"), seed=0)
    TorchBackend().configure(BackendSpec(device="auto"), seed=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_training_on_a_gpu(workshop: Workshop) -> None:
    from framework.weights.initializers import initial_weights

    layers = {"drop": {"kind": "dropout", "rate": 0.2}, "gru": {**GRU, "stateful": True}}
    plan = workshop.plan(language_model(**layers))
    spec = TrainerSpec(max_epochs=2, log_every_n_steps=3)
    trainee = TorchBackend().build(plan, initial_weights(plan), spec, BackendSpec(device="gpu"))
    listener = Listener()
    trainee.fit(workshop.training(Windows(4), Windows(1), log_every_n_steps=3), listener)
    assert [one.loss is not None for one in listener.steps] == [False, False, True, True, False, True, False, True]
    assert listener.epochs[-1].val_loss == pytest.approx(trainee.evaluate(Windows(1)).loss, rel=1e-5)
    stepper = trainee.stepper()
    logits = stepper.step(np.ones(2, np.int32), stepper.start({}, 2)).logits
    assert np.isfinite(logits).all()
