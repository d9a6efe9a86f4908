"""Attention of a sequence of queries over a memory, and what every attending layer shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from framework.backends.base.scoring import Scoring
from framework.backends.torch.attention.memory import Memory
from framework.backends.torch.attention.step import AttentionStep
from framework.backends.torch.attention.whole import attend_whole
from framework.backends.torch.decoding.form import StepForm
from framework.backends.torch.layers.base import Layer, Setting
from framework.backends.torch.layers.table import builds
from framework.backends.torch.precision import autocasts
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer
from framework.decoding.precision import Precision
from framework.spec.layers.attention import AttentionDecoderSpec, AttentionSpec
from framework.spec.layers.multi_head_attention import MultiHeadAttentionSpec


class AttendingLayer(Layer):
    """A layer that attends to a memory; its weights lie in modules that are called as the weights' names begin."""

    spec: AttentionSpec | AttentionDecoderSpec | MultiHeadAttentionSpec

    def create_weights(self) -> None:
        """Makes the modules, then the weights in them."""
        for weight in self.planned.weights:
            module: nn.Module = self
            for part in weight.name.split("/")[:-1]:
                if part not in module._modules:
                    module.add_module(part, nn.Module())
                module = module.get_submodule(part)
        super().create_weights()

    def place(self, name: str) -> str:
        """Within the module that the name begins with."""
        return name.replace("/", ".")

    def values(self, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """The weights of now by their planned names, in a data type; their own when not given."""
        return {name: weight if dtype is None else weight.to(dtype) for name, weight in self.weights()}

    def scoring(self, values: Mapping[str, Tensor], width: int) -> Scoring:
        """The score's weights, for queries of a width."""
        assert not isinstance(self.spec, MultiHeadAttentionSpec)
        own = {name.removeprefix("attention/"): value for name, value in values.items() if name.startswith("attention/")}
        return Scoring.of(self.spec.attention, own, width)

    def memory(self, places: Signal, scoring: Scoring, dtype: torch.dtype) -> Memory:
        """The memory that ``memory`` of the config names."""
        return Memory.of(places.value.to(dtype), places.mask if self.spec.mask_memory else None, scoring)

    @contextmanager
    def computing(self, inputs: Tensor) -> Iterator[torch.dtype]:
        """Within, autocast is off: everything is in the data type that is given, that of autocast or of the weights."""
        device = inputs.device.type
        weight = next(self.parameters(), inputs)
        if not autocasts(device):
            yield weight.dtype
            return
        with torch.autocast(device, enabled=False):
            yield torch.get_autocast_dtype(device) if weight.dtype == torch.float32 else weight.dtype


@builds("attention")
class Attention(AttendingLayer):
    """For each query the mean of the memory's places, weighted by the softmax of their scores."""

    spec: AttentionSpec

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, AttentionSpec)
        self.spec = planned.spec
        self.create_weights()

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """``(batch, time, width)`` to contexts ``(batch, time, features)``; the queries' mask goes through."""
        value, mask = inputs[0]
        with self.computing(value) as dtype:
            scoring = self.scoring(self.values(dtype), value.shape[-1])
            contexts, weights = attend_whole(value.to(dtype), self.memory(references["memory"][0], scoring, dtype), scoring)
        return {"output": Signal(contexts, mask), "attention": Signal(weights, mask)}

    def step_form(self, embedding: Layer | None, precision: Precision) -> StepForm:
        """With the keys made once, before the first step."""
        return AttentionStep(self.scoring(self.values(), self.planned.inputs[0].shape[-1] or 0), self.spec.mask_memory)
