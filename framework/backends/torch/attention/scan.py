"""An attending decoder over a whole sequence as one differentiable operation: the GRU's scan, opened by what the attention feeds to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from framework.backends.base.scoring import Scoring
from framework.backends.torch.attention.loop import Decoded, Decoder, DecoderCell, DecoderState, loop
from framework.backends.torch.attention.memory import Memory, attend
from framework.backends.torch.attention.steps import AttentionSteps, AttentionStepsBack
from framework.backends.torch.gru.gates import kernel_gradient, project, project_back
from framework.backends.torch.gru.loop import Weights
from framework.backends.torch.gru.products import Product, turned
from framework.backends.torch.gru.scan import ScanSettings, first_last, last_first, weight_gradients
from framework.backends.torch.gru.tape import Tape, run, run_back
from framework.backends.torch.second_order import plain_gradients
from framework.backends.torch.tracing import ordinary


@dataclass(frozen=True)
class _Settings:
    """What of the decoder is not differentiated.

    Attributes:
        scan: of the cell; its input masks are none.
        carries: whether a step starts from the state before it.
        blocked: ``(batch, places) bool``, or None.
        context_mask: dropout on the contexts, ``(batch, features)``, or None.
    """

    scan: ScanSettings
    carries: bool
    blocked: Tensor | None
    context_mask: Tensor | None


def scan(
    inputs: Tensor, state: Tensor, memory: Memory, scoring: Scoring, cell: DecoderCell, carries: bool, mask: Tensor | None = None
) -> Decoded:
    """The same numbers as :func:`framework.backends.torch.attention.loop.loop`, for one cell that attends before its step.

    Keys are projected once, the inputs of all steps by one product, and each weight gradient is one product over all steps. Within the
    loops stay the query's product, which is one with the recurrent kernel's, scores, softmax, the context and its product, and the gates.

    Args:
        inputs: ``(time, batch, features)``.
        state: ``(batch, units)`` before the first step.
        memory: attended to.
        scoring: the score's weights.
        cell: at most one input mask; its activations must be scannable.
        carries: whether a step starts from the state before it; from zeros otherwise, and the state is the query alone.
        mask: ``(time, batch) bool``; a step that is False carries the state on.
    """
    context_mask, features = None, memory.values.shape[2]
    if cell.input_masks:
        context_mask = cell.input_masks[0][:, :features].contiguous()
        inputs = inputs * cell.input_masks[0][:, features:]
    if mask is not None:
        inputs = inputs.masked_fill(~mask[:, :, None], 0.0)
    weights = cell.weights
    tensors = (
        inputs, state, memory.keys, memory.values, weights.kernel, weights.recurrent_kernel, weights.bias, scoring.query_kernel,
        scoring.score, scoring.score_bias,
    )  # fmt: skip
    keep = torch.is_grad_enabled() and any(one is not None and one.requires_grad for one in tensors)
    settings = _Settings(ScanSettings(cell.cell, mask, (), tuple(cell.recurrent_masks or ()), keep), carries, memory.blocked, context_mask)
    states, last, contexts, attention = _Decode.apply(*tensors, settings)  # type: ignore[no-untyped-call]
    return Decoded(states, contexts, attention, (last,))


class _Feed:
    """Attends with the state before each step, and adds the context's product to the gates."""

    def __init__(self, steps: AttentionSteps, query_kernel: Tensor | None, context_kernel: Tensor, mask: Tensor | None) -> None:
        count, batch, width = steps.queries.shape
        self.kernel, self.width, self.steps, self.mask = query_kernel, width, steps, mask
        self.product = Product(context_kernel, None, batch, count)

    def add_to(self, step: int, gates: Tensor, query: Tensor) -> None:
        context = self.steps.attend(step, query)
        gates.add_(self.product(context if self.mask is None else context * self.mask))


