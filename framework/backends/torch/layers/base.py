"""What every layer of a graph shares on torch: signals in and out, weights in Keras' layout, penalties, constraints, data types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from framework.backends.base.dropout import dropout_seed
from framework.backends.torch.decoding.form import Formed, States, StepForm
from framework.backends.torch.identifiers import constraint, regularizer
from framework.backends.torch.precision import DTYPES, MIXED, autocasts
from framework.backends.torch.signal import Signal
from framework.backends.torch.weights import Place, read_weight, write_weights
from framework.builder.plan import PlannedLayer
from framework.decoding.precision import Precision
from framework.errors import UnsupportedArgument, nearest


@dataclass(frozen=True)
class Setting:
    """What a model's layers have in common.

    Attributes:
        dtype: of the weights, unless a layer has its own.
        seed: that the seeds of dropout are derived from.
        use_cudnn: what a GRU that says ``auto`` does about cuDNN.
    """

    dtype: torch.dtype = torch.float32
    seed: int = 0
    use_cudnn: bool | Literal["auto"] = "auto"

    def derived_seed(self, name: str) -> int:
        """A seed for the layer of that name: the same on every machine, another for every layer and model seed."""
        return dropout_seed(self.seed, name)


class Layer(nn.Module):
    """One layer of a graph. A subclass gives :meth:`compute`, and :meth:`place` where weights lie in inner modules.

    Args:
        planned: the layer's plan.
        setting: what it has in common with the model's other layers.

    Raises:
        UnsupportedArgument: its ``dtype`` is no floating-point type.
    """

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__()
        self.planned = planned
        name = planned.spec.dtype
        if name is not None and name not in DTYPES and name not in MIXED:
            known = [*DTYPES, *MIXED]
            close = nearest(name, known)
            suggestion = f"; did you mean '{close}'?" if close else ""
            raise UnsupportedArgument(f"layer '{planned.name}': dtype '{name}' is not one of {', '.join(known)}{suggestion}")
        self.mixed = MIXED.get(name or "")
        self.own_dtype = DTYPES.get(name or "")
        self.weight_dtype = torch.float32 if self.mixed else self.own_dtype or setting.dtype

    def create_weights(self) -> None:
        """Makes the planned weights, filled with zeros until they are set."""
        for weight in self.planned.weights:
            parameter = nn.Parameter(torch.zeros(weight.shape, dtype=self.weight_dtype), self.trains(weight.name))
            where, _, name = self.place(weight.name).rpartition(".")
            self.get_submodule(where).register_parameter(name, parameter)

    def place(self, name: str) -> str:
        """Where the planned weight of that name lies below this module, with dots."""
        return name

    def trains(self, name: str) -> bool:
        """Whether the optimizer changes the planned weight of that name."""
        return self.planned.spec.trainable

    def places(self) -> Iterator[tuple[str, Place]]:
        """Where the weights lie, by their planned names, in Keras' order."""
        for weight in self.planned.weights:
            where, _, name = self.place(weight.name).rpartition(".")
            yield weight.name, (self.get_submodule(where), name)

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """The weights by their planned names, in Keras' order: parameters, or what is computed of those that stand in their place."""
        for name, place in self.places():
            yield name, read_weight(*place)

    def forward(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]] | None = None) -> dict[str, Signal]:
        """Runs the layer over a batch of sequences, or over one decoding step where it carries no state.

        Args:
            inputs: what ``inputs`` of the config names, in order.
            references: what the other fields name, such as ``initial_state``.

        Returns:
            By name of the output.
        """
        device = inputs[0].value.device.type
        cast = [Signal(self._cast(signal.value, device), signal.mask) for signal in inputs]
        if self.planned.spec.dtype is None:
            return self.compute(cast, references or {})
        with self._own_precision(device):
            return self.compute(cast, references or {})

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """What :meth:`forward` does once data types are settled."""
        raise NotImplementedError

    def step_form(self, embedding: Layer | None, precision: Precision) -> StepForm:
        """What the layer does while a model decodes; the layer itself where it carries no state.

        Args:
            embedding: of the decoded tokens, where it is to become part of this layer; see :mod:`framework.builder.step`.
            precision: of large products that are prepared.
        """
        return _Itself(self)

    def _cast(self, value: Tensor, device: str) -> Tensor:
        """A floating-point input in the data type that the layer computes in; without weights and its own, it takes what comes."""
        if not value.is_floating_point():
            return value
        if self.mixed or (self.own_dtype is None and autocasts(device)):
            # Autocast chooses between float32 and the lower type, but passes float64 by.
            return value.float() if value.dtype == torch.float64 else value
        weight = next(self.parameters(), None)
        dtype = self.own_dtype if weight is None else weight.dtype
        return value if dtype is None else value.to(dtype)

    def _own_precision(self, device: str) -> AbstractContextManager[Any]:
        if not torch.amp.is_autocast_available(device) or (self.mixed is None and not autocasts(device)):
            return nullcontext()  # an autocast that changes nothing could not be saved with an exported program
        return torch.autocast(device, dtype=self.mixed, enabled=self.mixed is not None)

    def extra_repr(self) -> str:
        """The weights' shapes, for ``print``."""
        return ", ".join(f"{weight.name} {weight.shape}" for weight in self.planned.weights)

    def losses(self) -> list[Tensor]:
        """Penalties to add to the loss: of the regularized weights that are trained, and of the step's outputs."""
        penalties = []
        for planned, (_, weight) in zip(self.planned.weights, self.weights(), strict=True):
            if planned.regularizer is not None and weight.requires_grad:
                penalties.append(regularizer(planned.regularizer)(weight))
        return penalties

    def apply_constraints(self) -> None:
        """Projects the constrained weights, in place; called after each optimizer step.

        Raises:
            InputError: a weight is parametrized or pruned in a way that cannot give its projection; it is named.
        """
        values = []
        for planned, (_, place) in zip(self.planned.weights, self.places(), strict=True):
            weight = read_weight(*place)
            if planned.constraint is not None and weight.requires_grad:
                values.append((place, constraint(planned.constraint)(weight.detach())))
        write_weights(f"layer '{self.planned.name}'", values)


class _Itself:
    """A layer without state as its own step form: it does the same to a step as to a sequence."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    def step(self, inputs: Sequence[Signal], tokens: Tensor, states: States) -> Formed:
        """One step."""
        return Formed(self.layer(inputs), {})

    def read(self, inputs: Sequence[Signal], states: States) -> Formed:
        """A whole prompt."""
        return Formed(self.layer(inputs), {})


def single(signal: Signal) -> dict[str, Signal]:
    """The outputs of a layer that has one."""
    return {"output": signal}
