"""What a layer does while a model decodes: one step, or the whole of a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from framework.backends.torch.signal import Signal

States = Mapping[str, Tensor]
"""A layer's states by name, each ``(rows, …)``; beside them its constants, if it has any, one row for each group of rows."""


class Formed(NamedTuple):
    """What a step form gives: the layer's outputs by name, and its new states."""

    outputs: Mapping[str, Signal]
    states: States


class StepForm(Protocol):
    """A layer's share of a decoding step, on the weights of the moment when it was made. Several threads may use it at the same time."""

    def step(self, inputs: Sequence[Signal], tokens: Tensor, states: States) -> Formed:
        """One step.

        Args:
            inputs: what ``inputs`` of the config names, ``(rows, …)``, without time; empty where the layer looks up ``tokens`` itself.
            tokens: the decoded tokens, ``(rows,) int``.
            states: before the step.
        """
        ...

    def read(self, inputs: Sequence[Signal], states: States) -> Formed:
        """A whole prompt.

        Args:
            inputs: ``(rows, time, …)``.
            states: before its first step.
        """
        ...


@runtime_checkable
class Remembering(Protocol):
    """A step form that reads what was made before the first step, and that makes its own constants of it."""

    def constants(self, references: Mapping[str, Sequence[Signal]], like: Tensor) -> States:
        """What its steps find among their states by these names, and what stays as it is.

        Args:
            references: what fields other than ``inputs`` name and was made before the first step, ``(rows, …)``.
            like: in whose data type.
        """
        ...
