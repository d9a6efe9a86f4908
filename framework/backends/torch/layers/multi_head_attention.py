"""Attention with several heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from framework.backends.torch.attention.heads import attend_heads, heads_memory
from framework.backends.torch.attention.memory import Memory
from framework.backends.torch.decoding.form import Formed, States, StepForm
from framework.backends.torch.dropout_masks import dropout_masks
from framework.backends.torch.layers.attention import AttendingLayer
from framework.backends.torch.layers.base import Layer, Setting
from framework.backends.torch.layers.table import builds
from framework.backends.torch.recomputation import CallLog, CountsCalls, KeepsDraws
from framework.backends.torch.signal import Signal
from framework.backends.torch.tracing import refuse_recording
from framework.builder.plan import PlannedLayer
from framework.decoding.precision import Precision
from framework.spec.layers.multi_head_attention import MultiHeadAttentionSpec


@builds("multi_head_attention")
class MultiHeadAttention(KeepsDraws, CountsCalls, AttendingLayer):
    """Scaled dot products of queries and a memory, each projected for several heads; dropout falls on the weights."""

    spec: MultiHeadAttentionSpec

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, MultiHeadAttentionSpec)
        self.spec = planned.spec
        self.seed = setting.derived_seed(planned.name) if planned.spec.seed is None else planned.spec.seed
        self.call_log = CallLog()
        self.keeps_draws = planned.spec.dropout > 0.0
        self.create_weights()

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """``(batch, time, width)`` to ``(batch, time, output_shape)``; the queries' mask goes through."""
        value, mask = inputs[0]
        places = references["memory"][0]
        with self.computing(value) as dtype:
            values = self.values(dtype)
            memory = heads_memory(places.value.to(dtype), places.mask if self.spec.mask_memory else None, values)
            output, weights = attend_heads(value.to(dtype), memory, values, self._keep(value.to(dtype), memory))
        return {"output": Signal(output, mask), "attention": Signal(weights, mask)}

    def step_form(self, embedding: Layer | None, precision: Precision) -> StepForm:
        """With keys and values made once, before the first step."""
        return _Step(self.values(), self.spec.mask_memory)

    def _keep(self, queries: Tensor, memory: Memory) -> Tensor | None:
        """What weights ``(batch, heads, queries, places)`` are multiplied by, 0 or ``1 / (1 - dropout)``; None: nothing is dropped."""
        if not self.training or not self.spec.dropout:
            return None
        label = f"layer '{self.planned.name}'"
        refuse_recording(label, "the mask of a dropout in training", "call eval() on the model first")
        batch, places, heads = memory.keys.shape[:3]
        shape, words = (batch, heads, queries.shape[1], places), self.call_log.enter(label).words(self.seed, 0)
        width = heads * queries.shape[1] * places
        [mask] = dropout_masks(words, 1, batch, width, self.spec.dropout, queries.detach(), self.call_log.first_row)
        return mask.reshape(shape)


class _Step:
    """The step form: one query a row; the memory has one row a group."""

    def __init__(self, values: Mapping[str, Tensor], mask_memory: bool) -> None:
        self.values, self.mask_memory = values, mask_memory

    def constants(self, references: Mapping[str, Sequence[Signal]], like: Tensor) -> States:
        """Keys, values and what is left out, one row a group."""
        places, mask = references["memory"][0]
        return heads_memory(places.to(like.dtype), mask if self.mask_memory else None, self.values).constants()

    def step(self, inputs: Sequence[Signal], tokens: Tensor, states: States) -> Formed:
        """One step, ``(rows, width)``."""
        value, mask = inputs[0]
        output, weights = (one.flatten(0, 1) for one in self._attended(value, states))
        return Formed({"output": Signal(output, mask), "attention": Signal(weights, mask)}, {})

    def read(self, inputs: Sequence[Signal], states: States) -> Formed:
        """A whole prompt, ``(rows, time, width)``."""
        value, mask = inputs[0]
        output, weights = (one.reshape(*value.shape[:2], -1) for one in self._attended(value, states))
        return Formed({"output": Signal(output, mask), "attention": Signal(weights, mask)}, {})

    def _attended(self, queries: Tensor, states: States) -> tuple[Tensor, Tensor]:
        memory = Memory.held(states)
        return attend_heads(queries.to(memory.keys.dtype).reshape(memory.keys.shape[0], -1, queries.shape[-1]), memory, self.values)
