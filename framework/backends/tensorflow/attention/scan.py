"""An attending decoder over a whole sequence with a backward pass written by hand.

As in the GRU's scan, each weight gradient is one product over all steps; what tanh is taken of is computed again in the backward pass, as
it would be most of what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from framework.backends.base.scoring import Scoring
from framework.backends.tensorflow.activations import slope
from framework.backends.tensorflow.attention.loop import Decoded, DecoderCell
from framework.backends.tensorflow.attention.memory import Memory, attend
from framework.backends.tensorflow.gru.loop import Steps, array, at_valid, carry, number_of_steps, per_step, run_steps, stacked
from framework.backends.tensorflow.gru.scan import Derivatives, Kept, sum_of_products
from framework.backends.tensorflow.gru.step import Gates, Step, mix, project


def scannable(cell: DecoderCell) -> bool:
    """Whether a decoder of one cell that attends before its step can run as :func:`scan`."""
    known = slope(cell.step.activation) is not None and slope(cell.step.recurrent_activation) is not None
    return known and len(cell.masks) < 2


@dataclass(frozen=True)
class FreshStep(Step):
    """A step that starts from zeros: nothing is multiplied with them."""

    def product(self, state: tf.Tensor, kernel: tf.Tensor, first: int = 0) -> tf.Tensor:
        """Zeros."""
        return tf.zeros(tf.stack([tf.shape(state)[0], kernel.shape[1]]), state.dtype)


class _FreshDerivatives(Derivatives):
    """The derivatives of :class:`FreshStep`: none comes to the state, and none to the recurrent kernel."""

    def _back(self, gradient: tf.Tensor, first: int) -> tf.Tensor:
        return tf.zeros(tf.stack([tf.shape(gradient)[0], self.step.units]), gradient.dtype)

    def weights(self, before: tf.Tensor, inner: tf.Tensor, products: tf.Tensor) -> Sequence[tf.Tensor]:
        kernel = tf.zeros_like(self.step.recurrent_kernel)
        return (kernel,) if self.step.recurrent_bias is None else (kernel, tf.reduce_sum(products, axis=(0, 1)))


def scan(
    inputs: tf.Tensor,
    state: tf.Tensor,
    memory: Memory,
    scoring: Scoring,
    cell: DecoderCell,
    carries: bool,
    mask: tf.Tensor | None,
    unroll: bool = False,
) -> Decoded:
    """The same as :func:`~framework.backends.tensorflow.attention.loop.loop`, for one cell that attends before its step.

    Args:
        inputs: ``(time, batch, features)``; zeros at masked steps.
        state: ``(batch, units)`` before the first step.
        memory: attended to.
        scoring: the score's weights.
        cell: see :func:`scannable`.
        carries: whether a step starts from the state before it; from zeros otherwise, and the state is the query alone.
        mask: ``(time, batch) bool``; a step that is False carries the state on.
        unroll: write every step into the graph instead of a loop; needs a known number of steps.
    """
    features = memory.values.shape[2]
    mask_of = (lambda part: cell.masks[0][:, part]) if cell.masks else lambda part: None
    cut, own = mask_of(slice(None, features)), mask_of(slice(features, None))
    projected = project(inputs if own is None else inputs * own, cell.kernel[features:], cell.bias)
    step = cell.step if carries else FreshStep(*(getattr(cell.step, name) for name in cell.step.__dataclass_fields__))
    names = ("query_kernel", "score", "score_bias")
    optional = {name: getattr(scoring, name) for name in names if getattr(scoring, name) is not None}
    if step.recurrent_bias is not None:
        optional["recurrent_bias"] = step.recurrent_bias

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def run(*given: tf.Tensor) -> Any:
        projected, state, keys, values, context_kernel, recurrent_kernel, *others = given
        further = dict(zip(optional, others, strict=True))
        parts = _Parts(projected, state, keys, values, context_kernel, recurrent_kernel, further)
        loops = _Loops(step, memory.blocked, cut, mask, carries, unroll, parts)
        *arrays, states, contexts, weights = loops.forward()
        kept = Kept(arrays, inputs.shape[0], loops.likes)
        of_contexts, of_weights = (stacked(one, inputs.shape[0], like) for one, like in ((contexts, loops.context), (weights, loops.place)))

        def backward(*gradients: tf.Tensor) -> Sequence[tf.Tensor]:
            return loops.backward(gradients, kept.here(unroll))

        return (stacked(states, inputs.shape[0], state), of_contexts, of_weights), backward

    tensors = (projected, state, memory.keys, memory.values, cell.kernel[:features], step.recurrent_kernel)
    states, contexts, weights = run(*tensors, *optional.values())
    return Decoded(states, contexts, weights, (states[-1],))


@dataclass(frozen=True)
class _Parts:
    """What is differentiated.

    Attributes:
        projected: ``x W + b`` of all steps, ``(time, batch, 3 units)``.
        state: the first, ``(batch, units)``.
        keys: ``(batch, places, width)``.
        values: ``(batch, places, features)``.
        context_kernel: ``(features, 3 units)``.
        recurrent_kernel: ``(units, 3 units)``.
        optional: ``query_kernel``, ``score``, ``score_bias`` and ``recurrent_bias``, those that there are.
    """

    projected: tf.Tensor
    state: tf.Tensor
    keys: tf.Tensor
    values: tf.Tensor
    context_kernel: tf.Tensor
    recurrent_kernel: tf.Tensor
    optional: dict[str, tf.Tensor]


class _Loops:
    """The two loops over time."""

    def __init__(
        self, step: Step, blocked: Any, cut: tf.Tensor | None, mask: tf.Tensor | None, carries: bool, unroll: bool, parts: _Parts
    ) -> None:
        optional = parts.optional
        self.step = replace(step, recurrent_kernel=parts.recurrent_kernel, recurrent_bias=optional.get("recurrent_bias"))
        self.cut, self.mask, self.carries, self.unroll, self.parts = cut, mask, carries, unroll, parts
        self.memory = Memory(parts.keys, parts.values, blocked)
        self.scoring = Scoring(score=optional.get("score"))
        self.query_kernel = optional.get("query_kernel")
        self.steps = number_of_steps(parts.projected)
        batch = parts.state.shape[0]
        self.context = tf.TensorSpec((batch, parts.values.shape[2]), parts.state.dtype)
        self.place = tf.TensorSpec((batch, parts.keys.shape[1]), parts.state.dtype)
        self.query = tf.TensorSpec((batch, parts.keys.shape[2]), parts.state.dtype)
        # What each step keeps: the state before it, its gates, the query, the context and the weights.
        self.likes = [*[parts.state] * 5, self.query, self.context, self.place]

    def forward(self) -> Sequence[Steps]:
        """What each step keeps, in the order of ``likes``; then states, contexts and weights to give out."""
        inputs, valid = per_step(self.parts.projected, self.unroll), self._valid()

        def body(time: Any, now: tf.Tensor, *saved: Steps) -> Sequence[Any]:
            ours = None if valid is None else valid.read(time)[:, None]
            asked = now if self.query_kernel is None else now @ self.query_kernel
            context, weights = (one[:, 0] for one in attend(asked[:, None], self.memory, self.scoring))
            fed = (context if self.cut is None else context * self.cut) @ self.parts.context_kernel
            used = at_valid(ours, now) if self.carries else tf.zeros_like(now)
            gates = self.step.gates(inputs.read(time) + fed, used)
            new = carry(ours, mix(gates, used), now)
            parts = (now, *gates, asked, context, weights, new, context, weights)
            return new, *(one.write(time, value) for one, value in zip(saved, parts, strict=True))

        likes = [*self.likes, self.parts.state, self.context, self.place]
        arrays = (array(self.steps, like, self.unroll) for like in likes)
        return run_steps(body, self.steps, (self.parts.state, *arrays), self.unroll)[1:]

    def backward(self, given: Sequence[tf.Tensor], saved: Sequence[Steps]) -> list[tf.Tensor]:
        """Gradients of the parts, in order, and of those that are optional."""
        parts, valid = self.parts, self._valid()
        of_states, of_contexts, of_weights = (per_step(one, self.unroll) for one in given)
        derive = (Derivatives if self.carries else _FreshDerivatives)(self.step)
        to_context = tf.transpose(parts.context_kernel)
        to_state = None if self.query_kernel is None else tf.transpose(self.query_kernel)

        def body(time: Any, later: tf.Tensor, sums: tf.Tensor, of_score: tf.Tensor, *written: Steps) -> Sequence[Any]:
            total = later + of_states.read(time)
            now, *gates, asked, _, weights = (one.read(time) for one in saved)
            ours = None if valid is None else valid.read(time)[:, None]
            used = at_valid(ours, now) if self.carries else tf.zeros_like(now)
            earlier, *products = derive(at_valid(ours, total), used, Gates(*gates))
            d_context = products[0] @ to_context
            d_context = (d_context if self.cut is None else d_context * self.cut) + of_contexts.read(time)
            d_scores = self._of_scores(weights, d_context, of_weights.read(time))
            d_asked, more, more_of_score = self._of_query(asked, d_scores)
            d_query = d_asked if to_state is None else d_asked @ to_state
            earlier = carry(ours, earlier if self.carries else tf.zeros_like(later), total) + d_query
            made = (*products, d_asked, d_context, d_scores)
            return earlier, sums + more, of_score + more_of_score, *(one.write(time, part) for one, part in zip(written, made, strict=True))

        wide = tf.TensorSpec((parts.state.shape[0], 3 * self.step.units), parts.state.dtype)
        likes = [*[wide] * (2 if self.step.reset_after else 1), self.query, self.context, self.place]
        score = self.scoring.score
        start = (
            tf.zeros_like(parts.state),
            tf.zeros_like(parts.keys),
            tf.zeros((), parts.state.dtype) if score is None else tf.zeros_like(score),
        )
        arrays = (array(self.steps, like, self.unroll) for like in likes)
        first, sums, of_score, *written = run_steps(body, self.steps, (*start, *arrays), self.unroll, backwards=True)
        made = [stacked(one, parts.projected.shape[0], like) for one, like in zip(written, likes, strict=True)]
        return self._gathered(first, sums, of_score, made, saved, derive)

    def _gathered(
        self, first: tf.Tensor, sums: tf.Tensor, of_score: tf.Tensor, made: list[tf.Tensor], saved: Sequence[Steps], derive: Derivatives
    ) -> list[tf.Tensor]:
        *products, d_asked, d_contexts, d_scores = made
        length = self.parts.projected.shape[0]
        before, _, _, _, inner, asked, contexts, weights = (stacked(one, length, like) for one, like in zip(saved, self.likes, strict=True))
        cut = contexts if self.cut is None else contexts * self.cut
        if self.scoring.score is None:
            sums = tf.einsum("tbs,tba->bsa", d_scores, asked)
        else:
            sums *= self.scoring.score
        d_values = tf.einsum("tbs,tbf->bsf", weights, d_contexts)
        kernel, *bias = derive.weights(self._used(before), inner, products[-1])
        optional = {"score": of_score, "recurrent_bias": bias[0] if bias else None}
        if self.query_kernel is not None:
            optional["query_kernel"] = sum_of_products(before, d_asked)
        if "score_bias" in self.parts.optional:
            optional["score_bias"] = tf.zeros_like(self.parts.optional["score_bias"])  # the same on every score of a softmax
        gradients = [products[0], first, sums, d_values, sum_of_products(cut, products[0]), kernel]
        return [*gradients, *(optional[name] for name in self.parts.optional)]

    def _used(self, before: tf.Tensor) -> tf.Tensor:
        """The states that steps computed with: zeros in masked rows."""
        return before if self.mask is None else tf.where(self.mask[:, :, None], before, tf.zeros_like(before))

    def _of_scores(self, weights: tf.Tensor, d_context: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
        of_weights = tf.linalg.matvec(self.memory.values, d_context) + given
        d_scores = weights * (of_weights - tf.reduce_sum(weights * of_weights, axis=1, keepdims=True))
        return d_scores if self.memory.blocked is None else tf.where(self.memory.blocked, tf.zeros_like(d_scores), d_scores)

    def _of_query(self, asked: tf.Tensor, d_scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Gradients of the query, of the keys (without the factor that is the same at every step) and of the score."""
        if self.scoring.score is None:
            zero = tf.zeros((), asked.dtype)
            return tf.linalg.matvec(self.memory.keys, d_scores, transpose_a=True), zero, zero
        tanh = tf.tanh(self.memory.keys + asked[:, None])
        of_score = tf.linalg.matvec(tf.reshape(tanh, (-1, tanh.shape[2])), tf.reshape(d_scores, (-1,)), transpose_a=True)
        sums = (1.0 - tanh * tanh) * d_scores[:, :, None]
        return tf.reduce_sum(sums, axis=1) * self.scoring.score, sums, of_score

    def _valid(self) -> Steps | None:
        return None if self.mask is None else per_step(self.mask, self.unroll)
