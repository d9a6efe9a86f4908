"""A recurrent decoder that attends to a memory at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from typing import Any, cast

import keras
import tensorflow as tf

from framework.backends.base.gru_arguments import keywords_of, mask_count
from framework.backends.base.scoring import Scoring
from framework.backends.tensorflow.attention.loop import Decoded, Decoder, DecoderCell, loop, vector_of
from framework.backends.tensorflow.attention.memory import Memory, asked_of, attend
from framework.backends.tensorflow.attention.scan import scan, scannable
from framework.backends.tensorflow.gru import GRU
from framework.backends.tensorflow.gru.dropout import in_training
from framework.backends.tensorflow.gru.masks import outputs_of, time_major_mask, without_masked
from framework.backends.tensorflow.gru.step import Step
from framework.backends.tensorflow.layers.attention import Score, matrix, matrix_values
from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.table import builds
from framework.backends.tensorflow.recomputation import Call
from framework.builder.kinds.attention import cell_names
from framework.builder.plan import PlannedLayer
from framework.spec.layers.attention import AttentionDecoderSpec


@keras.saving.register_keras_serializable(package="gatework")
class AttentionDecoder(keras.layers.Layer):  # type: ignore[misc]
    """Cells that run step by step over embedded targets, with an attention before or after them.

    Called with ``inputs: (batch, time, features)``, ``memory: (batch, places, width)`` and, if there is one, ``initial_state: (batch,
    units)`` or a list with one for each cell; returns the outputs ``(batch, time, units)``, with ``return_state`` the last states side by
    side, the contexts ``(batch, time, width)`` and the weights ``(batch, time, places)``.

    In training, one cell that attends before its step runs with a backward pass written by hand; cells that need no attention within
    their loop run as GRUs do, and the attention follows for all steps at once; everything else is a plain loop.

    Args:
        spec: everything else, sizes, seeds and ``use_cudnn`` of the cells filled in; or its config.
    """

    def __init__(self, spec: AttentionDecoderSpec | Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec if isinstance(spec, AttentionDecoderSpec) else AttentionDecoderSpec.model_validate(spec)
        self.attention = Score(self.spec.attention, name="attention", dtype=self.dtype_policy)
        self.decoder_cells = [
            GRU(**keywords_of(cell, return_sequences=True, return_state=True, name=name.replace("/", "_"), dtype=self.dtype_policy))
            for cell, (_, name) in zip(self.spec.all_cells, cell_names(self.spec), strict=True)
        ]
        self.vector: keras.layers.Dense | None = None
        self.supports_masking = True

    @property
    def units(self) -> int:
        """Width of the last cell's state."""
        return int(self.decoder_cells[-1].units)

    def build(self, inputs_shape: Sequence[int | None], memory_shape: Sequence[int | None], initial_state_shape: Any = None) -> None:
        """Creates the weights, those of the attention first."""
        spec, features = self.spec, cast(int, memory_shape[-1])
        self.attention.build(self.units, features)
        width = cast(int, inputs_shape[-1])
        if spec.attends_within:
            width += cast(int, spec.attention_vector.units) if spec.input_feeding and spec.attention_vector is not None else features
        for cell in self.decoder_cells:
            cell.build((inputs_shape[0], inputs_shape[1], width))
            width = cell.units
        if spec.attention_vector is not None:
            own = spec.attention_vector
            self.vector = matrix(own, "attention_vector", features + self.units, cast(int, own.units), own.use_bias, self.dtype_policy)
        self.built = True

    def call(
        self,
        inputs: tf.Tensor,
        memory: tf.Tensor,
        initial_state: Any = None,
        inputs_mask: Any = None,
        memory_mask: Any = None,
        training: Any = None,
    ) -> list[tf.Tensor]:
        """Runs the layer."""
        sequence = tf.transpose(inputs, (1, 0, 2))
        mask = None if inputs_mask is None else time_major_mask(inputs_mask, sequence, False)
        sequence = sequence if mask is None else without_masked(sequence, mask)
        scoring = self.attention.scoring(self.units, self.compute_dtype)
        held = Memory.of(memory, memory_mask if self.spec.mask_memory else None, scoring)
        states = self._first_states(sequence, initial_state)
        decoded = self._decode(sequence, states, held, scoring, mask, training)
        results = [self._output(decoded, mask), decoded.contexts, decoded.weights]
        for number in (1, 2):
            results[number] = results[number] if mask is None else without_masked(results[number], mask)
        output, *others = (tf.transpose(one, (1, 0, 2)) for one in results)
        if self.spec.doubly_stochastic:
            left_out = tf.reduce_sum(tf.square(1 - tf.reduce_sum(others[-1], axis=1)), axis=1)
            self.add_loss(self.spec.doubly_stochastic * tf.reduce_mean(left_out))
        return [output, *([tf.concat(list(decoded.states), -1)] if self.spec.return_state else []), *others]

    def _first_states(self, sequence: tf.Tensor, given: Any) -> list[tf.Tensor]:
        cells = self.decoder_cells if self.spec.carry_state else self.decoder_cells[-1:]
        if given is None:
            batch = tf.shape(sequence)[1] if sequence.shape[1] is None else sequence.shape[1]
            return [cell.get_initial_state(batch_size=batch)[0] for cell in cells]
        each = list(given) if isinstance(given, (list, tuple)) else [given]
        each = each * (len(cells) if len(each) == 1 else 1)
        return [tf.cast(one, self.compute_dtype) for one in each]

    def _decode(
        self, sequence: tf.Tensor, states: list[tf.Tensor], memory: Memory, scoring: Scoring, mask: tf.Tensor | None, training: Any
    ) -> Decoded:
        spec = self.spec
        if not spec.attends_within:
            return self._cells_first(sequence, states, memory, scoring, mask, training)
        with ExitStack() as masks:
            cells = [self._dropped(cell, sequence[0], training, masks) for cell in self.decoder_cells]
            before_cell = spec.attend == "before_cell"
            if before_cell and len(cells) == 1 and in_training(training) and scannable(cells[0]):
                return scan(sequence, states[0], memory, scoring, cells[0], spec.carry_state, mask)
            fed = [self._zeros(states[0], self._fed_width(memory))] if spec.input_feeding else []
            decoder = Decoder(scoring, cells, before_cell, spec.carry_state, self._vector(), spec.input_feeding)
            return loop(sequence, [*states, *fed], memory, decoder, mask)

    def _cells_first(
        self, sequence: tf.Tensor, states: list[tf.Tensor], memory: Memory, scoring: Scoring, mask: tf.Tensor | None, training: Any
    ) -> Decoded:
        """Nothing of the attention comes back to the cells: these run as GRUs do, then all steps attend."""
        read, last, rows = tf.transpose(sequence, (1, 0, 2)), [], None if mask is None else tf.transpose(mask)
        for cell, state in zip(self.decoder_cells, states, strict=True):
            read, state = cell(read, initial_state=state, mask=rows, training=training)
            last.append(state)
        contexts, weights = attend(asked_of(read, scoring), memory, scoring)
        read, contexts, weights = (tf.transpose(one, (1, 0, 2)) for one in (read, contexts, weights))
        return Decoded(read, contexts, weights, last)

    def _dropped(self, gru: GRU, like: tf.Tensor, training: Any, masks: ExitStack) -> DecoderCell:
        """A cell with its weights of now and the dropout masks of this call, which are in use until ``masks`` ends."""
        kernel, recurrent_kernel, bias, recurrent_bias = gru._weights()
        moves = in_training(training) and (gru.dropout or gru.recurrent_dropout)
        call = gru._calls.enter(gru.name) if moves else Call(False, {})
        key = cache(gru.cell.seed_generator.next)
        read, state = self._zeros(like, kernel.shape[0]), self._zeros(like, gru.units)
        of_inputs = masks.enter_context(gru._dropout_masks.applied(call, key, read, training, mask_count(gru.implementation)))
        of_state = masks.enter_context(gru._recurrent_dropout_masks.applied(call, key, state, training, 3))
        step = Step(recurrent_kernel, recurrent_bias, gru.activation, gru.recurrent_activation, gru.reset_after, of_state)
        return DecoderCell(step, kernel, bias, of_inputs)

    @staticmethod
    def _zeros(like: tf.Tensor, width: int) -> tf.Tensor:
        zeros = tf.zeros(tf.stack([tf.shape(like)[0], width]), like.dtype)
        zeros.set_shape((like.shape[0], width))
        return zeros

    def _fed_width(self, memory: Memory) -> int:
        return int(memory.values.shape[2] if self.vector is None else self.vector.units)

    def _vector(self) -> Any:
        spec = self.spec.attention_vector
        if spec is None or self.vector is None:
            return None
        values = matrix_values(self.vector, self.compute_dtype)
        return vector_of(spec.activation, values["kernel"], values.get("bias"))

    def _output(self, decoded: Decoded, mask: tf.Tensor | None) -> tf.Tensor:
        vector = self._vector()
        if vector is None:
            return outputs_of(decoded.outputs, mask, self.spec.all_cells[-1].zero_output_for_mask)
        made = decoded.vectors if decoded.vectors is not None else vector(tf.concat([decoded.contexts, decoded.outputs], -1))
        return made if mask is None else without_masked(made, mask)

    def compute_output_shape(
        self, inputs_shape: Sequence[int | None], memory_shape: Sequence[int | None], initial_state_shape: Any = None
    ) -> list[Any]:
        """Shapes of what the layer returns."""
        spec, sequence = self.spec, tuple(inputs_shape[:2])
        width = self.units if spec.attention_vector is None else spec.attention_vector.units
        cells = self.decoder_cells if spec.carry_state else self.decoder_cells[-1:]
        state = [(sequence[0], sum(cell.units for cell in cells))] if spec.return_state else []
        return [(*sequence, width), *state, (*sequence, memory_shape[2]), (*sequence, memory_shape[1])]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> list[Any]:
        """The inputs' mask, but for the state."""
        return [previous_mask, *([None] if self.spec.return_state else []), previous_mask, previous_mask]

    def get_config(self) -> dict[str, Any]:
        """What makes the same layer again."""
        return {**super().get_config(), "spec": self.spec.model_dump(mode="json")}


@builds("attention_decoder")
def build_attention_decoder(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """``(batch, time, features)`` to outputs, states, contexts and weights."""
    spec = cast(AttentionDecoderSpec, planned.spec)
    cells = [
        cell.model_copy(update={"seed": context.seed_of(f"{planned.name}/{name}", cell.seed), "use_cudnn": context.cudnn(cell)})
        for cell, (_, name) in zip(spec.all_cells, cell_names(spec), strict=True)
    ]
    filled = {"cell": cells[0]} if spec.cell is not None else {"cells": cells}
    return AttentionDecoder(spec.model_copy(update=filled), **context.shared(planned))
