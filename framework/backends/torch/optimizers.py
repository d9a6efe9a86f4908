"""Keras' optimizers as torch optimizers: the same constants, the same formulas, one fused or grouped pass over the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from framework.errors import UnsupportedArgument, nearest
from framework.spec.optimizer import AdamSpec, AdamWSpec, OptimizerSpec, RMSpropSpec, SGDSpec

Closure = Callable[[], Any] | None


class KerasOptimizer(torch.optim.Optimizer):
    """What the optimizers here share.

    Attributes:
        slots: Keras' name of each value kept for a weight, to torch's key in ``state``.
    """

    slots: ClassVar[Mapping[str, str]] = {}

    @property
    def iterations(self) -> int:
        """Steps done."""
        return int(self.param_groups[0].get("iterations", 0))

    @iterations.setter
    def iterations(self, steps: int) -> None:
        for group in self.param_groups:
            group["iterations"] = steps

    def set_learning_rate(self, rate: float) -> None:
        """Sets the rate of the steps to come."""
        for group in self.param_groups:
            group["lr"] = rate

    def slot(self, name: str, weight: Tensor) -> Tensor | None:
        """The value kept for a weight under Keras' name; None before the first step."""
        return self.state[weight].get(self.slots[name]) if weight in self.state else None

    def set_slot(self, name: str, weight: Tensor, value: Tensor) -> None:
        """Puts back what :meth:`slot` gave; :attr:`iterations` must be set before."""
        self.state[weight][self.slots[name]] = value.to(device=weight.device, dtype=weight.dtype, copy=True)


class _AdamEpsilon(KerasOptimizer):
    """Keras adds epsilon to the root of the squared gradients' mean before that mean's bias is corrected, torch after.

    ``lr·√(1-β₂ᵗ)/(1-β₁ᵗ) · m/(√v + ε)`` is torch's step with ``ε/√(1-β₂ᵗ)`` for its epsilon.

    Source: Kingma and Ba 2014, the last lines of section 2 ("epsilon hat").
    """

    slots = {"momentum": "exp_avg", "velocity": "exp_avg_sq"}

    def step(self, closure: Closure = None) -> Any:
        """One step."""
        for group in self.param_groups:
            group["iterations"] += 1
            group["eps"] = group["epsilon"] / math.sqrt(1.0 - group["betas"][1] ** group["iterations"])
        return super().step(closure)

    def set_slot(self, name: str, weight: Tensor, value: Tensor) -> None:
        """Puts back what :meth:`slot` gave."""
        super().set_slot(name, weight, value)
        # torch counts the steps of each weight, in a float32 scalar beside it (fused on a GPU) or on the CPU.
        device = weight.device if self.param_groups[0]["fused"] else torch.device("cpu")
        self.state[weight]["step"] = torch.tensor(float(self.iterations), dtype=torch.float32, device=device)


class Adam(_AdamEpsilon, torch.optim.Adam):
    """Adam with Keras' epsilon. Source: Kingma and Ba 2014; Keras documentation, "Adam"."""

    def __init__(self, weights: Iterable[nn.Parameter], spec: AdamSpec) -> None:
        super().__init__(weights, lr=spec.learning_rate, betas=(spec.beta_1, spec.beta_2), fused=True)
        self.defaults.update(epsilon=spec.epsilon, iterations=0)
        for group in self.param_groups:
            group.update(epsilon=spec.epsilon, iterations=0)


class AdamW(_AdamEpsilon, torch.optim.AdamW):
    """Adam that also takes ``lr · weight_decay`` off every weight, biases included, as Keras does.

    Source: Loshchilov and Hutter 2017; Keras documentation, "AdamW".
    """

    def __init__(self, weights: Iterable[nn.Parameter], spec: AdamWSpec) -> None:
        betas = (spec.beta_1, spec.beta_2)
        super().__init__(weights, lr=spec.learning_rate, betas=betas, weight_decay=spec.weight_decay, fused=True)
        self.defaults.update(epsilon=spec.epsilon, iterations=0)
        for group in self.param_groups:
            group.update(epsilon=spec.epsilon, iterations=0)


