"""The equations of attention in plain torch: keys of a memory, scores of a query, and the context."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from framework.backends.base.scoring import Scoring
from framework.backends.torch.large_product import large_product


@dataclass(frozen=True)
class Memory:
    """What is attended to, made once for all steps.

    Attributes:
        keys: ``(batch, places, units)``.
        values: ``(batch, places, features)``; zeros at places that are left out.
        blocked: ``(batch, places) bool``, the places that are left out, or None.
    """

    keys: Tensor
    values: Tensor
    blocked: Tensor | None = None

    @classmethod
    def of(cls, places: Tensor, mask: Tensor | None, scoring: Scoring) -> Memory:
        """The memory of ``places (batch, places, features)``, of which ``mask (batch, places) bool`` says which count."""
        blocked = None if mask is None else ~mask
        values = places if blocked is None else places.masked_fill(blocked[:, :, None], 0.0)
        if scoring.key_kernel is not None:
            return cls(large_product(values, scoring.key_kernel, scoring.key_bias), values, blocked)
        return cls(values if scoring.key_bias is None else values + scoring.key_bias, values, blocked)

    @classmethod
    def held(cls, states: Mapping[str, Tensor]) -> Memory:
        """The memory among what a step finds, where :meth:`constants` put it."""
        return cls(states["keys"], states["values"], states.get("blocked"))

    def constants(self) -> dict[str, Tensor]:
        """By the names under which steps find it."""
        constants = {"keys": self.keys, "values": self.values}
        return constants if self.blocked is None else {**constants, "blocked": self.blocked}


def attend(queries: Tensor, memory: Memory, scoring: Scoring) -> tuple[Tensor, Tensor]:
    """Contexts and weights.

    Where no place counts, all count alike; their values are zeros.

    Args:
        queries: ``(batch, queries, width)``, several for each row.
        memory: of the rows.
        scoring: the score's weights.

    Returns:
        ``(batch, queries, features)`` and ``(batch, queries, places)``.
    """
    asked = queries if scoring.query_kernel is None else queries @ scoring.query_kernel
    return attend_projected(asked, memory, scoring)


def attend_projected(
    asked: Tensor, memory: Memory, scoring: Scoring, tanh: Callable[[Tensor], Tensor] = torch.tanh
) -> tuple[Tensor, Tensor]:
    """The same for queries that are multiplied with their kernel already, ``(batch, queries, units)``, and by another tanh."""
    if scoring.score is None:
        scores = asked @ memory.keys.transpose(1, 2)
    else:
        scores = tanh(memory.keys[:, None] + asked[:, :, None]) @ scoring.score
    if scoring.score_bias is not None:
        scores = scores + scoring.score_bias
    if memory.blocked is not None:
        scores = scores.masked_fill(memory.blocked[:, None], torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, dim=-1)
    return weights @ memory.values, weights
