"""A recurrent layer run forwards and backwards over the same sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from framework.backends.torch.layers.base import Layer, Setting, single
from framework.backends.torch.layers.gru import native_gru
from framework.backends.torch.layers.table import builds
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer
from framework.errors import UnsupportedArgument
from framework.spec.layers.bidirectional import BidirectionalSpec
from framework.spec.layers.gru import GRUSpec


@builds("bidirectional")
class Bidirectional(Layer):
    """``layer`` and its copy that runs the other way; their outputs are merged by ``merge_mode``.

    As in Keras, masked steps put out zeros in sequences, whatever ``zero_output_for_mask`` of the inner layers says.

    Raises:
        UnsupportedArgument: an argument of an inner layer has no meaning here.

    Source: Keras documentation, "Bidirectional layer".
    """

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, BidirectionalSpec)
        self.merge_mode, self.return_state = planned.spec.merge_mode, planned.spec.return_state
        forward = planned.spec.layer
        backward = planned.spec.backward_layer or forward.model_copy(update={"go_backwards": not forward.go_backwards, "seed": None})
        for field, inner in (("layer", forward), ("backward_layer", backward)):
            _refuse(planned.name, field, inner)
        changes = {"zero_output_for_mask": forward.return_sequences, "return_state": self.return_state}
        self.forward_layer = native_gru(forward, f"{planned.name}/forward", setting, **changes)
        self.backward_layer = native_gru(backward, f"{planned.name}/backward", setting, **changes)
        self.create_weights()

    def place(self, name: str) -> str:
        """Within the layer of one direction."""
        direction, _, weight = name.partition("/")
        return f"{direction}_layer.{weight}"

    def trains(self, name: str) -> bool:
        """Only where neither this layer nor the layer of that direction is frozen."""
        inner = self.forward_layer if name.startswith("forward/") else self.backward_layer
        return self.planned.spec.trainable and inner.trainable

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """``(batch, time, features)`` to ``(batch, units)`` or ``(batch, time, units)``, twice the units with ``concat``; and the state."""
        value, mask = inputs[0]
        one, other = self.forward_layer(value, mask=mask), self.backward_layer(value, mask=mask)
        through = self.forward_layer.compute_mask(value, mask)
        if not self.return_state:
            return single(Signal(self._joined(one, other), through))
        state = self._merged(one[1], other[1])
        return {"output": Signal(self._joined(one[0], other[0]), through[0]), "state": Signal(state)}

    def _joined(self, one: Tensor, other: Tensor) -> Tensor:
        return self._merged(one, other.flip(1) if self.forward_layer.return_sequences else other)

    def _merged(self, one: Tensor, other: Tensor) -> Tensor:
        if self.merge_mode == "concat":
            return torch.cat([one, other], dim=-1)
        if self.merge_mode == "mul":
            return one * other
        return one + other if self.merge_mode == "sum" else (one + other) / 2

    def losses(self) -> list[Tensor]:
        """Penalties of both directions."""
        return [*self.forward_layer.losses(), *self.backward_layer.losses()]

    def apply_constraints(self) -> None:
        """Projects the constrained weights of both directions, in place."""
        for inner in (self.forward_layer, self.backward_layer):
            if self.planned.spec.trainable and inner.trainable:
                inner.apply_constraints()


def _refuse(name: str, field: str, inner: GRUSpec) -> None:
    if inner.dtype is not None:
        raise UnsupportedArgument(f"layer '{name}': {field}.dtype is not supported; set the dtype of '{name}' itself")
    for argument in ("return_state", "stateful", "time_major", "initial_state", "inputs"):
        if getattr(inner, argument):
            raise UnsupportedArgument(f"layer '{name}': {field}.{argument} is not supported inside bidirectional")
