"""Penalties on what a layer puts out, summed over the calls of a training step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from framework.backends.torch.identifiers import Penalty
from framework.backends.torch.recomputation import in_backward
from framework.backends.torch.tracing import ordinary, recorded, transformed
from framework.errors import UnsupportedArgument


class ActivityPenalties:
    """The penalties of all calls of a layer within one step.

    torch does not tell a layer where a step ends. The calls of a step are those up to the first call after the penalties were asked for
    or a backward pass went through the outputs, in the same mode (training or not, with or without gradients): a layer that a model calls
    twice has both penalties, and no step has those of the step before.

    Source: Keras, ``Layer.losses``, which adds up all calls of a layer within one call of the model.
    """

    def __init__(self) -> None:
        self._step: _Step | None = None
        self._penalties: list[Tensor] = []

    def record(self, penalty: Penalty, outputs: Sequence[Tensor], training: bool, label: str) -> None:
        """Adds the penalties of a call.

        Args:
            penalty: of an output.
            outputs: of the call; a penalty is divided by the length of its output's first axis, as Keras does.
            training: the layer's mode.
            label: how messages call the layer.

        Raises:
            UnsupportedArgument: the call is one that a backward pass runs again and whose penalty was recorded without a gradient.
        """
        if recorded():
            return
        # A checkpointed call that is run again must do what it did the first time; its penalty is in the sum already.
        penalties = [penalty(output) / output.shape[0] for output in outputs]
        if in_backward():
            _refuse_lost_gradient(label)
            return
        mode = (torch.is_grad_enabled(), training)
        if self._step is None or self._step.over or self._step.mode != mode:
            self._step, self._penalties = _Step(mode), penalties
        else:
            self._penalties = [one + other for one, other in zip(self._penalties, penalties, strict=True)]
        for output in outputs:
            if output.requires_grad and ordinary(output):
                output.register_hook(self._step.end)  # type: ignore[no-untyped-call]

    def read(self) -> list[Tensor]:
        """One scalar for each output, summed over the step's calls; the next call begins another step."""
        if self._step is not None:
            self._step.over = True
        return list(self._penalties)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles begin with none: what is recorded hangs in a graph."""
        return {"_step": None, "_penalties": []}


class _Step:
    """Whether a step is over. Outputs' hooks hold this alone, so that no graph holds itself."""

    def __init__(self, mode: tuple[bool, bool]) -> None:
        self.mode, self.over = mode, False

    def end(self, gradient: Tensor) -> None:
        """Ends the step with its backward pass. One that makes a graph, as for a penalty on gradients, is a part of the forward pass."""
        if not torch.is_grad_enabled() or transformed():
            self.over = True


def _refuse_lost_gradient(label: str) -> None:
    hooks: object = torch._C._autograd._top_saved_tensors_default_hooks(True)
    if torch.is_grad_enabled() and hooks is None:
        raise UnsupportedArgument(
            f"{label}: activity_regularizer gets no gradient where a backward pass first makes the graph, "
            "as torch.utils.checkpoint does with use_reentrant=True; use_reentrant=False keeps it"
        )
