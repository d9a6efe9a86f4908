"""Activations with hand-written derivatives, in place, for the scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from framework.backends.torch.activations import FUNCTIONS, SELU_ALPHA, SELU_SCALE, Activation

aten = torch.ops.aten


@dataclass(frozen=True)
class Slope:
    """An element-wise activation that the scan can differentiate.

    Attributes:
        apply_: the activation of ``x``: written over ``x`` where ``keeps_input`` is False, a new tensor otherwise.
        times: ``times(gradient, kept, out)`` writes ``gradient`` times the derivative to ``out``, which may be ``gradient``.
        keeps_input: whether the derivative needs the input; most need only the output.
    """

    apply_: Callable[[Tensor], Tensor]
    times: Callable[[Tensor, Tensor, Tensor], Tensor]
    keeps_input: bool = False

    def value(self, kept: Tensor) -> Tensor:
        """The activation's output, from what :attr:`apply_` left in its argument."""
        return self.apply_(kept) if self.keeps_input else kept


def slope_of(activation: Activation) -> Slope | None:
    """The hand-written form of an activation; None for one that is not element-wise, or not known."""
    return _SLOPES.get(activation)


def _between(low: float, high: float, slope: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    def times(gradient: Tensor, output: Tensor, out: Tensor) -> Tensor:
        inside = (output > low) & (output < high)
        return torch.mul(gradient, inside, out=out) if slope == 1.0 else torch.mul(gradient, inside, out=out).mul_(slope)

    return times


def _softsign_times(gradient: Tensor, output: Tensor, out: Tensor) -> Tensor:
    return torch.mul(gradient, (1.0 - output.abs()).square_(), out=out)


def _elu(alpha: float, scale: float) -> Slope:
    return Slope(
        lambda x: aten.elu_(x, alpha, scale, 1.0),
        lambda gradient, y, out: aten.elu_backward.grad_input(gradient, alpha, scale, 1.0, True, y, grad_input=out),
    )


def _softsign_(x: Tensor) -> Tensor:
    return x.div_(x.abs().add_(1.0))


_NAMED: dict[str, Slope] = {
    "tanh": Slope(torch.tanh_, lambda gradient, y, out: aten.tanh_backward.grad_input(gradient, y, grad_input=out)),
    "sigmoid": Slope(torch.sigmoid_, lambda gradient, y, out: aten.sigmoid_backward.grad_input(gradient, y, grad_input=out)),
    "linear": Slope(lambda x: x, lambda gradient, y, out: out.copy_(gradient)),
    "relu": Slope(torch.relu_, lambda gradient, y, out: aten.threshold_backward.grad_input(gradient, y, 0.0, grad_input=out)),
    "relu6": Slope(lambda x: x.clamp_(0.0, 6.0), _between(0.0, 6.0, 1.0)),
    "leaky_relu": Slope(
        lambda x: aten.leaky_relu_(x, 0.2),
        lambda gradient, y, out: aten.leaky_relu_backward.grad_input(gradient, y, 0.2, True, grad_input=out),
    ),
    "hard_sigmoid": Slope(lambda x: x.add_(3.0).clamp_(0.0, 6.0).div_(6.0), _between(0.0, 1.0, 1.0 / 6.0)),
    "hard_sigmoid_tf2": Slope(lambda x: x.mul_(0.2).add_(0.5).clamp_(0.0, 1.0), _between(0.0, 1.0, 0.2)),
    "hard_tanh": Slope(lambda x: x.clamp_(-1.0, 1.0), _between(-1.0, 1.0, 1.0)),
    "elu": _elu(1.0, 1.0),
    "celu": _elu(1.0, 1.0),
    "selu": _elu(SELU_ALPHA, SELU_SCALE),
    "exponential": Slope(torch.exp_, lambda gradient, y, out: torch.mul(gradient, y, out=out)),
    "softsign": Slope(_softsign_, _softsign_times),
    "softplus": Slope(
        lambda x: x.copy_(FUNCTIONS["softplus"](x)), lambda gradient, y, out: torch.mul(gradient, torch.expm1(-y).neg_(), out=out)
    ),
    "log_sigmoid": Slope(
        lambda x: x.copy_(FUNCTIONS["log_sigmoid"](x)), lambda gradient, y, out: torch.mul(gradient, torch.expm1(y).neg_(), out=out)
    ),
    "gelu": Slope(
        FUNCTIONS["gelu"], lambda gradient, x, out: aten.gelu_backward.grad_input(gradient, x, approximate="none", grad_input=out), True
    ),
    "silu": Slope(FUNCTIONS["silu"], lambda gradient, x, out: aten.silu_backward.grad_input(gradient, x, grad_input=out), True),
    "mish": Slope(FUNCTIONS["mish"], lambda gradient, x, out: out.copy_(aten.mish_backward(gradient, x)), True),
    "hard_silu": Slope(FUNCTIONS["hard_silu"], lambda gradient, x, out: out.copy_(aten.hardswish_backward(gradient, x)), True),
}

_SLOPES: dict[Activation, Slope] = {FUNCTIONS[name]: slope for name, slope in _NAMED.items()}
