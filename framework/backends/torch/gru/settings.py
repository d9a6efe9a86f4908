"""What a GRU consists of: its checked arguments as attributes, its weights, and the state that it keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from torch import Tensor, nn

from framework.backends.base.gru_arguments import FUNCTIONS, GRUArguments
from framework.backends.torch.gru.arguments import FunctionArgument
from framework.backends.torch.gru.dropout import DropoutMasks
from framework.backends.torch.gru.loop import Cell
from framework.backends.torch.recomputation import CallLog, CountsCalls

PREFIXES = {"kernel": "kernel", "recurrent_kernel": "recurrent", "bias": "bias"}
"""The weights in Keras' order, to how their arguments begin: ``recurrent_initializer`` is the recurrent kernel's."""


class GRUSettings(CountsCalls):
    """The parts of a GRU, under Keras' names; what it does with them is the layer's, and of the modules beside it.

    Args:
        arguments: checked.

    Attributes:
        state: the kept state ``(batch, units)`` of a stateful layer; None before there is one.
        cudnn_explained: whether it was said why the layer does not run on cuDNN.
    """

    kernel: nn.Parameter | None
    recurrent_kernel: nn.Parameter | None
    bias: nn.Parameter | None

    activation, recurrent_activation, activity_regularizer = FunctionArgument(), FunctionArgument(), FunctionArgument()
    kernel_initializer, recurrent_initializer, bias_initializer = FunctionArgument(), FunctionArgument(), FunctionArgument()
    kernel_regularizer, recurrent_regularizer, bias_regularizer = FunctionArgument(), FunctionArgument(), FunctionArgument()
    kernel_constraint, recurrent_constraint, bias_constraint = FunctionArgument(), FunctionArgument(), FunctionArgument()

    def __init__(self, arguments: GRUArguments) -> None:
        super().__init__()
        self.arguments = arguments
        self.units: int = arguments["units"]
        self.use_bias: bool = arguments["use_bias"]
        self.dropout: float = arguments["dropout"]
        self.recurrent_dropout: float = arguments["recurrent_dropout"]
        self.implementation: int = 1 if self.recurrent_dropout else arguments["implementation"]
        self.return_sequences: bool = arguments["return_sequences"]
        self.return_state: bool = arguments["return_state"]
        self.go_backwards: bool = arguments["go_backwards"]
        self.stateful: bool = arguments["stateful"]
        self.unroll: bool = arguments["unroll"]
        self.time_major: bool = arguments["time_major"]
        self.reset_after: bool = arguments["reset_after"]
        self.name: str | None = arguments["name"]
        self.dtype: str | None = arguments["dtype"]
        self.trainable: bool = arguments["trainable"]
        self.seed: int | None = arguments["seed"]
        self.use_cudnn: bool | Literal["auto"] = arguments["use_cudnn"]
        self.zero_output_for_mask: bool = arguments["zero_output_for_mask"]
        for name in FUNCTIONS:
            if isinstance(arguments[name], nn.Module):  # a part of this one: trained, moved and saved with it
                self.add_module(f"{name}_function", arguments[name])
        self._cell = Cell(self.activation, self.recurrent_activation, self.reset_after)
        self.state: Tensor | None = None
        self.cudnn_explained = False
        self.call_log = CallLog()
        self.dropout_masks = DropoutMasks(self.dropout, self.seed, 1, "dropout mask", self.call_log)
        self.recurrent_dropout_masks = DropoutMasks(self.recurrent_dropout, self.seed, 2, "recurrent dropout mask", self.call_log)
        for name in PREFIXES:
            self.register_parameter(name, None)

    @property
    def label(self) -> str:
        """How messages call this layer."""
        return f"GRU '{self.name}'" if self.name else "GRU"

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

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self.recurrent_kernel is not None
