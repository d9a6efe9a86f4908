"""The documented GRU as a layer of a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from framework.backends.base.gru_arguments import keywords_of
from framework.backends.torch.decoding.cell import DecodingCell
from framework.backends.torch.decoding.form import StepForm
from framework.backends.torch.gru.layer import GRU
from framework.backends.torch.layers.base import Layer, Setting
from framework.backends.torch.layers.table import builds
from framework.backends.torch.signal import Signal
from framework.builder.plan import PlannedLayer
from framework.decoding.precision import Precision
from framework.spec.layers.gru import GRUSpec


def native_gru(spec: GRUSpec, name: str, setting: Setting, **changes: bool) -> GRU:
    """The torch module of a config's GRU, its weights still to be made.

    Args:
        spec: with its sizes filled in.
        name: that it is called, and that its dropout's seed is derived from where the spec has none.
        setting: of the model.
        changes: arguments that win over the spec's.
    """
    seed = setting.derived_seed(name) if spec.seed is None else spec.seed
    use_cudnn = setting.use_cudnn if spec.use_cudnn == "auto" else spec.use_cudnn
    return GRU(**keywords_of(spec, **{"name": spec.name or name, "seed": seed, "use_cudnn": use_cudnn, **changes}))


@builds("gru")
class GRULayer(Layer):
    """A :class:`GRU` with its mask, its state as a second output, and its first state from another layer."""

    def __init__(self, planned: PlannedLayer, setting: Setting) -> None:
        super().__init__(planned, setting)
        assert isinstance(planned.spec, GRUSpec)
        self.gru = native_gru(planned.spec, planned.name, setting)
        self.create_weights()

    def place(self, name: str) -> str:
        """Within the GRU."""
        return f"gru.{name}"

    def compute(self, inputs: Sequence[Signal], references: Mapping[str, Sequence[Signal]]) -> dict[str, Signal]:
        """``(batch, time, features)`` to ``output``, and ``state (batch, units)`` with ``return_state``."""
        value, mask = inputs[0]
        first = references.get("initial_state")
        results = self.gru(value, mask=mask, initial_state=None if first is None else first[0].value)
        through = self.gru.compute_mask(value, mask)
        if not self.gru.return_state:
            return {"output": Signal(results, through)}
        return {"output": Signal(results[0], through[0]), "state": Signal(results[1])}

    def step_form(self, embedding: Layer | None, precision: Precision) -> StepForm:
        """A cell with its weights prepared once; its input product with the embedding folded in, where there is one."""
        if embedding is None:
            return DecodingCell(self.gru, precision=precision)
        table, mask_zero = dict(embedding.weights())["embeddings"], bool(getattr(embedding.planned.spec, "mask_zero", False))
        return DecodingCell(self.gru, table, mask_zero, precision=precision)

    def losses(self) -> list[Tensor]:
        """Penalties of the weights, and of the outputs of all calls of the step."""
        return self.gru.losses()

    def apply_constraints(self) -> None:
        """Projects the constrained weights, in place."""
        if self.planned.spec.trainable:
            self.gru.apply_constraints()
