"""The decoding step of a model, derived from its plan: which layers run at each step, and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass

from framework.builder.plan import ModelPlan, PlannedLayer


@dataclass(frozen=True)
class DecodingStep:
    """How a model decodes.

    Attributes:
        per_step: layers that depend on the decoded input, in order; they run at each step with their state.
        once: layers that do not; they run once, before the first step.
        obstacles: for each layer of ``per_step`` without a step form, its name and the reason.
    """

    per_step: tuple[PlannedLayer, ...]
    once: tuple[PlannedLayer, ...]
    obstacles: dict[str, str]


def derive_step(plan: ModelPlan, decoded: str) -> DecodingStep:
    """Splits a plan by what depends on the model input ``decoded``.

    Args:
        plan: the whole model.
        decoded: name of the model input that is decoded token by token.
    """
    dependent = {decoded}
    per_step: list[PlannedLayer] = []
    once: list[PlannedLayer] = []
    for layer in plan.layers:
        reads = {reference.node for references in layer.references.values() for reference in references}
        if reads & dependent:
            dependent.add(layer.name)
            per_step.append(layer)
        else:
            once.append(layer)
    obstacles = {layer.name: _obstacle(layer) for layer in per_step if not layer.step}
    for layer in per_step:
        if any(reference.node in dependent for reference in layer.references.get("initial_state", ())):
            obstacles.setdefault(layer.name, "its initial_state is made from the tokens that are still to be decoded")
    return DecodingStep(tuple(per_step), tuple(once), obstacles)


def _obstacle(layer: PlannedLayer) -> str:
    if getattr(layer.spec, "go_backwards", False):
        return "go_backwards reads the end of the sequence first, which is not there yet while decoding"
    if layer.kind == "bidirectional":
        return "bidirectional reads the sequence backwards too, whose end is not there yet while decoding"
    return f"the kind '{layer.kind}' has no step form with these settings"
