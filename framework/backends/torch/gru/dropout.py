"""Dropout masks of a GRU: made once a call, shared by all its steps, and kept so that one can look at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from framework.backends.torch.dropout_masks import dropout_masks
from framework.backends.torch.recomputation import Call, CallLog, KeepsDraws, draw
from framework.errors import InputError


class DropoutMasks(KeepsDraws):
    """The masks of one kind, on the inputs or on the state.

    A mask serves one call of the layer. The call applies the masks that are kept here if they have not been applied yet (someone
    asked for them or put them since the call before) and makes new ones otherwise; they are kept until the next call, so that
    what was applied can be looked at. A call that a backward pass runs again applies what it applied the first time.

    With a seed, the masks depend on it and on the numbers of the call alone. Without one, they are made of a number from torch's global
    generator.

    Args:
        rate: fraction to drop, 0 to 1; what is left is scaled by ``1 / (1 - rate)``.
        seed: of the layer, or None.
        stream: tells apart the kinds of one layer, which share its seed.
        what: for messages.
        log: of the layer's calls.

    Source: Gal & Ghahramani 2016, section 3, for one mask over all steps.
    """

    def __init__(self, rate: float, seed: int | None, stream: int, what: str, log: CallLog) -> None:
        super().__init__()
        self.rate, self.seed, self.stream, self.what, self.call_log = rate, seed, stream, what, log
        self.keeps_draws = seed is not None and rate > 0.0
        self._masks: list[Tensor] = []
        self._applied = False
        # Whose masks those are that were made here.
        self._call: Call | None = None

    def clear(self) -> None:
        """Forgets the masks; the next call makes new ones."""
        if self._masks and not self._applied:
            self.call_log.skip()  # its numbers would give the same masks again
        self.put([])

    def put(self, masks: Sequence[Tensor]) -> None:
        """Makes the next call apply these masks, each ``(batch, width)``: one for every gate, or z, r, h."""
        self._masks, self._applied, self._call = list(masks), False, None

    def get(self, rows: int, like: Tensor, width: int, count: int) -> list[Tensor]:
        """``count`` masks ``(rows, width)`` in the dtype and on the device of ``like``: the kept ones, and new ones for the rest.

        Raises:
            InputError: masks kept for the next call have another shape.
        """
        if self._applied and any(tuple(mask.shape) != (rows, width) for mask in self._masks):
            self.clear()
        if self._call is None:
            self._call = Call(*self.call_log.coming(), draw() if self.seed is None else 0)
        return self._filled(self._call, rows, like, width, count)

    def apply_next(self, call: Call, rows: int, like: Tensor, width: int, count: int) -> list[Tensor]:
        """The masks for one call of the layer; see the class for which these are.

        Raises:
            InputError: masks kept for this call have another shape.
        """
        kept: list[Tensor] | None = None
        if call.again:
            kept = call.first(self.what, kept)
            return kept or self._made(call, rows, like, width, count)
        if self._applied:
            self.put([])
        seen = bool(self._masks)
        self._call = self._call or call
        masks = self._filled(self._call, rows, like, width, count)
        self._applied = True
        call.first(self.what, masks if seen else kept)
        return masks

    def _filled(self, call: Call, rows: int, like: Tensor, width: int, count: int) -> list[Tensor]:
        for mask in self._masks:
            if tuple(mask.shape) != (rows, width):
                raise InputError(
                    f"the {self.what} kept for the next call has the shape {tuple(mask.shape)}, this batch needs {(rows, width)}; "
                    f"reset_{self.what.replace(' ', '_')}() drops it"
                )
        self._masks = [mask.to(dtype=like.dtype, device=like.device) for mask in self._masks]
        if len(self._masks) < count:
            self._masks += self._made(call, rows, like, width, count)[len(self._masks) :]
        return self._masks[:count]

    def _made(self, call: Call, rows: int, like: Tensor, width: int, count: int) -> list[Tensor]:
        return dropout_masks(call.words(self.seed, self.stream), count, rows, width, self.rate, like, self.call_log.first_row)


def masks_for_cell(masks: DropoutMasks, inputs: Tensor, training: bool, time_major: bool, count: int) -> Any:
    """What the documented methods give: the masks of the coming or the last call, one or a list, in the rank of ``inputs``."""
    if masks.rate == 0.0:
        return None
    time = 0 if time_major else 1
    one_step = inputs.select(time, 0) if inputs.dim() == 3 else inputs
    if training:
        found = masks.get(one_step.shape[0], one_step, one_step.shape[1], count)
    else:
        found = [torch.ones_like(one_step) for _ in range(count)]
    if inputs.dim() == 3:
        found = [mask.unsqueeze(time) for mask in found]
    return found[0] if count == 1 else found
