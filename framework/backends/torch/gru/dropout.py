"""Dropout masks of a GRU: drawn once a batch, shared by all its steps, and kept so that one can look at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from framework.errors import InputError


class DropoutMasks(nn.Module):
    """The masks of one kind, on the inputs or on the state.

    A mask serves one call of the layer. The call applies the masks that are kept here if they have not been applied yet (someone
    asked for them or put them since the call before) and draws new ones otherwise; they are kept until the next call, so that
    what was applied can be looked at.

    With a seed, the k-th mask of the layer's life depends on (seed, k) alone; k is a saved buffer, so a resumed training goes on
    with the same masks. Without one, torch's global random numbers are used.

    Args:
        rate: fraction to drop, 0 to 1; what is left is scaled by ``1 / (1 - rate)``.
        seed: of the layer, or None.
        stream: tells apart the kinds of one layer, which share its seed.
        what: for messages.

    Source: Gal & Ghahramani 2016, section 3, for one mask over all steps.
    """

    draws: Tensor

    def __init__(self, rate: float, seed: int | None, stream: int, what: str) -> None:
        super().__init__()
        self.rate, self.seed, self.stream, self.what = rate, seed, stream, what
        self._masks: list[Tensor] = []
        self._applied = False
        self._count = 0
        if seed is not None and rate > 0.0:
            self.register_buffer("draws", torch.zeros((), dtype=torch.int64))

    def clear(self) -> None:
        """Forgets the masks; the next call draws new ones."""
        self._masks, self._applied = [], False

    def put(self, masks: Sequence[Tensor]) -> None:
        """Makes the next call apply these masks, each ``(batch, width)``: one for every gate, or z, r, h."""
        self._masks, self._applied = list(masks), False

    def get(self, rows: int, like: Tensor, width: int, count: int) -> list[Tensor]:
        """At least ``count`` masks ``(rows, width)`` in the dtype and on the device of ``like``: the kept ones, and new ones for the rest.

        Raises:
            InputError: masks kept for the next call have another shape.
        """
        if self._applied and any(tuple(mask.shape) != (rows, width) for mask in self._masks):
            self.clear()
        for mask in self._masks:
            if tuple(mask.shape) != (rows, width):
                raise InputError(
                    f"the {self.what} kept for the next call has the shape {tuple(mask.shape)}, this batch needs {(rows, width)}; "
                    f"reset_{self.what.replace(' ', '_')}() drops it"
                )
        self._masks = [mask.to(dtype=like.dtype, device=like.device) for mask in self._masks]
        while len(self._masks) < count:
            self._masks.append(self._draw(rows, width, like))
        return self._masks[:count]

    def apply_next(self, rows: int, like: Tensor, width: int, count: int) -> list[Tensor]:
        """The masks for one call of the layer; see the class for which these are."""
        if self._applied:
            self.clear()
        masks = self.get(rows, like, width, count)
        self._applied = True
        return masks

    def _draw(self, rows: int, width: int, like: Tensor) -> Tensor:
        if self.rate >= 1.0:
            return like.new_zeros(rows, width)
        generator = None
        if self.seed is not None:
            # Odd multipliers spread (seed, kind, draw) over 64 bits; the generator mixes them further.
            mixed = (self.seed * 0x9E3779B97F4A7C15 + self.stream * 0xBF58476D1CE4E5B9 + self._count * 0x94D049BB133111EB) % 2**63
            generator = torch.Generator(like.device).manual_seed(mixed)
            self._count += 1
            self.draws.fill_(self._count)
        kept = torch.empty(rows, width, dtype=like.dtype, device=like.device).bernoulli_(1.0 - self.rate, generator=generator)
        return kept.div_(1.0 - self.rate)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        if hasattr(self, "draws"):
            self._count = int(self.draws)
