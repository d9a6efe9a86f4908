"""A planned model as a plain torch module: named layers, run in the plan's order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor, nn

from framework.backends.torch.gru.layer import GRU
from framework.backends.torch.layers import build_layer
from framework.backends.torch.layers.base import Layer, Setting
from framework.backends.torch.recomputation import CountsCalls
from framework.backends.torch.signal import Signal
from framework.builder.plan import ModelPlan, PlannedLayer, Reference
from framework.errors import InputError, nearest


class Cut(NamedTuple):
    """A layer that is to make its output for some steps of the batch alone.

    Attributes:
        layer: its name; it must do the same to every step, whatever the others are.
        counts: which ones, ``(batch, time) bool`` or ``(batch,) bool``; they are the rows of its output then.
    """

    layer: str
    counts: Tensor

    def of(self, signal: Signal) -> Signal:
        """The steps that count, ``(steps, features)``.

        Raises:
            InputError: there are more or fewer steps than what counts is told of.
        """
        shape, told = tuple(signal.value.shape[:-1]), tuple(self.counts.shape)
        if shape != told:
            raise InputError(f"layer '{self.layer}' makes outputs for steps of the shape {shape}, and the targets have the shape {told}")
        return Signal(signal.value.flatten(0, -2).index_select(0, self.counts.flatten().nonzero().flatten()))


class Graph(nn.Module):
    """The layers of a plan.

    Args:
        plan: of the whole model.
        setting: what its layers have in common.

    Raises:
        UnsupportedArgument: a layer cannot be built as its config says; layer and argument are named.
    """

    def __init__(self, plan: ModelPlan, setting: Setting) -> None:
        super().__init__()
        self.plan = plan
        self.layers = nn.ModuleDict({_key(layer.name): build_layer(layer, setting) for layer in plan.layers})

    def layer(self, name: str) -> Layer:
        """The layer of that name."""
        found = self.layers[_key(name)]
        assert isinstance(found, Layer)
        return found

    def weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every weight as (``layer/weight``, value) in Keras' layout and order; a parameter unless it is computed from others."""
        for planned in self.plan.layers:
            for name, weight in self.layer(planned.name).weights():
                yield f"{planned.name}/{name}", weight

    def forward(self, inputs: Mapping[str, Tensor], cut: Cut | None = None) -> dict[str, Signal]:
        """Runs the model.

        Args:
            inputs: by model input's name, ``(batch, time, …)``.
            cut: what is left out.

        Returns:
            The model's outputs by name, with their masks.

        Raises:
            InputError: an input is missing or unknown.
        """
        wires = {Reference(name): Signal(value) for name, value in self._checked(inputs).items()}
        for planned in self.plan.layers:
            run_layer(planned, self.layer(planned.name), wires, cut)
        return {name: wires[reference] for name, reference in self.plan.outputs.items()}

    def _checked(self, inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        for name in self.plan.inputs:
            if name not in inputs:
                raise InputError(f"the model input '{name}' is missing; given: {', '.join(inputs) or 'none'}")
        for name in inputs:
            if name not in self.plan.inputs:
                close = nearest(name, self.plan.inputs)
                known = ", ".join(self.plan.inputs)
                raise InputError(f"the model has no input '{name}', only {known}" + (f"; did you mean '{close}'?" if close else ""))
        return inputs

    def losses(self) -> list[Tensor]:
        """Penalties of all layers, to add to the loss."""
        return [loss for planned in self.plan.layers for loss in self.layer(planned.name).losses()]

    def apply_constraints(self) -> None:
        """Projects all constrained weights; called after each optimizer step."""
        for planned in self.plan.layers:
            self.layer(planned.name).apply_constraints()

    def stateful_grus(self) -> Iterator[tuple[str, GRU]]:
        """The GRUs that keep their state from batch to batch, as ``layer/number``."""
        for planned in self.plan.layers:
            found = [module for module in self.layer(planned.name).modules() if isinstance(module, GRU) and module.stateful]
            yield from ((f"{planned.name}/{number}", gru) for number, gru in enumerate(found))

    def reset_states(self) -> None:
        """Puts the kept states to zeros."""
        for _, gru in self.stateful_grus():
            gru.reset_states()

    @contextmanager
    def fresh_states(self) -> Iterator[None]:
        """Within, stateful layers start from zeros, for a batch of any size; afterwards they have their states back."""
        kept = self.swap_states({})
        try:
            yield
        finally:
            self.swap_states(kept)

    def swap_states(self, states: Mapping[str, Tensor | None]) -> dict[str, Tensor | None]:
        """Gives stateful layers these states by their names, or none, so that they start from zeros; what they had is returned."""
        kept = {}
        for path, gru in self.stateful_grus():
            kept[path], gru.state = gru.state, states.get(path)
        return kept

    def start_step(self, step: int, first_row: int = 0) -> None:
        """Tells all dropout which training step is coming, and which row of the whole batch is this process's first."""
        for module in self.modules():
            if isinstance(module, CountsCalls):
                module.start_step(step, first_row)

    def forget_calls(self) -> None:
        """The next step told is a new one, even if it has the number of the last."""
        for module in self.modules():
            if isinstance(module, CountsCalls):
                module.call_log.end_steps()


def run_layer(planned: PlannedLayer, layer: Layer, wires: dict[Reference, Signal], cut: Cut | None = None) -> None:
    """Runs one layer on what it reads, or on what a cut of it leaves, and puts its outputs beside it."""
    signals = {field: tuple(wires[one] for one in found) for field, found in planned.references.items()}
    read = signals.pop("inputs")
    if cut is not None and cut.layer == planned.name:
        read = tuple(cut.of(one) for one in read)
    for name, signal in layer(read, signals).items():
        wires[Reference(planned.name, name)] = signal


def _key(name: str) -> str:
    """Name of a layer within ``nn.ModuleDict``, which has methods of its own and takes no dots."""
    plain = name.replace(".", "_")
    return f"{plain}_" if hasattr(nn.ModuleDict, plain) or plain == "training" else plain
