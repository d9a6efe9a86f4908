"""The documented properties of the GRU, read from its checked arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from framework.backends.torch.activations import Activation, activation
from framework.backends.torch.gru.arguments import MIXED, Arguments
from framework.backends.torch.gru.loop import Cell
from framework.backends.torch.identifiers import Initialize, Penalty, Projection, constraint, initializer, regularizer
from framework.backends.torch.precision import autocasts

WEIGHTS = ("kernel", "recurrent_kernel", "bias")
"""Names of the weights, in Keras' order."""

PREFIXES = {"kernel": "kernel", "recurrent_kernel": "recurrent", "bias": "bias"}
"""How the arguments of a weight begin: ``recurrent_initializer`` is the recurrent kernel's."""


class GRUProperties:
    """Read-only properties under Keras' names; functions are torch functions."""

    arguments: Arguments
    _cell: Cell
    _modules: dict[str, nn.Module | None]
    state: Tensor | None

    @property
    def units(self) -> int:
        """Width of the state and of the output."""
        return self.arguments.units

    @property
    def activation(self) -> Activation:
        """Activation of the candidate state."""
        return self._activation("activation")

    @property
    def recurrent_activation(self) -> Activation:
        """Activation of the gates."""
        return self._activation("recurrent_activation")

    @property
    def use_bias(self) -> bool:
        """Whether there is a bias."""
        return self.arguments.spec.use_bias

    @property
    def kernel_initializer(self) -> Initialize:
        """Draws the first kernel."""
        return self._initializer("kernel")

    @property
    def recurrent_initializer(self) -> Initialize:
        """Draws the first recurrent kernel."""
        return self._initializer("recurrent_kernel")

    @property
    def bias_initializer(self) -> Initialize:
        """Draws the first bias."""
        return self._initializer("bias")

    @property
    def kernel_regularizer(self) -> Penalty | None:
        """Penalty on the kernel."""
        return self._regularizer("kernel")

    @property
    def recurrent_regularizer(self) -> Penalty | None:
        """Penalty on the recurrent kernel."""
        return self._regularizer("recurrent_kernel")

    @property
    def bias_regularizer(self) -> Penalty | None:
        """Penalty on the bias."""
        return self._regularizer("bias")

    @property
    def activity_regularizer(self) -> Penalty | None:
        """Penalty on the output."""
        penalty: Penalty | None = self._function("activity_regularizer", regularizer)
        return penalty

    @property
    def kernel_constraint(self) -> Projection | None:
        """Constraint on the kernel."""
        return self._constraint("kernel")

    @property
    def recurrent_constraint(self) -> Projection | None:
        """Constraint on the recurrent kernel."""
        return self._constraint("recurrent_kernel")

    @property
    def bias_constraint(self) -> Projection | None:
        """Constraint on the bias."""
        return self._constraint("bias")

    @property
    def dropout(self) -> float:
        """Fraction of the inputs to drop."""
        return self.arguments.spec.dropout

    @property
    def recurrent_dropout(self) -> float:
        """Fraction of the state to drop."""
        return self.arguments.spec.recurrent_dropout

    @property
    def implementation(self) -> int:
        """1 or 2; recurrent dropout needs a mask a gate and so means 1, as in Keras."""
        return 1 if self.recurrent_dropout else self.arguments.spec.implementation

    @property
    def return_sequences(self) -> bool:
        """Whether the whole output sequence is returned."""
        return self.arguments.spec.return_sequences

    @property
    def return_state(self) -> bool:
        """Whether the last state is returned too."""
        return self.arguments.spec.return_state

    @property
    def go_backwards(self) -> bool:
        """Whether the sequence is processed from its end."""
        return self.arguments.spec.go_backwards

    @property
    def stateful(self) -> bool:
        """Whether the state is kept from call to call."""
        return self.arguments.spec.stateful

    @property
    def unroll(self) -> bool:
        """Accepted and without effect: torch builds no graph of a loop."""
        return self.arguments.spec.unroll

    @property
    def time_major(self) -> bool:
        """Whether inputs, mask and output sequence are ``(time, batch, …)``."""
        return self.arguments.spec.time_major

    @property
    def reset_after(self) -> bool:
        """Whether the reset gate is applied after the product with the recurrent kernel."""
        return self.arguments.spec.reset_after

    @property
    def seed(self) -> int | None:
        """Seed of the dropout."""
        return self.arguments.spec.seed

    @property
    def use_cudnn(self) -> bool | str:
        """Whether cuDNN must, must not or may run the layer."""
        return self.arguments.spec.use_cudnn

    @property
    def zero_output_for_mask(self) -> bool:
        """Whether masked steps put out zeros."""
        return self.arguments.spec.zero_output_for_mask

    @property
    def states(self) -> list[Tensor | None]:
        """The kept state ``[(batch, units)]`` of a stateful layer; ``[None]`` before there is one."""
        return [self.state]

    @property
    def cell(self) -> Cell:
        """What a step does beside the weights."""
        if not self._modules.keys() & {"activation_function", "recurrent_activation_function"}:
            return self._cell
        # A copy of this layer, as on another device, has copies of its modules.
        return replace(self._cell, activation=self.activation, recurrent_activation=self.recurrent_activation)

    def _function(self, argument: str, known: Callable[[Any], Any]) -> Any:
        """The function given for an argument, or the one that its identifier names; None where there is neither."""
        registered = self._modules.get(f"{argument}_function")
        if registered is not None:
            return registered
        if argument in self.arguments.functions:
            return self.arguments.functions[argument]
        identifier = getattr(self.arguments.spec, argument)
        return None if identifier is None else known(identifier)

    def _activation(self, argument: str) -> Activation:
        function: Activation | None = self._function(argument, activation)
        return activation(None) if function is None else function

    def _initializer(self, weight: str) -> Initialize:
        function: Initialize | None = self._function(f"{PREFIXES[weight]}_initializer", initializer)
        return initializer(None) if function is None else function

    def _regularizer(self, weight: str) -> Penalty | None:
        penalty: Penalty | None = self._function(f"{PREFIXES[weight]}_regularizer", regularizer)
        return penalty

    def _constraint(self, weight: str) -> Projection | None:
        projection: Projection | None = self._function(f"{PREFIXES[weight]}_constraint", constraint)
        return projection

    def _weight_shapes(self, features: int) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {"kernel": (features, 3 * self.units), "recurrent_kernel": (self.units, 3 * self.units)}
        if self.use_bias:
            shapes["bias"] = (2, 3 * self.units) if self.reset_after else (3 * self.units,)
        return shapes

    def _compute_dtype(self, device_type: str, variable: torch.dtype) -> torch.dtype:
        """Autocast decides where it is on, then the mixed policy, then the weights' own dtype."""
        if autocasts(device_type) and variable == torch.float32:
            return torch.get_autocast_dtype(device_type)
        return MIXED.get(self.arguments.spec.dtype or "", variable)
