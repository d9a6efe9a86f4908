"""Dropout masks that are drawn once a batch, shared over time, cached, and applied as cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from framework.backends.tensorflow.dropout_masks import dropout_masks
from framework.backends.tensorflow.gru.errors import CallError
from framework.backends.tensorflow.gru.graphs import current_graph
from framework.backends.tensorflow.recomputation import Call


class MaskCache:
    """The masks of one kind (inputs or state).

    Masks that were asked for before a call are the ones that the call applies. Outside a graph the applied masks stay readable until the
    next call draws new ones; inside a graph they are dropped after the call, because no other graph could use them.

    A call that a gradient runs again applies the masks of the first time.

    Args:
        rate: fraction to drop.
        generator: numbers the calls that masks are made for.
        stream: tells apart the kinds of one layer, which share the generator.
    """

    def __init__(self, rate: float, generator: keras.random.SeedGenerator, stream: int) -> None:
        self.rate = rate
        self._generator = generator
        self._stream = stream
        self._masks: list[tf.Tensor] = []
        self._graph: Any = None
        self._spent = False

    def put(self, masks: Sequence[Any]) -> None:
        """Makes the next call apply these masks, each ``(batch, features)``: one for every gate, or one each for z, r, n."""
        self._masks, self._graph, self._spent = [tf.convert_to_tensor(mask) for mask in masks], current_graph(), False

    def reset(self) -> None:
        """Forgets the masks."""
        self._masks, self._graph, self._spent = [], None, False

    def get(self, like: tf.Tensor, training: Any, count: int) -> Any:
        """What the documented layer's methods return: the cached masks, whatever their number, or new ones.

        Args:
            like: tensor whose shape and data type the masks have: ``(batch, features)``.
            training: Python boolean or boolean tensor; outside training the masks are ones, which are not cached.
            count: how many to draw.

        Returns:
            A tensor, or a list where there are more than one; None where nothing is dropped.
        """
        if self.rate == 0.0:
            return None
        if not in_training(training):
            masks = [tf.ones_like(like) for _ in range(count)]
        else:
            if not self._usable():
                self._draw(like, training, count, self._generator.next)
            masks = self._masks
        return masks[0] if len(masks) == 1 else list(masks)

    @contextmanager
    def applied(self, call: Call, key: Callable[[], tf.Tensor], like: tf.Tensor, training: Any, count: int) -> Iterator[list[tf.Tensor]]:
        """The masks for one call, inside which they are used: those asked for before it, or new ones.

        Args:
            call: of the layer.
            key: gives the call's number, from the generator.
            like: as for :meth:`get`.
            training: as for :meth:`get`.
            count: 1, or 3 for a mask a gate; a cached single mask serves all gates.

        Yields:
            No mask, one, or three.

        Raises:
            CallError: the cached masks do not fit.
        """
        if self.rate == 0.0 or not in_training(training):
            yield []
            return
        yield [
            tf.cast(mask, like.dtype) for mask in call.first(f"masks {self._stream}", lambda: self._for_call(key, like, training, count))
        ]
        if not call.again:
            self._spent = True
            if self._graph is not None:
                self.reset()

    def _for_call(self, key: Callable[[], tf.Tensor], like: tf.Tensor, training: Any, count: int) -> list[tf.Tensor]:
        if self._spent or not self._usable():
            self._draw(like, training, count, key)
        self._check(like)
        return self._masks

    def _usable(self) -> bool:
        return bool(self._masks) and self._graph is current_graph()

    def _check(self, like: tf.Tensor) -> None:
        for mask in self._masks:
            if len(self._masks) not in (1, 3) or not mask.shape.is_compatible_with(like.shape):
                given, wanted = tuple(mask.shape), tuple(like.shape)
                raise CallError(
                    f"{len(self._masks)} cached dropout mask(s) of shape {given}: expected 1 or 3 of shape {wanted}; "
                    "forget them with reset_dropout_mask() or reset_recurrent_dropout_mask()"
                )

    def _draw(self, like: tf.Tensor, training: Any, count: int, key: Callable[[], tf.Tensor]) -> None:
        masks = dropout_masks(key(), self._stream, count, self.rate, like)
        if tf.is_tensor(training):
            masks = [tf.where(tf.cast(training, tf.bool), mask, tf.ones_like(mask)) for mask in masks]
        self._masks, self._graph, self._spent = masks, current_graph(), False


class DropoutMasks:
    """The documented methods around the masks, for a layer that has the two caches."""

    _dropout_masks: MaskCache
    _recurrent_dropout_masks: MaskCache
    cell: keras.layers.GRUCell
    time_major: bool
    compute_dtype: str

    @property
    def call_numbers(self) -> keras.random.SeedGenerator:
        """The seed, and the number of the coming call."""
        return self.cell.seed_generator

    def get_dropout_mask_for_cell(self, inputs: Any, training: Any, count: int = 1) -> Any:
        """The dropout mask of the inputs, cached or drawn; a call in training applies it.

        Args:
            inputs: the layer's inputs, or one step of them ``(batch, features)``; gives the shape.
            training: whether to drop; outside training the mask is ones.
            count: 1 for one mask, 3 for a mask a gate (z, r, h).

        Returns:
            A tensor ``(batch, features)``, a list of them if there are more, or None where ``dropout`` is 0.
        """
        inputs = tf.cast(tf.convert_to_tensor(inputs), self.compute_dtype)
        if inputs.shape.rank == 3:
            inputs = inputs[0] if self.time_major else inputs[:, 0]
        return self._dropout_masks.get(inputs, training, count)

    def get_recurrent_dropout_mask_for_cell(self, inputs: Any, training: Any, count: int = 1) -> Any:
        """The dropout mask of the state, cached or drawn; a call in training applies it.

        Args:
            inputs: a state ``(batch, units)``; gives the shape.
            training: whether to drop; outside training the mask is ones.
            count: 1 for one mask, 3 for a mask a gate (z, r, h).

        Returns:
            A tensor ``(batch, units)``, a list of them if there are more, or None where ``recurrent_dropout`` is 0.
        """
        return self._recurrent_dropout_masks.get(tf.cast(tf.convert_to_tensor(inputs), self.compute_dtype), training, count)

    def set_dropout_masks(self, inputs: Sequence[Any] = (), recurrent: Sequence[Any] = ()) -> None:
        """Puts masks for the next call in training; for comparing layers.

        Args:
            inputs: masks ``(batch, features)`` of the inputs: one for all gates, or one each for z, r, n; none leaves them as they are.
            recurrent: masks ``(batch, units)`` of the state, likewise.
        """
        if len(inputs):
            self._dropout_masks.put(inputs)
        if len(recurrent):
            self._recurrent_dropout_masks.put(recurrent)

    def reset_dropout_mask(self) -> None:
        """Forgets the cached dropout masks of the inputs; the next call draws new ones."""
        self._dropout_masks.reset()

    def reset_recurrent_dropout_mask(self) -> None:
        """Forgets the cached dropout masks of the state; the next call draws new ones."""
        self._recurrent_dropout_masks.reset()


def in_training(training: Any) -> bool:
    """Whether a call may be one in training: ``training`` is true, or a tensor that only running tells."""
    return bool(tf.is_tensor(training) or training)
