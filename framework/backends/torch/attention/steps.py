"""Attention at the steps of a sequence with derivatives written by hand, in memory of its own."""

from __future__ import annotations

import torch
from torch import Tensor

from framework.backends.torch.attention.memory import Memory
from framework.backends.torch.logistic import by_logistic, tanh_of_half_


class AttentionSteps:
    """The forward pass of an attention over all steps of a sequence, step by step.

    Args:
        memory: attended to.
        score: ``(units,)`` of an additive score; None for the product of key and query.
        steps: of the sequence.

    Attributes:
        queries: of each step, multiplied with their kernel, ``(time, batch, units)``.
        weights: ``(time, batch, places)``.
        contexts: ``(time, batch, features)``.
    """

    def __init__(self, memory: Memory, score: Tensor | None, steps: int) -> None:
        batch, places, units = memory.keys.shape
        self.memory, self.score = memory, score
        self.queries = memory.keys.new_empty(steps, batch, units)
        self.weights = memory.keys.new_empty(steps, batch, places)
        self.contexts = memory.keys.new_empty(steps, batch, memory.values.shape[2])
        self._sums = _Sums(memory.keys) if score is not None else None

    def attend(self, step: int, query: Tensor) -> Tensor:
        """The context ``(batch, features)`` of a step's query ``(batch, units)``."""
        kept = self.queries[step].copy_(query)
        scores = _scores(self.memory, kept, self.score, self._sums)
        weights = torch.softmax(scores, 1, out=self.weights[step])
        context = self.contexts[step]
        torch.bmm(weights[:, None], self.memory.values, out=context[:, None])
        return context


class AttentionStepsBack:
    """The backward pass of :class:`AttentionSteps`.

    What tanh is taken of is computed again at every step: kept, it would be most of the memory that a decoder takes.

    Args:
        memory: of the forward pass.
        score: of the forward pass.
        queries: of the forward pass.
        weights: of the forward pass.
        contexts: whether what is given at the end holds the gradients of values too.
    """

    def __init__(self, memory: Memory, score: Tensor | None, queries: Tensor, weights: Tensor) -> None:
        self.memory, self.score, self.queries, self.weights = memory, score, queries, weights
        self.d_contexts = queries.new_empty(*queries.shape[:2], memory.values.shape[2])
        self._d_scores = torch.empty_like(weights)
        if score is None:
            return
        self._sums = _Sums(memory.keys)
        self._slopes = torch.zeros_like(memory.keys, memory_format=torch.contiguous_format)
        self._d_score = torch.zeros_like(score)

    def back(self, step: int, d_context: Tensor, d_weights: Tensor | None, d_query: Tensor) -> None:
        """Writes the gradient of a step's query to ``d_query (batch, units)``.

        Args:
            step: its number; from the last one to the first, each once.
            d_context: ``(batch, features)``.
            d_weights: ``(batch, places)``, what comes to the weights besides; or None.
            d_query: where to.
        """
        memory, weights = self.memory, self.weights[step]
        kept = self.d_contexts[step].copy_(d_context)
        of_weights = torch.linalg.vecdot(memory.values, kept[:, None])
        if d_weights is not None:
            of_weights.add_(d_weights)
        mean = torch.linalg.vecdot(weights, of_weights)[:, None]
        d_scores = torch.mul(weights, of_weights.sub_(mean), out=self._d_scores[step])
        if memory.blocked is not None:
            d_scores.masked_fill_(memory.blocked, 0.0)
        if self.score is None:
            torch.bmm(d_scores[:, None], memory.keys, out=d_query[:, None])
            return
        sums = self._sums.tanh(self.queries[step])
        self._d_score.addmv_(sums.flatten(0, 1).t(), d_scores.flatten())
        slopes = torch.ops.aten.tanh_backward.grad_input(d_scores[:, :, None].expand_as(sums), sums, grad_input=sums)
        self._slopes.add_(slopes)
        torch.mul(slopes.sum(1), self.score, out=d_query)

    def gradients(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Of keys, values and, where there is one, the score; each one product over all steps, or a sum made on the way."""
        d_values = torch.bmm(self.weights.permute(1, 2, 0), self.d_contexts.transpose(0, 1))
        if self.score is None:
            return torch.bmm(self._d_scores.permute(1, 2, 0), self.queries.transpose(0, 1)), d_values, None
        return self._slopes.mul_(self.score), d_values, self._d_score


def _scores(memory: Memory, query: Tensor, score: Tensor | None, sums: _Sums | None) -> Tensor:
    if score is None or sums is None:
        scores: Tensor = torch.linalg.vecdot(memory.keys, query[:, None])
    else:
        scores = torch.mv(sums.tanh(query).flatten(0, 1), score).view(memory.keys.shape[:2])
    return scores if memory.blocked is None else scores.masked_fill_(memory.blocked, torch.finfo(scores.dtype).min)


class _Sums:
    """tanh of the sums of keys and a query, in memory of its own, which holds them until the next query.

    It is made of the logistic function where that is faster: torch's own was a tenth of a translator's training step.

    Args:
        keys: ``(batch, places, units)``.
    """

    def __init__(self, keys: Tensor) -> None:
        self._logistic = by_logistic(keys)
        self._keys = keys * 2 if self._logistic else keys
        self._out = torch.empty_like(keys, memory_format=torch.contiguous_format)

    def tanh(self, query: Tensor) -> Tensor:
        """``(batch, places, units)`` of a query ``(batch, units)``."""
        if not self._logistic:
            return torch.add(self._keys, query[:, None], out=self._out).tanh_()
        return tanh_of_half_(torch.add(self._keys, query[:, None], alpha=2, out=self._out))
