"""The native model under a Lightning Trainer of one's own, and what a trainee measures and leaves alone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning
import torch
from small_models import ROWS, TIME, VOCABULARY, Listener, Windows, Workshop, language_model
from torch.utils.data import DataLoader, TensorDataset

from framework.backends.torch.layers.base import Setting
from framework.backends.torch.module import GraphModule
from framework.errors import CheckpointError, InputError
from framework.spec.optimizer import SGDSpec

pytestmark = pytest.mark.torch

GRU = {"kind": "gru", "units": 6, "return_sequences": True}


def loader(batches: int = 3) -> Any:
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, VOCABULARY, (batches * ROWS, TIME + 1)))
    return DataLoader(TensorDataset(tokens[:, :-1], tokens[:, 1:]), batch_size=ROWS)


def own_trainer(folder: Path, **options: Any) -> pytorch_lightning.Trainer:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    return pytorch_lightning.Trainer(default_root_dir=folder, **{**quiet, **options})


@pytest.mark.filterwarnings("ignore")
def test_any_lightning_trainer_trains_it(workshop: Workshop, tmp_path: Path) -> None:
    module = workshop.trainee(language_model(drop={"kind": "dropout", "rate": 0.1}, gru=GRU)).native
    module.learning_rate = lambda step: 0.01 + step
    before = copy.deepcopy(module.state_dict())
    trainer = own_trainer(tmp_path, max_epochs=2, gradient_clip_val=1.0, enable_checkpointing=True)
    trainer.fit(module, loader(), loader(1))
    assert {"loss", "val_loss"} <= set(trainer.callback_metrics)
    assert module.steps == 6
    assert trainer.optimizers[0].param_groups[0]["lr"] == 5.01
    assert any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())
    (metrics,) = trainer.validate(module, loader(1), verbose=False)
    (predicted,) = trainer.predict(module, loader(1))
    assert predicted.shape == (ROWS, TIME, VOCABULARY)
    _, targets = next(iter(loader(1)))
    assert metrics["val_loss"] == pytest.approx(
        float(torch.nn.functional.cross_entropy(predicted.flatten(0, 1), targets.flatten())), rel=1e-6
    )


@pytest.mark.filterwarnings("ignore")
def test_lightnings_own_checkpoint_goes_on_to_the_bit(workshop: Workshop, tmp_path: Path) -> None:
    def module() -> GraphModule:
        made = workshop.trainee(language_model(drop={"kind": "dropout", "rate": 0.3}, gru={**GRU, "dropout": 0.2})).native
        made.learning_rate = lambda step: 0.01 / (1 + step)
        return made

    whole, parts = module(), module()
    own_trainer(tmp_path, max_epochs=3, enable_checkpointing=False).fit(whole, loader())
    trainer = own_trainer(tmp_path, max_epochs=1, enable_checkpointing=False)
    trainer.fit(parts, loader())
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    resumed = module()
    own_trainer(tmp_path, max_epochs=3, enable_checkpointing=False).fit(resumed, loader(), ckpt_path=tmp_path / "one.ckpt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert resumed.steps == 9


def test_it_is_a_module_like_any_other(workshop: Workshop) -> None:
    plan = workshop.plan(language_model(gru=GRU))
    module = GraphModule(plan)
    assert list(module.layers) == ["embedding", "gru", "logits"]
    assert {name for name, _ in module.named_parameters()} == {
        "network.layers.embedding.embeddings",
        "network.layers.gru.gru.kernel",
        "network.layers.gru.gru.recurrent_kernel",
        "network.layers.gru.gru.bias",
        "network.layers.logits.kernel",
        "network.layers.logits.bias",
    }
    other = GraphModule(plan, Setting(dtype=torch.float64))
    other.load_state_dict(module.state_dict())
    tokens = torch.ones(2, 5, dtype=torch.int64)
    assert other(tokens).dtype == torch.float64
    assert torch.equal(module({"tokens": tokens}), module(tokens))
    assert copy.deepcopy(module)(tokens).shape == (2, 5, VOCABULARY)
    with pytest.raises(InputError, match=r"no input 'token', only tokens; did you mean 'tokens'\?"):
        module({"tokens": tokens, "token": tokens})
    with pytest.raises(InputError, match="the model input 'tokens' is missing; given: none"):
        module({})


def test_weights_under_the_name_of_before_are_taken(workshop: Workshop) -> None:
    module, other = workshop.trainee(language_model(gru=GRU)).native, GraphModule(workshop.plan(language_model(gru=GRU)))
    held = torch.nn.ModuleDict({"inner": other})
    before = {f"inner.{name.replace('network.', 'graph.', 1)}": value for name, value in module.state_dict().items()}
    held.load_state_dict(before)
    for name, value in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_several_outputs_come_by_name(workshop: Workshop) -> None:
    model = language_model(gru={**GRU, "return_state": True})
    model["outputs"] = {"output": "logits", "last": "gru.state"}
    trainee = workshop.trainee(model)
    batch = next(Windows(1).epoch(0))
    found = trainee.predict(batch.inputs)
    assert {name: value.shape for name, value in found.items()} == {"output": (4, 6, 11), "last": (4, 6)}
    assert set(trainee.native(torch.from_numpy(batch.inputs["tokens"].copy()))) == {"output", "last"}
    loss, gradients = trainee.loss_and_gradients(batch)
    assert loss == pytest.approx(np.log(VOCABULARY), rel=0.05)
    assert set(gradients) == set(trainee.weights())


def finite_difference(trainee: Any, batch: Any, name: str, place: tuple[int, ...], step: float = 1e-5) -> float:
    losses = []
    for sign in (1, -1):
        weights = trainee.weights()
        weights[name][place] += sign * step
        trainee.set_weights(weights)
        losses.append(trainee.loss_and_gradients(batch)[0])
        weights[name][place] -= sign * step
        trainee.set_weights(weights)
    return (losses[0] - losses[1]) / (2 * step)


def test_gradients_are_slopes_of_the_loss_without_dropout(workshop: Workshop) -> None:
    layers = {"drop": {"kind": "dropout", "rate": 0.5}, "gru": {**GRU, "dropout": 0.5}}
    trainee = workshop.trainee(language_model(**layers), precision="64-true")
    batch = next(Windows(1, weighted=True).epoch(0))
    _, gradients = trainee.loss_and_gradients(batch)
    for name, place in [("gru/kernel", (1, 2)), ("gru/bias", (1, 7)), ("logits/bias", (3,)), ("embedding/embeddings", (4, 0))]:
        assert gradients[name][place] == pytest.approx(finite_difference(trainee, batch, name, place), rel=1e-6, abs=1e-9)


def test_measuring_changes_nothing(workshop: Workshop) -> None:
    layers = {"drop": {"kind": "dropout", "rate": 0.5}, "gru": {**GRU, "stateful": True, "dropout": 0.5}}
    trainee = workshop.trainee(language_model(**layers))
    trainee.fit(workshop.training(Windows(2), max_epochs=1), Listener())
    trainee.native.train()
    before = trainee.state()
    gradients = [weight.grad for weight in trainee.native.parameters()]
    batch = next(Windows(1, batch_size=2).epoch(0))
    values = [trainee.loss_and_gradients(batch)[0], trainee.evaluate(Windows(1, batch_size=2)).loss]
    trainee.predict(batch.inputs)
    assert values[0] == pytest.approx(values[1], rel=1e-6) == trainee.loss_and_gradients(batch)[0]
    after = trainee.state()
    assert all(value.tobytes() == after[name].tobytes() for name, value in before.items())
    assert before.keys() == after.keys()
    assert all(one is weight.grad for one, weight in zip(gradients, trainee.native.parameters(), strict=True))
    assert trainee.native.training


def test_weights_go_out_and_in_as_copies(workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(gru={**GRU, "dtype": "bfloat16"}))
    weights = trainee.weights()
    assert list(weights) == [
        "embedding/embeddings", "gru/kernel", "gru/recurrent_kernel", "gru/bias", "logits/kernel", "logits/bias",
    ]  # fmt: skip
    assert weights["gru/kernel"].dtype == np.float32
    assert next(trainee.native.layers["gru"].parameters()).dtype == torch.bfloat16
    weights["logits/bias"][:] = 5.0
    assert not (trainee.weights()["logits/bias"] == 5.0).any()
    trainee.set_weights(weights)
    assert (trainee.weights()["logits/bias"] == 5.0).all()
    with pytest.raises(CheckpointError, match=r"logits/bias\s+\(11,\)\s+missing"):
        trainee.set_weights({name: value for name, value in weights.items() if name != "logits/bias"})


def test_reset_states(workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(gru={**GRU, "stateful": True}))
    trainee.reset_states()
    trainee.fit(workshop.training(Windows(1), max_epochs=1), Listener())
    assert trainee.state()["states/gru/0"].any()
    trainee.reset_states()
    assert not trainee.state()["states/gru/0"].any()


def test_penalties_are_optimized_but_not_reported(workshop: Workshop) -> None:
    penalty = {"class_name": "l2", "config": {"l2": 100.0}}
    plain, heavy = (
        workshop.trainee({**language_model(gru={**GRU, "kernel_regularizer": one}), "outputs": "logits"}) for one in (None, penalty)
    )
    batch = next(Windows(1).epoch(0))
    (loss, gradients), (same, pulled) = plain.loss_and_gradients(batch), heavy.loss_and_gradients(batch)
    assert loss == same
    expected = gradients["gru/kernel"] + 200.0 * plain.weights()["gru/kernel"]
    np.testing.assert_allclose(pulled["gru/kernel"], expected, rtol=1e-4)
    listener = Listener()
    heavy.fit(workshop.training(Windows(1), optimizer=SGDSpec(), rate=lambda step: 0.0, max_epochs=1), listener)
    assert listener.steps[0].loss == pytest.approx(loss, rel=1e-6)
