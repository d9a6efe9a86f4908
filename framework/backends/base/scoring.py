"""The weights of an attention's score in one form, whatever its kind; the same on both backends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from framework.spec.layers.attention import ScoreSpec


@dataclass(frozen=True)
class Scoring:
    """A score is ``score · tanh(key + q Q)``, or ``key · q`` where there is no ``score``; tensors of the backend.

    Attributes:
        query_kernel: Q, ``(width, units)``; None: the query as it is.
        key_kernel: ``(features, units)``; None: places are their own keys.
        key_bias: ``(units,)``, all biases that meet in the sum; or None.
        score: ``(units,)``, or None.
        score_bias: ``(1,)``, or None; the softmax does not see it.
    """

    query_kernel: Any = None
    key_kernel: Any = None
    key_bias: Any = None
    score: Any = None
    score_bias: Any = None

    @classmethod
    def of(cls, spec: ScoreSpec, weights: Mapping[str, Any], width: int) -> Scoring:
        """The form of a kind.

        Args:
            spec: the score's.
            weights: by their planned names, without what these begin with: ``query/kernel``, ``score/bias``, ….
            width: of the query.
        """
        score = weights["score/kernel"][:, 0] if "score/kernel" in weights else None
        if spec.kind == "concat":
            kernel = weights["concat/kernel"]
            return cls(kernel[:width], kernel[width:], weights.get("concat/bias"), score)
        biases = [weights[name] for name in ("query/bias", "memory/bias") if name in weights]
        bias = biases[0] + biases[1] if biases else None
        return cls(weights.get("query/kernel"), weights.get("memory/kernel"), bias, score, weights.get("score/bias"))
