"""A GRU under transforms and other ways to differentiate has the derivatives of plain autograd."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.functional import hessian, jacobian
from torch.func import functional_call, grad, jacfwd, jacrev, vmap
from traced_grus import CELLS, EVERY_CELL, FEATURES, ROWS, STEPS, UNITS, layer, native, plain, sequence

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")]

TRANSFORMS: dict[str, Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]] = {
    "jacrev": lambda function, x: jacrev(function)(x),
    "jacfwd": lambda function, x: jacfwd(function)(x),
    "vectorized": lambda function, x: jacobian(function, x, vectorize=True),
    "vectorized forwards": lambda function, x: jacobian(function, x, vectorize=True, strategy="forward-mode"),
}


@EVERY_CELL
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_jacobians(name: str, transform: str) -> None:
    gru, x = layer(**CELLS[name]), sequence()
    expected = jacobian(lambda x: plain(gru, x), x)
    torch.testing.assert_close(TRANSFORMS[transform](gru, x), expected)
    if name == "plain":
        torch.testing.assert_close(expected, jacobian(lambda x: native(gru)(x)[0], x))


@EVERY_CELL
def test_hessians(name: str) -> None:
    gru, x = layer(**CELLS[name]), sequence()
    expected = hessian(lambda x: plain(gru, x).square().sum(), x)
    for found in (torch.func.hessian(lambda x: gru(x).square().sum())(x), hessian(lambda x: gru(x).square().sum(), x, vectorize=True)):
        torch.testing.assert_close(found, expected)


@EVERY_CELL
def test_gradients_of_weights_for_all_rows_and_for_each(name: str) -> None:
    gru, x = layer(**CELLS[name]), sequence()
    weights = dict(gru.named_parameters())

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(gru, weights, (x,)).square().sum()

    def expected(x: Tensor) -> dict[str, Tensor]:
        return dict(zip(weights, torch.autograd.grad(plain(gru, x).square().sum(), list(weights.values())), strict=True))

    torch.testing.assert_close(grad(loss)(weights, x), expected(x))
    each = vmap(grad(loss), (None, 0))(weights, x[:, None])
    for row in range(ROWS):
        torch.testing.assert_close({name: one[row] for name, one in each.items()}, expected(x[row : row + 1]))


def test_an_ensemble_of_layers_at_once() -> None:
    x, grus = sequence(), [layer(seed=one) for one in range(3)]
    for number, gru in enumerate(grus):
        gru.set_weights([weight + 0.1 * number for weight in gru.get_weights()])
    stacked, _ = torch.func.stack_module_state(grus)  # type: ignore[arg-type]
    found = vmap(lambda weights: functional_call(grus[0], weights, (x,)))(stacked)
    torch.testing.assert_close(found, torch.stack([gru(x) for gru in grus]))


@EVERY_CELL
def test_batches_of_gradients(name: str) -> None:
    gru, x = layer(**CELLS[name]), sequence().requires_grad_()
    tensors = [x, *gru.parameters()]
    of_outputs = torch.randn(4, ROWS, STEPS, UNITS, dtype=torch.float64)
    found = torch.autograd.grad(gru(x), tensors, of_outputs, is_grads_batched=True)
    expected = [torch.autograd.grad(plain(gru, x), tensors, one) for one in of_outputs]
    for one, two in zip(found, zip(*expected, strict=True), strict=True):
        torch.testing.assert_close(one, torch.stack(two))


@EVERY_CELL
def test_differentiation_forwards(name: str) -> None:
    gru, x = layer(**CELLS[name]), sequence()
    direction = torch.randn_like(x)
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(gru(forward_ad.make_dual(x, direction))).tangent
    (expected,) = torch.autograd.functional.jvp(lambda x: plain(gru, x), x, direction)[1:]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("masked", [False, True])
def test_numerical_differences_agree_with_every_kind_of_derivative(masked: bool) -> None:
    gru, x = layer(reset_after=not masked), sequence().requires_grad_()
    mask = torch.tensor([[True, False, True], [False, True, True]]) if masked else None
    weights = dict(gru.named_parameters())

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return functional_call(gru, dict(zip(weights, values, strict=True)), (x, mask))

    given = (x, *weights.values())
    assert torch.autograd.gradcheck(run, given, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True)
    assert torch.autograd.gradgradcheck(run, given, check_batched_grad=True)


def test_dropout_masks_that_are_learned_get_their_gradients() -> None:
    gru, x = layer(recurrent_dropout=0.5, dropout=0.5, implementation=1).train(), sequence()
    masks = [torch.rand(ROWS, width, dtype=torch.float64, requires_grad=True) for width in (FEATURES,) * 3 + (UNITS,) * 3]

    def run(*masks: Tensor) -> Tensor:
        gru.set_dropout_masks(masks[:3], masks[3:])
        return gru(x)

    assert torch.autograd.gradcheck(run, masks)
