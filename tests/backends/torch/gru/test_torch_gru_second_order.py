"""Gradients of gradients, where the layer's calls hang on one another: by numerical differences, and by plain autograd over the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from framework.backends.torch import GRU
from framework.backends.torch.gru.loop import loop
from framework.backends.torch.gru.routes import Sequences

pytestmark = pytest.mark.torch

ROWS, STEPS, WIDTH = 2, 3, 2

Model = Callable[[GRU, Tensor, Tensor], Tensor]


def twice(gru: GRU, x: Tensor, h: Tensor) -> Tensor:
    """Two calls beside one another."""
    return gru(x, initial_state=h) + gru(x.tanh(), initial_state=h)


def stacked(gru: GRU, x: Tensor, h: Tensor) -> Tensor:
    """A call on the outputs of another: its inputs depend on its own weights."""
    return gru(gru(x, initial_state=h), initial_state=h)


def carried(gru: GRU, x: Tensor, h: Tensor) -> Tensor:
    """A call that starts from the last state of another."""
    return gru(x, initial_state=gru(x, initial_state=h)[:, -1])


def three_deep(gru: GRU, x: Tensor, h: Tensor) -> Tensor:
    """Inputs and first state both depend on the weights."""
    first = gru(x, initial_state=h)
    return gru(gru(first, initial_state=first[:, 0]), initial_state=first[:, -1])


def shared(gru: GRU, x: Tensor, h: Tensor) -> Tensor:
    """Two layers of the same weights, one running backwards, as a tied bidirectional layer."""
    other = GRU.from_config({**gru.get_config(), "go_backwards": True})
    other.kernel, other.recurrent_kernel, other.bias = gru.kernel, gru.recurrent_kernel, gru.bias
    return torch.cat([gru(x, initial_state=h), other(gru(x), initial_state=h).flip(1)], dim=-1)


def tied(gru: GRU, x: Tensor, h: Tensor) -> Tensor:
    """The inputs are made with the layer's own kernel."""
    return gru(torch.tanh(x @ gru.kernel[:, :WIDTH]), initial_state=h)


MODELS: list[Model] = [twice, stacked, carried, three_deep, shared, tied]

LAYERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no bias": {"use_bias": False},
    "reset before": {"reset_after": False},
    "backwards": {"go_backwards": True},
    "silu": {"activation": "silu", "recurrent_activation": "softsign"},
}


def layer(**arguments: Any) -> GRU:
    torch.manual_seed(1)
    gru = GRU(WIDTH, input_dim=WIDTH, return_sequences=True, dtype="float64", bias_initializer="glorot_uniform", **arguments)
    return gru.eval()


def inputs() -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    return tuple(torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((ROWS, STEPS, WIDTH), (ROWS, WIDTH)))  # type: ignore[return-value]


def plain_route(route: str, given: Sequences, weights: Any, cell: Any) -> tuple[Tensor, Tensor]:
    states = loop(given.inputs, given.state, weights, cell, given.mask, given.input_masks, given.recurrent_masks)
    return states, states[-1]


def check(run: Callable[[GRU, Tensor, Tensor], Tensor], gru: GRU, monkeypatch: pytest.MonkeyPatch) -> None:
    """First gradients, with and without a graph of their own, and second ones are those of plain autograd and of differences."""
    x, h = inputs()
    tensors = [x, h, *gru.parameters()]
    like = torch.linspace(-1.0, 1.0, run(gru, x, h).numel(), dtype=torch.float64).view_as(run(gru, x, h))

    def first(create_graph: bool) -> tuple[Tensor, ...]:
        return torch.autograd.grad((run(gru, x, h) * like).square().sum(), tensors, create_graph=create_graph)

    def second() -> tuple[Tensor, ...]:
        return torch.autograd.grad(sum(one.square().sum() for one in first(True)), tensors)

    found = first(False), first(True), second()
    with monkeypatch.context() as patch:
        patch.setattr("framework.backends.torch.gru.layer.run_route", plain_route)
        expected = first(False), second()
    torch.testing.assert_close(found[0], expected[0])
    torch.testing.assert_close(found[1], expected[0])
    torch.testing.assert_close(found[2], expected[1])
    assert torch.autograd.gradgradcheck(lambda *_: run(gru, x, h), tensors, fast_mode=True)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_calls_that_hang_on_one_another(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    check(model, layer(), monkeypatch)


@pytest.mark.parametrize("name", LAYERS)
def test_every_kind_of_layer_stacked_on_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check(three_deep, layer(**LAYERS[name]), monkeypatch)


@pytest.mark.parametrize("reset_after", [True, False])
def test_stacked_on_itself_with_masks_of_steps_and_of_dropout(reset_after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    gru = layer(reset_after=reset_after, dropout=0.5, recurrent_dropout=0.5, implementation=1).train()
    steps = torch.tensor([[True, False, True], [False, True, True]])
    generator = torch.Generator().manual_seed(3)
    dropped = [torch.rand(ROWS, WIDTH, dtype=torch.float64, generator=generator).round() * 2.0 + 0.5 for _ in range(6)]

    def run(gru: GRU, x: Tensor, h: Tensor) -> Tensor:
        gru.set_dropout_masks(dropped[:3], dropped[3:])
        first = gru(x, mask=steps, initial_state=h)
        gru.set_dropout_masks(dropped[:3], dropped[3:])
        return gru(first, mask=steps.flip(1), initial_state=first[:, -1])

    check(run, gru, monkeypatch)


def test_third_gradients() -> None:
    gru = layer()
    x, h = inputs()

    def first(*tensors: Tensor) -> Tensor:
        return torch.autograd.grad(stacked(gru, x, h).square().sum(), gru.kernel, create_graph=True)[0]

    assert torch.autograd.gradgradcheck(first, (x, *gru.parameters()), fast_mode=True)


def test_a_gradient_that_only_the_first_derivative_needs_is_not_mixed_with_others() -> None:
    """What stands between two calls gets its own gradient, not that of all ways to it."""
    gru = layer()
    x, h = inputs()
    between = gru(x, initial_state=h)
    (direct,) = torch.autograd.grad(gru(between).sum(), between, create_graph=True)
    leaf = between.detach().requires_grad_()
    torch.testing.assert_close(direct, torch.autograd.grad(gru(leaf).sum(), leaf)[0])
