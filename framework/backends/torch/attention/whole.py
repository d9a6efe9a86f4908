"""Attention of a whole sequence of queries, where no step waits for another."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from framework.backends.base.scoring import Scoring
from framework.backends.torch.attention.memory import Memory, attend_projected
from framework.backends.torch.attention.steps import AttentionSteps, AttentionStepsBack
from framework.backends.torch.large_product import large_product
from framework.backends.torch.second_order import plain_gradients
from framework.backends.torch.tracing import ordinary


def attend_whole(queries: Tensor, memory: Memory, scoring: Scoring) -> tuple[Tensor, Tensor]:
    """The same numbers as :func:`framework.backends.torch.attention.memory.attend`.

    What an additive score takes tanh of has a value for every row, query, place and unit: it is made for one query after the other, and
    once more in the backward pass, instead of being kept.

    Args:
        queries: ``(batch, queries, width)``.
        memory: attended to.
        scoring: the score's weights.

    Returns:
        ``(batch, queries, features)`` and ``(batch, queries, places)``.
    """
    asked = queries if scoring.query_kernel is None else large_product(queries, scoring.query_kernel)
    fast = scoring.score is not None and ordinary(asked, memory.keys, memory.values, scoring.score)
    if not fast or not asked.numel() or not memory.values.numel():
        return attend_projected(asked, memory, scoring)
    tensors = (asked.transpose(0, 1), memory.keys, memory.values, scoring.score, scoring.score_bias)
    contexts, weights = _Attend.apply(*tensors, memory.blocked)  # type: ignore[no-untyped-call]
    return contexts.transpose(0, 1), weights.transpose(0, 1)


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, asked: Tensor, keys: Tensor, values: Tensor, score: Tensor, score_bias: Tensor | None, blocked: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        steps = AttentionSteps(Memory(keys, values, blocked), score, len(asked))
        for step, query in enumerate(asked.unbind(0)):
            steps.attend(step, query)
        ctx.blocked = blocked
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(asked, keys, values, score, score_bias, steps.weights)
        return steps.contexts, steps.weights.clone()

    @staticmethod
    def backward(ctx: Any, d_contexts: Tensor | None, d_weights: Tensor | None) -> tuple[Tensor | None, ...]:
        *tensors, weights = ctx.saved_tensors
        needed: tuple[bool, ...] = ctx.needs_input_grad
        given = (d_contexts, d_weights)
        if d_contexts is None and d_weights is None:
            return (None,) * 6
        if torch.is_grad_enabled() or not ordinary(*given):
            return (*plain_gradients(partial(_plain, blocked=ctx.blocked), tensors, needed, given), None)
        asked, keys, values, score, score_bias = tensors
        steps = AttentionStepsBack(Memory(keys, values, ctx.blocked), score, asked, weights)
        d_asked = torch.empty_like(asked, memory_format=torch.contiguous_format)
        for step in range(len(asked) - 1, -1, -1):
            of_context = values.new_zeros(values.shape[0], values.shape[2]) if d_contexts is None else d_contexts[step]
            steps.back(step, of_context, None if d_weights is None else d_weights[step], d_asked[step])
        d_score_bias = None if score_bias is None else torch.zeros_like(score_bias)
        return (d_asked, *steps.gradients(), d_score_bias, None)


def _plain(
    asked: Tensor, keys: Tensor, values: Tensor, score: Tensor, score_bias: Tensor | None, blocked: Tensor | None
) -> tuple[Tensor, Tensor]:
    """What the operation gives, by plain operations."""
    scoring = Scoring(score=score, score_bias=score_bias)
    contexts, weights = attend_projected(asked.transpose(0, 1), Memory(keys, values, blocked), scoring)
    return contexts.transpose(0, 1), weights.transpose(0, 1)
