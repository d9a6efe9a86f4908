"""Gradient checkpointing runs parts of a model again: dropout and kept states must be what they were."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from small_models import Listener, Windows, Workshop, language_model
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from framework.backends.torch import GRU
from framework.backends.torch.recomputation import LATEST, LATEST_VALUES, in_backward
from framework.errors import UnsupportedArgument

pytestmark = pytest.mark.torch

Run = Callable[..., Tensor]


def in_two_depths(layer: Run, x: Tensor) -> Tensor:
    inner = partial(checkpoint, layer, use_reentrant=False)
    result: Tensor = checkpoint(inner, x, use_reentrant=False)
    return result


def mixed_depths(layer: Run, x: Tensor) -> Tensor:
    inner = partial(checkpoint, layer, use_reentrant=True)
    result: Tensor = checkpoint(inner, x, use_reentrant=False)
    return result


def offloaded(layer: Run, x: Tensor) -> Tensor:
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import offload_wrapper

    class Part(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = checkpoint(layer, x, use_reentrant=False)
            return result

    result: Tensor = offload_wrapper(Part())(x)
    return result


WAYS: dict[str, Callable[[Run, Tensor], Tensor]] = {
    "not reentrant": partial(checkpoint, use_reentrant=False),
    "reentrant": partial(checkpoint, use_reentrant=True),
    "in two depths": in_two_depths,
    "mixed depths": mixed_depths,
    "offloaded": offloaded,
    "not to the end": lambda layer, x: checkpoint(lambda x: layer(x).sin().square(), x, use_reentrant=False),
}

KINDS: dict[str, dict[str, Any]] = {
    "dropout": {"dropout": 0.5, "seed": 7},
    "three masks": {"dropout": 0.5, "implementation": 1, "seed": 7},
    "recurrent": {"recurrent_dropout": 0.5, "seed": 7},
    "without a seed": {"dropout": 0.5, "recurrent_dropout": 0.5},
    "stateful": {"stateful": True},
    "stateful with dropout": {"stateful": True, "dropout": 0.3, "recurrent_dropout": 0.3, "seed": 7},
}


def model(width: int = 4, **arguments: Any) -> GRU:
    torch.manual_seed(0)
    return GRU(width, input_dim=width, return_sequences=True, **arguments).train()


def outcome(gru: GRU, forward: Callable[[GRU, Tensor], Tensor]) -> list[Tensor]:
    """Outputs, gradients and the state after two steps of training."""
    torch.manual_seed(1)
    xs, found = torch.randn(2, 3, 5, 4), []
    for x in xs:
        y = forward(gru, x.requires_grad_())
        gru.zero_grad()
        y.square().sum().backward()
        found += [y.detach(), *(weight.grad.clone() for weight in gru.parameters() if weight.grad is not None)]
    return [*found, *(state for state in gru.states if state is not None)]


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_that_is_run_again_is_what_it_was(way: str, kind: str) -> None:
    def end(x: Tensor) -> Tensor:
        return x.sin().square() if way == "not to the end" else x

    expected = outcome(model(**KINDS[kind]), lambda gru, x: end(gru(x)))
    found = outcome(model(**KINDS[kind]), lambda gru, x: WAYS[way](gru, x))
    assert_same(found, expected)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_calls_of_one_layer_within_a_step_differ_and_each_is_found_again(reentrant: bool, kind: str) -> None:
    def thrice(call: Callable[[GRU, Tensor], Tensor], gru: GRU, x: Tensor) -> Tensor:
        return call(gru, call(gru, call(gru, x)))

    def part(gru: GRU, x: Tensor) -> Tensor:
        result: Tensor = checkpoint(gru, x, use_reentrant=reentrant)
        return result

    def whole(gru: GRU, x: Tensor) -> Tensor:
        result: Tensor = checkpoint(partial(thrice, GRU.__call__, gru), x, use_reentrant=reentrant)
        return result

    expected = outcome(model(**KINDS[kind]), partial(thrice, GRU.__call__))
    assert_same(outcome(model(**KINDS[kind]), partial(thrice, part)), expected)
    assert_same(outcome(model(**KINDS[kind]), whole), expected)


def test_calls_with_a_seed_draw_different_masks_whatever_the_global_numbers() -> None:
    gru, x = model(width=64, dropout=0.5, seed=3), torch.ones(2, 3, 64)
    masks = []
    for _ in range(3):
        torch.manual_seed(0)
        gru(x)
        masks.append(gru.get_dropout_mask_for_cell(x[:, 0], training=True))
    assert all(not torch.equal(masks[a], masks[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    twin = model(width=64, dropout=0.5, seed=3)
    torch.manual_seed(99)
    twin(x)
    assert torch.equal(twin.get_dropout_mask_for_cell(x[:, 0], training=True), masks[0])


def test_masks_put_or_seen_before_a_call_are_found_again() -> None:
    def run(gru: GRU, x: Tensor, again: bool) -> list[Tensor]:
        torch.manual_seed(5)
        gru.set_dropout_masks([torch.tensor([[0.0, 2.0, 2.0, 0.0]]).expand(3, 4)])
        seen = gru.get_recurrent_dropout_mask_for_cell(torch.zeros(3, 4), training=True, count=3)
        y = checkpoint(gru, x, use_reentrant=False) if again else gru(x)
        y.square().sum().backward()
        return [y.detach(), *seen, *(weight.grad for weight in gru.parameters() if weight.grad is not None)]

    x = torch.randn(3, 5, 4)
    for arguments in ({"seed": 1}, {}):
        drops = {"dropout": 0.5, "recurrent_dropout": 0.5, **arguments}
        assert_same(run(model(**drops), x, again=True), run(model(**drops), x, again=False))


def test_masks_that_were_seen_and_reset_do_not_come_again() -> None:
    gru, x = model(width=64, dropout=0.5, seed=3), torch.ones(2, 64)
    seen = []
    for _ in range(3):
        seen.append(gru.get_dropout_mask_for_cell(x, training=True))
        gru.reset_dropout_mask()
    gru(x[:, None])
    seen.append(gru.get_dropout_mask_for_cell(x, training=True))
    assert len({str(mask.tolist()) for mask in seen}) == 4


def test_the_gradient_of_a_gradient_is_that_of_the_same_masks() -> None:
    def second(again: bool) -> list[Tensor]:
        gru, x = model(dropout=0.5, recurrent_dropout=0.2, seed=2, dtype="float64"), torch.randn(2, 4, 4, dtype=torch.float64)
        x.copy_(torch.linspace(-1, 1, x.numel()).reshape(x.shape)).requires_grad_()
        y = checkpoint(gru, x, use_reentrant=False) if again else gru(x)
        [slope] = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return list(torch.autograd.grad(slope.square().sum(), list(gru.parameters())))

    assert_same(second(again=True), second(again=False))


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("arguments", [{"dropout": 0.5, "seed": 1}, {"stateful": True}], ids=str)
def test_without_the_random_numbers_it_is_refused(arguments: dict[str, Any], reentrant: bool) -> None:
    x = torch.randn(3, 5, 4, requires_grad=True)
    y = checkpoint(model(**arguments), x, use_reentrant=reentrant, preserve_rng_state=False)
    with pytest.raises(UnsupportedArgument, match=r"^GRU: a backward pass runs it.*preserve_rng_state=True"):
        y.sum().backward()


def test_too_many_states_to_keep_are_refused_and_masks_are_not() -> None:
    def run(gru: GRU, calls: int) -> None:
        total = torch.zeros(())
        for _ in range(calls):
            total = total + checkpoint(gru, torch.randn(1, 1, 2, requires_grad=True), use_reentrant=False).sum()
        total.backward()

    run(GRU(2, input_dim=2, dropout=0.5, seed=1), 2 * LATEST_VALUES)
    run(GRU(2, input_dim=2, stateful=True), LATEST_VALUES)
    with pytest.raises(UnsupportedArgument, match=f"kept state was given {LATEST_VALUES} calls"):
        run(GRU(2, input_dim=2, stateful=True, batch_size=1), LATEST_VALUES + 1)


def test_what_is_remembered_has_a_bound() -> None:
    gru = GRU(2, input_dim=2, stateful=True, dropout=0.5, seed=1)
    for _ in range(LATEST + 10):
        gru.call_log.enter("GRU").first("kept state", torch.zeros(1))
    assert len(gru.call_log._calls) == LATEST
    kept = [call for call in gru.call_log._calls.values() if isinstance(call._values["kept state"], Tensor)]
    assert kept == list(gru.call_log._calls.values())[-LATEST_VALUES:]
    assert not copy.deepcopy(gru).call_log._calls


def test_evaluation_leaves_torchs_random_numbers_alone() -> None:
    gru = model(stateful=True, dropout=0.5).eval()
    before = torch.get_rng_state()
    with torch.no_grad():
        gru(torch.ones(3, 5, 4))
    assert torch.equal(torch.get_rng_state(), before)


def test_torch_tells_whether_a_backward_pass_is_under_way() -> None:
    """A private function of torch is asked; here a release shows that it moved."""
    seen = []
    x = torch.ones(2, requires_grad=True)
    x.register_hook(lambda gradient: seen.append(in_backward()))
    assert not in_backward()
    x.sum().backward()
    checkpoint(lambda x: (seen.append(in_backward()), x.sin())[1], x, use_reentrant=True).sum().backward()
    assert seen[:2] == [True, False] and all(seen[2:]) and len(seen) == 4
    assert not in_backward()


LAYERS = {
    "drop": {"kind": "dropout", "rate": 0.4},
    "gru": {"kind": "gru", "units": 6, "return_sequences": True, "stateful": True, "dropout": 0.2, "recurrent_dropout": 0.1},
    "both": {"kind": "bidirectional", "layer": {"kind": "gru", "units": 3, "return_sequences": True, "dropout": 0.2}},
    "late": {"kind": "dropout", "rate": 0.4},
}


def test_a_model_of_a_config_trains_to_the_same_numbers(workshop: Workshop) -> None:
    def trained(again: bool) -> dict[str, Any]:
        trainee = workshop.trainee(language_model(**LAYERS))
        for layer in trainee.native.layers.values() if again else ():
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
        trainee.fit(workshop.training(Windows(3), Windows(1)), Listener())
        return {name: value for name, value in trainee.state().items() if name != "progress/seconds"}

    expected, found = trained(again=False), trained(again=True)
    assert expected.keys() == found.keys()
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6, err_msg=name)
