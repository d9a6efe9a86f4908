"""One layer's share of a step of a whole model, along the plan's wires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from framework.backends.torch.decoding.form import Formed, Remembering, StepForm
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer, Reference

Wires = dict[Reference, Signal]


class Held(NamedTuple):
    """What a step finds: what goes from step to step, and what stays as it is; by names of the model."""

    carried: Mapping[str, Tensor]
    constant: Mapping[str, Tensor]


class Part(NamedTuple):
    """One layer's share of a step.

    Attributes:
        planned: the layer.
        form: what it does.
        folded: whether it looks the tokens up itself in a step of one token.
        states: the names of its states in the model, by their own.
    """

    planned: PlannedLayer
    form: StepForm
    folded: bool
    states: Mapping[str, str]

    def step(self, wires: Wires, tokens: Tensor, held: Held, new: dict[str, Tensor]) -> None:
        """A step of one token: the outputs go to ``wires``, the states to ``new``."""
        read = () if self.folded else [wires[one] for one in self.planned.references["inputs"]]
        self._write(self.form.step(read, tokens, self._own(held)), wires, new)

    def read(self, wires: Wires, held: Held, new: dict[str, Tensor]) -> None:
        """All steps of a prompt; otherwise as :meth:`step`."""
        read = [wires[one] for one in self.planned.references["inputs"]]
        self._write(self.form.read(read, self._own(held)), wires, new)

    def constants(self, wires: Wires, like: Tensor) -> Mapping[str, Tensor]:
        """What its steps read and what stays as it is, by its names in the model."""
        if not isinstance(self.form, Remembering):
            return {}
        fields = {field: found for field, found in self.planned.references.items() if field not in ("inputs", "initial_state")}
        made = self.form.constants({field: [wires[one] for one in found] for field, found in fields.items()}, like)
        return {f"{self.planned.name}/{name}": value for name, value in made.items()}

    def _own(self, held: Held) -> Mapping[str, Tensor]:
        own = {name: held.carried[key] for name, key in self.states.items()}
        if isinstance(self.form, Remembering):
            prefix = f"{self.planned.name}/"
            own.update({key.removeprefix(prefix): value for key, value in held.constant.items() if key.startswith(prefix)})
        return own

    def _write(self, formed: Formed, wires: Wires, new: dict[str, Tensor]) -> None:
        for name, signal in formed.outputs.items():
            wires[Reference(self.planned.name, name)] = signal
        for name, key in self.states.items():
            new[key] = formed.states[name]
