"""A whole model: inputs, named layers, outputs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SerializeAsAny

from framework.spec.base import SPEC_VERSION, Dimension, Spec
from framework.spec.layers.base import LayerSpec


class InputSpec(Spec):
    """One tensor that the model is fed with."""

    dtype: Literal["int32", "int64", "float32", "float64", "bfloat16"] = "int32"
    """Data type of the values."""

    shape: list[Dimension | None]
    """Shape without the batch; null is a length that varies, such as time; ``${size:NAME}`` one that the data tells."""

    batch_size: int | None = Field(None, gt=0)
    """Rows of every batch, where it is fixed; stateful layers need it."""


class ModelSpec(Spec):
    """Layers by name, wired by ``inputs``; the order of writing matters only where ``inputs`` is left out."""

    spec_version: int = SPEC_VERSION
    """Version of this vocabulary."""

    inputs: dict[str, InputSpec] = Field(min_length=1)
    """What the model is fed with, by name."""

    layers: dict[str, SerializeAsAny[LayerSpec]] = Field(min_length=1)
    """The layers, by name."""

    outputs: str | dict[str, str]
    """The layer that gives the model's output, or several by name."""

    def output_references(self) -> dict[str, str]:
        """Outputs by name; a single one is called ``output``."""
        return {"output": self.outputs} if isinstance(self.outputs, str) else dict(self.outputs)


def previous_names(model: ModelSpec) -> dict[str, str | None]:
    """For each layer the name written before it: what ``inputs`` defaults to; the only model input for the first layer."""
    before: str | None = next(iter(model.inputs)) if len(model.inputs) == 1 else None
    found: dict[str, str | None] = {}
    for name in model.layers:
        found[name] = before
        before = name
    return found