class _Grouped(KerasOptimizer):
    """A step over all weights at once, by torch's grouped operations."""

    @torch.no_grad()
    def step(self, closure: Closure = None) -> Any:
        """One step."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        for group in self.param_groups:
            group["iterations"] += 1
            weights: list[Tensor] = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._update(group, weights, [weight.grad for weight in weights if weight.grad is not None])
        return result

    def _update(self, group: Mapping[str, Any], weights: list[Tensor], gradients: list[Tensor]) -> None:
        raise NotImplementedError

    def _kept(self, key: str, weights: list[Tensor]) -> list[Tensor]:
        for weight in weights:
            if key not in self.state[weight]:
                self.state[weight][key] = torch.zeros_like(weight, memory_format=torch.preserve_format)
        return [self.state[weight][key] for weight in weights]


class SGD(_Grouped):
    """Gradient descent; with momentum, the velocity holds the learning rate: ``v = μ·v - lr·g``, ``w += v``.

    With ``nesterov``, ``w += μ·v - lr·g``. torch keeps the rate out of the velocity, which differs once the rate changes.

    Source: Keras documentation, "SGD".
    """

    slots = {"momentum": "momentum"}

    def __init__(self, weights: Iterable[nn.Parameter], spec: SGDSpec) -> None:
        defaults = {"lr": spec.learning_rate, "momentum": spec.momentum, "nesterov": spec.nesterov, "iterations": 0}
        super().__init__(weights, defaults)

    def _update(self, group: Mapping[str, Any], weights: list[Tensor], gradients: list[Tensor]) -> None:
        rate, momentum = group["lr"], group["momentum"]
        if not momentum:
            torch._foreach_add_(weights, gradients, alpha=-rate)
            return
        velocities = self._kept("momentum", weights)
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, gradients, alpha=-rate)
        if group["nesterov"]:
            torch._foreach_add_(weights, velocities, alpha=momentum)
            torch._foreach_add_(weights, gradients, alpha=-rate)
        else:
            torch._foreach_add_(weights, velocities)


class RMSprop(_Grouped):
    """``v = ρ·v + (1-ρ)·g²``, step ``lr·g/√(v + ε)``, or ``√(v - mean(g)² + ε)`` with ``centered``.

    With momentum, ``m = μ·m + step`` is taken off instead.

    Source: Hinton 2012, lecture 6e; Keras documentation, "RMSprop".
    """

    slots = {"velocity": "velocity", "momentum": "momentum", "average_gradient": "average_gradient"}

    def __init__(self, weights: Iterable[nn.Parameter], spec: RMSpropSpec) -> None:
        constants = {name: getattr(spec, name) for name in ("rho", "momentum", "epsilon", "centered")}
        super().__init__(weights, {"lr": spec.learning_rate, **constants, "iterations": 0})

    def _update(self, group: Mapping[str, Any], weights: list[Tensor], gradients: list[Tensor]) -> None:
        rho = group["rho"]
        velocities = self._kept("velocity", weights)
        torch._foreach_mul_(velocities, rho)
        torch._foreach_addcmul_(velocities, gradients, gradients, 1.0 - rho)
        spread = torch._foreach_add(velocities, group["epsilon"])
        if group["centered"]:
            means = self._kept("average_gradient", weights)
            torch._foreach_mul_(means, rho)
            torch._foreach_add_(means, gradients, alpha=1.0 - rho)
            torch._foreach_addcmul_(spread, means, means, -1.0)
        torch._foreach_sqrt_(spread)
        if not group["momentum"]:
            torch._foreach_addcdiv_(weights, gradients, spread, -group["lr"])
            return
        momenta = self._kept("momentum", weights)
        torch._foreach_mul_(momenta, group["momentum"])
        torch._foreach_addcdiv_(momenta, gradients, spread, group["lr"])
        torch._foreach_sub_(weights, momenta)


_KINDS: dict[str, Callable[[list[nn.Parameter], Any], KerasOptimizer]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD, "rmsprop": RMSprop}


def make_optimizer(spec: OptimizerSpec, weights: Iterable[nn.Parameter]) -> KerasOptimizer:
    """The optimizer of a config for the weights that are trained.

    Raises:
        UnsupportedArgument: this backend has no optimizer of that kind, or there is nothing to train.
    """
    trained = [weight for weight in weights if weight.requires_grad]
    if not trained:
        raise UnsupportedArgument("no weight is trainable, so there is nothing to optimize; set trainable: true on a layer")
    make = _KINDS.get(spec.kind)
    if make is None:
        close = nearest(spec.kind, _KINDS)
        suggestion = f"; did you mean '{close}'?" if close else ""
        raise UnsupportedArgument(f"the torch backend has no optimizer '{spec.kind}', only {', '.join(_KINDS)}{suggestion}")
    return make(trained, spec)


def clip_gradients(weights: Iterable[nn.Parameter], largest: float, algorithm: str) -> None:
    """Clips gradients in place: ``norm`` over all weights together, or each ``value``.

    Source: Keras documentation, ``global_clipnorm`` and ``clipvalue``; Pascanu et al. 2013, section 3.2, for the norm.
    """
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if not gradients:
        return
    if algorithm == "value":
        torch._foreach_clamp_max_(gradients, largest)
        torch._foreach_clamp_min_(gradients, -largest)
        return
    norm = torch.nn.utils.get_total_norm(gradients)
    torch._foreach_mul_(gradients, largest / norm.clamp_min(largest))
