"""The equations of attention in plain torch: keys of a memory, scores of a query, and the context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from framework.spec.layers.attention import ScoreSpec


@dataclass(frozen=True)
class Scoring:
    """A score's weights, whatever its kind: ``score · tanh(key + q Q)``, or ``key · q`` where there is no ``score``.

    Attributes:
        query_kernel: Q, ``(width, units)``; None: the query as it is.
        key_kernel: ``(features, units)``; None: places are their own keys.
        key_bias: ``(units,)``, all biases that meet in the sum; or None.
        score: ``(units,)``, or None.
        score_bias: ``(1,)``, or None; the softmax does not see it.
    """

    query_kernel: Tensor | None = None
    key_kernel: Tensor | None = None
    key_bias: Tensor | None = None
    score: Tensor | None = None
    score_bias: Tensor | None = None

    @classmethod
    def of(cls, spec: ScoreSpec, weights: Mapping[str, Tensor], width: int) -> Scoring:
        """The form of a kind.

        Args:
            spec: the score's.
            weights: by their planned names, those of ``attention/`` without it.
            width: of the query.
        """
        score = weights["score/kernel"][:, 0] if "score/kernel" in weights else None
        if spec.kind == "concat":
            kernel = weights["concat/kernel"]
            return cls(kernel[:width], kernel[width:], weights.get("concat/bias"), score)
        biases = [weights[name] for name in ("query/bias", "memory/bias") if name in weights]
        bias = biases[0] + biases[1] if biases else None
        return cls(weights.get("query/kernel"), weights.get("memory/kernel"), bias, score, weights.get("score/bias"))


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
        keys = values if scoring.key_kernel is None else values @ scoring.key_kernel
        return cls(keys if scoring.key_bias is None else keys + scoring.key_bias, values, blocked)


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


def attend_projected(asked: Tensor, memory: Memory, scoring: Scoring) -> tuple[Tensor, Tensor]:
    """The same for queries that are multiplied with their kernel already, ``(batch, queries, units)``."""
    if scoring.score is None:
        scores = asked @ memory.keys.transpose(1, 2)
    else:
        scores = torch.tanh(memory.keys[:, None] + asked[:, :, None]) @ scoring.score
    if scoring.score_bias is not None:
        scores = scores + scoring.score_bias
    if memory.blocked is not None:
        scores = scores.masked_fill(memory.blocked[:, None], torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, dim=-1)
    return weights @ memory.values, weights
