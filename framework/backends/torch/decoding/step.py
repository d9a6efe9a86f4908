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


class Part:
    """One layer's share of a step. What does not change from step to step is looked up once: a step's products leave caches cold.

    Args:
        planned: the layer.
        form: what it does.
        folded: whether it looks the tokens up itself in a step of one token.
    """

    def __init__(self, planned: PlannedLayer, form: StepForm, folded: bool) -> None:
        self.planned, self.form = planned, form
        self._remembering = form if isinstance(form, Remembering) else None
        self._inputs = planned.references["inputs"]
        self._step_inputs = () if folded else self._inputs
        self._states = [(name, f"{planned.name}/{name}") for name in planned.state]
        self._outputs = [(name, Reference(planned.name, name)) for name in planned.outputs]

    def step(self, wires: Wires, tokens: Tensor, held: Held, new: dict[str, Tensor]) -> None:
        """A step of one token: the outputs go to ``wires``, the states to ``new``."""
        formed = self.form.step([wires[one] for one in self._step_inputs], tokens, self._own(held))
        self._write(formed, wires, new)

    def read(self, wires: Wires, held: Held, new: dict[str, Tensor]) -> None:
        """All steps of a prompt; otherwise as :meth:`step`."""
        self._write(self.form.read([wires[one] for one in self._inputs], self._own(held)), wires, new)

    def constants(self, wires: Wires, like: Tensor) -> Mapping[str, Tensor]:
        """What its steps read and what stays as it is, by its names in the model."""
        if self._remembering is None:
            return {}
        fields = {field: found for field, found in self.planned.references.items() if field not in ("inputs", "initial_state")}
        made = self._remembering.constants({field: [wires[one] for one in found] for field, found in fields.items()}, like)
        return {f"{self.planned.name}/{name}": value for name, value in made.items()}

    def _own(self, held: Held) -> Mapping[str, Tensor]:
        carried, constant = held
        own = {name: carried[key] for name, key in self._states}
        if self._remembering is not None:
            prefix = f"{self.planned.name}/"
            own.update({key.removeprefix(prefix): value for key, value in constant.items() if key.startswith(prefix)})
        return own

    def _write(self, formed: Formed, wires: Wires, new: dict[str, Tensor]) -> None:
        outputs, states = formed
        for name, reference in self._outputs:
            wires[reference] = outputs[name]
        for name, key in self._states:
            new[key] = states[name]
