"""An attending decoder, one step after another, differentiated by TensorFlow: the form to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from framework.backends.base.scoring import Scoring
from framework.backends.tensorflow.attention.memory import Memory, asked_of, attend
from framework.backends.tensorflow.gru.loop import array, carry, number_of_steps, per_step, run_steps
from framework.backends.tensorflow.gru.step import Step, project
from framework.backends.tensorflow.identifiers import activation
from framework.spec.identifiers import Identifier


@dataclass(frozen=True)
class DecoderCell:
    """One recurrent cell of a decoder, with the dropout of this call.

    Attributes:
        step: its equations.
        kernel: of what it reads, ``(features, 3 units)``.
        bias: ``(3 units,)``, or None.
        masks: dropout masks of what it reads: none, one, or one each for z, r, n; each ``(batch, features)``.
    """

    step: Step
    kernel: tf.Tensor
    bias: tf.Tensor | None
    masks: Sequence[tf.Tensor] = ()

    def __call__(self, read: tf.Tensor, state: tf.Tensor) -> tf.Tensor:
        """The new state ``(batch, units)``."""
        return self.step(project(read, self.kernel, self.bias, self.masks), state)


@dataclass(frozen=True)
class Decoder:
    """What an attending decoder does at each step, beside the memory.

    Attributes:
        scoring: the score's weights.
        cells: in order.
        before_cell: whether the state before the step is the query; after it otherwise.
        carries: whether cells start from their states; from zeros otherwise, and the one state is the query.
        vector: gives the attention vector of ``[context; output]``, ``(…, features + units)``; or None.
        feeds: whether a step reads the attention vector (the context where there is none) of the step before.
    """

    scoring: Scoring
    cells: Sequence[DecoderCell]
    before_cell: bool = True
    carries: bool = True
    vector: Callable[[tf.Tensor], tf.Tensor] | None = None
    feeds: bool = False


@dataclass(frozen=True)
class Decoded:
    """What a decoder gives for a sequence; times first.

    Attributes:
        outputs: states of the last cell, ``(time, batch, units)``.
        contexts: ``(time, batch, features)``.
        weights: of the attention, ``(time, batch, places)``.
        states: the last states of the cells, ``(batch, units)`` each; without ``carries`` the query alone.
        vectors: attention vectors ``(time, batch, width)`` where the loop makes them.
    """

    outputs: tf.Tensor
    contexts: tf.Tensor
    weights: tf.Tensor
    states: Sequence[tf.Tensor]
    vectors: tf.Tensor | None = None


def decode_step(
    read: tf.Tensor, states: Sequence[tf.Tensor], memory: Memory, decoder: Decoder
) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
    """One step: from what it reads ``(batch, features)`` to the new states, the context and the weights.

    The memory may have one row for several neighbouring rows of what is read.

    Args:
        read: of the step.
        states: of the cells (the query alone where they are not carried), and behind them what is fed, if anything is.
        memory: attended to.
        decoder: of the layer.
    """
    own = states[: len(decoder.cells)] if decoder.carries else states[:1]
    if decoder.before_cell:
        context, weights = attend_rows(own[-1], memory, decoder.scoring)
        read = tf.concat([context, read], -1)
    elif decoder.feeds:
        read = tf.concat([states[-1], read], -1)
    starts = own if decoder.carries else [_zeros(read, cell.step.units) for cell in decoder.cells]
    new = []
    for cell, start in zip(decoder.cells, starts, strict=True):
        read = cell(read, start)
        new.append(read)
    if not decoder.before_cell:
        context, weights = attend_rows(read, memory, decoder.scoring)
    after = new if decoder.carries else new[-1:]
    if decoder.feeds:
        after = [*after, context if decoder.vector is None else decoder.vector(tf.concat([context, read], -1))]
    return after, context, weights


def _zeros(like: tf.Tensor, units: int) -> tf.Tensor:
    zeros = tf.zeros(tf.stack([tf.shape(like)[0], units]), like.dtype)
    zeros.set_shape((like.shape[0], units))
    return zeros


def vector_of(identifier: Identifier | None, kernel: tf.Tensor, bias: tf.Tensor | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """What gives attention vectors ``(…, units)`` of ``[context; output]``, ``(…, width)``.

    Args:
        identifier: of the activation.
        kernel: ``(width, units)``.
        bias: ``(units,)``, or None.
    """
    function = activation(identifier)

    def vector(joined: tf.Tensor) -> tf.Tensor:
        product = tf.tensordot(joined, kernel, 1)
        return function(product if bias is None else product + bias)

    return vector


def attend_rows(query: tf.Tensor, memory: Memory, scoring: Scoring) -> tuple[tf.Tensor, tf.Tensor]:
    """Contexts ``(rows, features)`` and weights ``(rows, places)`` of one query a row, ``(rows, width)``.

    The memory may have one row for several neighbouring rows.
    """
    asked = asked_of(query, scoring)
    groups = tf.shape(memory.keys)[0]
    context, weights = attend(tf.reshape(asked, tf.stack([groups, -1, asked.shape[1]])), memory, scoring)
    rows = query.shape[0]
    flat = [tf.reshape(one, tf.stack([tf.shape(query)[0], tf.shape(one)[2]])) for one in (context, weights)]
    for one, like in zip(flat, (memory.values.shape[2], memory.keys.shape[1]), strict=True):
        one.set_shape((rows, like))
    return flat[0], flat[1]


def loop(
    inputs: tf.Tensor, first: Sequence[tf.Tensor], memory: Memory, decoder: Decoder, mask: tf.Tensor | None, unroll: bool = False
) -> Decoded:
    """All steps of a sequence.

    Args:
        inputs: ``(time, batch, features)``.
        first: before the first step; see :func:`decode_step`.
        memory: attended to.
        decoder: of the layer.
        mask: ``(time, batch) bool``; a step that is False carries all states on.
        unroll: write every step into the graph instead of a loop; needs a known number of steps.
    """
    steps, batch = number_of_steps(inputs), inputs.shape[1]
    given, valid = per_step(inputs, unroll), None if mask is None else per_step(mask, unroll)
    likes = [first[len(decoder.cells) - 1 if decoder.carries else 0], memory.values[:, 0], memory.keys[:, :, 0]]
    if decoder.feeds:
        likes.append(first[-1])

    def body(time: Any, *values: Any) -> Sequence[Any]:
        before, written = values[: len(first)], values[len(first) :]
        new, context, weights = decode_step(given.read(time), before, memory, decoder)
        if valid is not None:
            new = [carry(valid.read(time)[:, None], one, other) for one, other in zip(new, before, strict=True)]
        last = new[-2] if decoder.feeds else new[-1]
        parts = [last, context, weights, *(new[-1:] if decoder.feeds else ())]
        return *new, *(one.write(time, part) for one, part in zip(written, parts, strict=True))

    arrays = [array(steps, like, unroll) for like in likes]
    values = run_steps(body, steps, (*first, *arrays), unroll)
    states, written = values[: len(first)], values[len(first) :]
    made = []
    for one, like in zip(written, likes, strict=True):
        part = one.stack()
        part.set_shape((inputs.shape[0], batch, like.shape[1]))
        made.append(part)
    vectors = made[3] if decoder.feeds and decoder.vector is not None else None
    outputs, contexts, weights = made[:3]
    return Decoded(outputs, contexts, weights, states[:-1] if decoder.feeds else states, vectors)
