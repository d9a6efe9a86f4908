"""A layer kind: each feature times a learned number."""

from __future__ import annotations

from typing import Literal

from framework.plugin import Inferred, LayerSpec, PlannedTensor, PlannedWeight, Surroundings, builds, layer_kind, plans
from framework.spec.identifiers import Identifier


@layer_kind("scale")
class ScaleSpec(LayerSpec):
    """Multiplies each feature by a weight that starts at one."""

    kind: Literal["scale"] = "scale"
    inputs: str | None = None


@plans(ScaleSpec)
def plan_scale(spec: ScaleSpec, around: Surroundings) -> Inferred:
    """The shape stays; one weight a feature."""
    (tensor,) = around.inputs
    width = int(tensor.shape[-1] or 0)
    output = PlannedTensor(tensor.shape, around.dtype, tensor.masked)
    return Inferred({"output": output}, [PlannedWeight("scale", (width,), Identifier(class_name="ones"))], flops=width)


builds("scale", torch="tones.torch_layers:Scale", tensorflow="tones.keras_layers:scale")
