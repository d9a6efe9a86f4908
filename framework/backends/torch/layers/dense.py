"""A product with a matrix over the last axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from framework.backends.torch.activations import activation
from framework.backends.torch.activity import ActivityPenalties
from framework.backends.torch.decoding.form import Formed, States, StepForm
from framework.backends.torch.identifiers import regularizer
from framework.backends.torch.large_product import large_product
from framework.backends.torch.layers.base import Layer, Setting, single
from framework.backends.torch.layers.table import builds
from framework.backends.torch.product import PreparedProduct
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer
from framework.decoding.precision import Precision
from framework.spec.layers.dense import DenseSpec


@builds("dense")
class Dense(Layer):
    """``activation(x · kernel + bias)`` with ``kernel (features, units)`` and ``bias (units,)``."""

    kernel: nn.Parameter
    bias: nn.Parameter

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, DenseSpec)
        self.spec = planned.spec
        self.activation = activation(planned.spec.activation)
        penalty = planned.spec.activity_regularizer
        self.activity_regularizer = None if penalty is None else regularizer(penalty)
        self.activity_penalties = ActivityPenalties()
        self.create_weights()

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """``(batch, …, features)`` to ``(batch, …, units)``; the mask goes through."""
        value, mask = inputs[0]
        output = self.activation(large_product(value, self.kernel, self.bias if self.spec.use_bias else None))
        if self.activity_regularizer is not None:
            self.activity_penalties.record(self.activity_regularizer, [output], self.training, f"layer '{self.planned.name}'")
        return single(Signal(output, mask))

    def step_form(self, embedding: Layer | None, precision: Precision) -> StepForm:
        """With the product prepared once; a layer with a data type of its own stays as it is."""
        return super().step_form(embedding, precision) if self.planned.spec.dtype is not None else _Prepared(self, precision)

    def losses(self) -> list[Tensor]:
        """Penalties of the weights, and of the outputs of all calls of the step (a mean over their batch)."""
        return super().losses() if self.activity_regularizer is None else [*super().losses(), *self.activity_penalties.read()]


class _Prepared:
    """The step form: its kernel laid out once for products with a few rows."""

    def __init__(self, layer: Dense, precision: Precision) -> None:
        self.layer = layer
        self.product = PreparedProduct(layer.kernel, layer.bias if layer.spec.use_bias else None, precision)
        # A module looks its members up slowly.
        self.dtype, self.activation = layer.kernel.dtype, layer.activation

    def step(self, inputs: Sequence[Signal], tokens: Tensor, states: States) -> Formed:
        """One step."""
        value, mask = inputs[0]
        if value.dtype != self.dtype:
            value = value.to(self.dtype)
        return Formed(single(Signal(self.activation(self.product(value)), mask)), {})

    def read(self, inputs: Sequence[Signal], states: States) -> Formed:
        """A whole prompt."""
        return Formed(self.layer(inputs), {})
