"""The documented methods of the GRU beside its call: states, dropout masks, penalties and constraints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from framework.backends.torch.activity import ActivityPenalties
from framework.backends.torch.gru.dropout import DropoutMasks
from framework.backends.torch.gru.properties import GRUProperties
from framework.backends.torch.recomputation import CountsCalls
from framework.backends.torch.weights import write_weights
from framework.errors import InputError


class GRUSurface(GRUProperties, CountsCalls):
    """States, dropout masks, penalties and constraints of a GRU."""

    training: bool
    kernel: nn.Parameter | None
    recurrent_kernel: nn.Parameter | None
    bias: nn.Parameter | None
    dropout_masks: DropoutMasks
    recurrent_dropout_masks: DropoutMasks
    activity_penalties: ActivityPenalties
    state: Tensor | None

    @property
    def label(self) -> str:
        """How messages call this layer."""
        name = self.arguments.spec.name
        return f"GRU '{name}'" if name else "GRU"

    def _weights(self) -> dict[str, Tensor]:
        raise NotImplementedError

    def get_initial_state(self, inputs: Tensor | None = None, batch_size: int | None = None) -> list[Tensor]:
        """Zeros ``[(batch, units)]`` for a batch like ``inputs``, or of ``batch_size`` rows as in Keras 3.

        Raises:
            InputError: neither is given.
        """
        if inputs is not None:
            batch_size = inputs.shape[1] if self.time_major and inputs.dim() == 3 else inputs.shape[0]
        if batch_size is None:
            raise InputError(f"{self.label}: get_initial_state needs inputs or batch_size")
        dtype = inputs.dtype if inputs is not None and inputs.is_floating_point() else None
        device = inputs.device if inputs is not None else None
        return [self._zeros(batch_size, device, dtype)]

    def reset_states(self, states: Any = None) -> None:
        """Sets the kept state of a stateful layer.

        Args:
            states: ``(batch, units)`` or a list with it, a tensor or array; zeros when not given.

        Raises:
            InputError: the layer is not stateful, its batch size is not known yet, or the shape does not fit.
        """
        if not self.stateful:
            raise InputError(f"{self.label}: reset_states needs stateful=True; this layer keeps no state")
        if states is None:
            batch = self.arguments.shape.batch if self.state is None else self.state.shape[0]
            if batch is not None:
                self._keep(self._zeros(batch))
            return
        state = self._single_state(states, "states")
        batch = self.arguments.shape.batch
        expected = (state.shape[0] if batch is None and state.dim() else batch, self.units)
        if tuple(state.shape) != expected:
            raise InputError(f"{self.label}: states has the shape {tuple(state.shape)}; it must be (batch, units), here {expected}")
        self._keep(state)

    def _single_state(self, states: Any, argument: str) -> Tensor:
        """The one state in ``states``, a tensor, an array, or a list of them."""
        if isinstance(states, (list, tuple)) and not all(isinstance(one, (int, float)) for one in states):
            if len(states) != 1:
                raise InputError(f"{self.label}: {argument} has {len(states)} states; a GRU has one")
            states = states[0]
        return states if isinstance(states, Tensor) else torch.as_tensor(np.asarray(states))

    def _zeros(self, batch: int, device: torch.device | None = None, dtype: torch.dtype | None = None) -> Tensor:
        weight = self.recurrent_kernel
        if weight is None:
            return torch.zeros(batch, self.units, device=device, dtype=dtype)
        dtype = self._compute_dtype(weight.device.type, weight.dtype)
        return torch.zeros(batch, self.units, device=weight.device, dtype=dtype)

    def _keep(self, state: Tensor) -> None:
        weight = self.recurrent_kernel
        like = state if weight is None else weight
        dtype = state.dtype if weight is None else self._compute_dtype(like.device.type, like.dtype)
        # A state kept in inference mode, as Lightning validates, must serve the training step after it.
        with torch.inference_mode(False):
            self.state = state.detach().to(device=like.device, dtype=dtype, copy=True)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moves and casts the kept state with the weights. It is no buffer: each process and each copy of a model has its own rows."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.state is not None:
            moved = fn(self.state)
            self.state = torch.zeros_like(moved) if self.state.is_meta else moved
        return self

    def get_dropout_mask_for_cell(self, inputs: Tensor, training: bool | None, count: int = 1) -> Any:
        """The dropout mask on the inputs, which the layer's next call will apply, or its last call applied.

        Args:
            inputs: of one step ``(batch, features)``, or of the whole sequence; the mask has the width and rows of one step and the
                rank of ``inputs``, so that their product is the dropped input.
            training: True, False, or None for the module's own mode.
            count: how many masks; three are the gates' z, r and h.

        Returns:
            None when ``dropout`` is 0; a mask for a ``count`` of 1, else a list; ones when not training.
        """
        return self._masks_for_cell(self.dropout_masks, inputs, training, count)

    def get_recurrent_dropout_mask_for_cell(self, inputs: Tensor, training: bool | None, count: int = 1) -> Any:
        """The dropout mask on the state, which the layer's next call will apply, or its last call applied.

        Args:
            inputs: a state ``(batch, units)``.
            training: True, False, or None for the module's own mode.
            count: how many masks; three are the gates' z, r and h.

        Returns:
            None when ``recurrent_dropout`` is 0; a mask for a ``count`` of 1, else a list; ones when not training.
        """
        return self._masks_for_cell(self.recurrent_dropout_masks, inputs, training, count)

    def reset_dropout_mask(self) -> None:
        """Forgets the dropout masks on the inputs; the next call draws new ones."""
        self.dropout_masks.clear()

    def reset_recurrent_dropout_mask(self) -> None:
        """Forgets the dropout masks on the state; the next call draws new ones."""
        self.recurrent_dropout_masks.clear()

    def set_dropout_masks(self, inputs: Sequence[Tensor] = (), recurrent: Sequence[Tensor] = ()) -> None:
        """Makes the next call in training apply these masks instead of drawing them, for comparisons.

        Args:
            inputs: masks ``(batch, features)``: one, or z, r, h with ``implementation`` 1.
            recurrent: masks ``(batch, units)`` z, r, h.
        """
        if inputs:
            self.dropout_masks.put(inputs)
        if recurrent:
            self.recurrent_dropout_masks.put(recurrent)

    def _masks_for_cell(self, masks: DropoutMasks, inputs: Tensor, training: bool | None, count: int) -> Any:
        if masks.rate == 0.0:
            return None
        time = 0 if self.time_major else 1
        one_step = inputs.select(time, 0) if inputs.dim() == 3 else inputs
        if self.training if training is None else training:
            found = masks.get(one_step.shape[0], one_step, one_step.shape[1], count)
        else:
            found = [torch.ones_like(one_step) for _ in range(count)]
        if inputs.dim() == 3:
            found = [mask.unsqueeze(time) for mask in found]
        return found[0] if count == 1 else found

    def losses(self) -> list[Tensor]:
        """Penalties to add to the loss: of each regularized weight, and of the outputs of all calls of the step.

        The calls of a step are those since the penalties were last asked for, or since a backward pass went through an output.
        """
        penalties = [(self._regularizer(name), weight) for name, weight in self._weights().items()]
        of_weights = [penalty(weight) for penalty, weight in penalties if penalty is not None]
        return of_weights if self.activity_regularizer is None else [*of_weights, *self.activity_penalties.read()]

    def apply_constraints(self) -> None:
        """Projects the constrained weights, in place; to be called after each optimizer step.

        Raises:
            InputError: a weight is parametrized or pruned in a way that cannot give its projection; it is named.
        """
        with torch.no_grad():
            projections = [(name, self._constraint(name), weight) for name, weight in self._weights().items()]
            values = [((self, name), project(weight)) for name, project, weight in projections if project is not None]
        write_weights(self.label, values)

    def _record_activity(self, outputs: Sequence[Tensor]) -> None:
        penalty = self.activity_regularizer
        if penalty is not None:
            self.activity_penalties.record(penalty, outputs, self.training, self.label)