class _FeedBack:
    """The backward pass of :class:`_Feed`."""

    def __init__(
        self,
        steps: AttentionStepsBack,
        query_kernel: Tensor | None,
        context_kernel: Tensor,
        mask: Tensor | None,
        d_contexts: Tensor | None,
        d_weights: Tensor | None,
    ) -> None:
        count, batch, width = steps.queries.shape
        self.kernel, self.width, self.steps, self.mask = query_kernel, width, steps, mask
        self.d_contexts, self.d_weights = d_contexts, d_weights
        self.product = Product(last_first(context_kernel, context_kernel.shape[1] // 3).t(), None, batch, count)

    def back(self, step: int, gates: Tensor, query: Tensor) -> None:
        d_context = self.product(gates)
        if self.mask is not None:
            d_context = d_context * self.mask
        if self.d_contexts is not None:
            d_context = d_context + self.d_contexts[step]
        self.steps.back(step, d_context, None if self.d_weights is None else self.d_weights[step], query)


class _Decode(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        state: Tensor,
        keys: Tensor,
        values: Tensor,
        kernel: Tensor,
        recurrent_kernel: Tensor,
        bias: Tensor | None,
        query_kernel: Tensor | None,
        score: Tensor | None,
        score_bias: Tensor | None,
        settings: _Settings,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        features = values.shape[2]
        weights = Weights(kernel, recurrent_kernel, bias)
        gates = project(inputs, kernel[features:], weights.input_bias, ())
        attention = AttentionSteps(Memory(keys, values, settings.blocked), score, len(inputs))
        feed = _Feed(attention, query_kernel, kernel[:features], settings.context_mask)
        recurrence = replace(settings.scan.recurrence(weights), carries=settings.carries)
        tape = run(gates, state, recurrence, settings.scan.keep, feed)
        if settings.scan.keep:
            ctx.settings = settings
            ctx.set_materialize_grads(False)
            given = (inputs, state, keys, values, kernel, recurrent_kernel, bias, query_kernel, score, score_bias)
            ctx.save_for_backward(*given, tape.states, tape.gates, tape.inner, attention.queries, attention.weights, attention.contexts)
        # What is kept for the backward pass is not given out: the caller may write over it.
        contexts, given_weights = (one.clone() if settings.scan.keep else one for one in (attention.contexts, attention.weights))
        return tape.states[1:], tape.states[-1].clone(), contexts, given_weights

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        tensors, kept = ctx.saved_tensors[:10], ctx.saved_tensors[10:]
        if all(one is None for one in given):
            return (None,) * 11
        needed: tuple[bool, ...] = ctx.needs_input_grad
        if torch.is_grad_enabled() or not ordinary(*given):
            return (*plain_gradients(partial(_plain, settings=ctx.settings), tensors, needed, given), None)
        return (*_gradients(tensors, kept, ctx.settings, needed, given), None)


def _gradients(
    tensors: tuple[Any, ...], kept: tuple[Tensor, ...], settings: _Settings, needed: tuple[bool, ...], given: tuple[Tensor | None, ...]
) -> tuple[Tensor | None, ...]:
    inputs, _, keys, values, kernel, recurrent_kernel, bias, query_kernel, score, score_bias = tensors
    states, gates, inner, queries, attention, contexts = kept
    features, units = values.shape[2], recurrent_kernel.shape[0]
    weights = Weights(kernel, recurrent_kernel, bias)
    steps = AttentionStepsBack(Memory(keys, values, settings.blocked), score, queries, attention)
    feed = _FeedBack(steps, query_kernel, kernel[:features], settings.context_mask, given[2], given[3])
    recurrence = replace(settings.scan.recurrence(weights), carries=settings.carries)
    gradients, d_state = run_back(Tape(states, gates, inner), recurrence, given[0], given[1], needed[1], feed)
    d_keys, d_values, d_score = steps.gradients()
    of_cell, of_query = gradients[..., : gradients.shape[2] - feed.width], gradients[..., gradients.shape[2] - feed.width :]
    d_inputs = d_query_kernel = None
    if needed[0]:
        d_inputs = project_back(first_last(of_cell[..., : 3 * units], units), kernel[features:], ())
    if needed[7]:
        d_query_kernel = query_kernel.new_empty(query_kernel.shape)
        kernel_gradient(states[:-1], turned(of_query.flatten(0, 1), states[:-1].flatten(0, 1)), (), d_query_kernel)
    read = torch.cat([contexts if settings.context_mask is None else contexts * settings.context_mask, inputs], dim=-1)
    wanted = (False, False, needed[4], needed[5] and settings.carries, needed[6])
    _, _, d_kernel, d_recurrent, d_bias = weight_gradients(read, states, gates, weights, settings.scan, of_cell, None, wanted)
    if needed[5] and not settings.carries:
        d_recurrent = torch.zeros_like(recurrent_kernel)
    d_score_bias = torch.zeros_like(score_bias) if needed[9] else None  # the same on every score of a softmax
    return d_inputs, d_state, d_keys, d_values, d_kernel, d_recurrent, d_bias, d_query_kernel, d_score, d_score_bias


def _plain(
    inputs: Tensor,
    state: Tensor,
    keys: Tensor,
    values: Tensor,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor | None,
    query_kernel: Tensor | None,
    score: Tensor | None,
    score_bias: Tensor | None,
    settings: _Settings,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the operation gives, by the plain loop."""
    cut = settings.context_mask
    input_masks = None if cut is None else [torch.cat([cut, torch.ones_like(inputs[0])], dim=-1)]
    cell = DecoderCell(Weights(kernel, recurrent_kernel, bias), settings.scan.cell, input_masks, settings.scan.recurrent_masks)
    scoring = Scoring(query_kernel, score=score, score_bias=score_bias)
    decoder = Decoder(partial(attend, scoring=scoring), [cell], carries=settings.carries)
    decoded = loop(inputs, DecoderState([state]), Memory(keys, values, settings.blocked), decoder, settings.scan.mask)
    return decoded.outputs, decoded.states[0], decoded.contexts, decoded.weights
