"""Which steps of a batch the output of a training is made for: those whose targets count."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from framework.backends.torch.model import Cut
from framework.builder.plan import ModelPlan, Reference

MOST = 0.95
"""Share of the steps above which all are made: choosing costs more than it saves."""


class Counted(NamedTuple):
    """What is compared.

    Attributes:
        cut: what the model leaves out; None: nothing.
        targets: of the steps that are left.
        weights: likewise, or None.
    """

    cut: Cut | None
    targets: Tensor
    weights: Tensor | None


def counted_steps(plan: ModelPlan, output: str, targets: Tensor, weights: Tensor | None) -> Counted:
    """Leaves padding out of the last product, which in a model of words is a large part of a step.

    Only where the output is made by a dense layer that nothing else reads and that penalizes no activity, and on CPUs: a GPU would have
    to be waited for. The loss is the same sum in another order.

    Args:
        plan: of the model.
        output: name of the output that is trained.
        targets: ``(batch, time)`` or ``(batch,)``.
        weights: how much each target counts, in the same shape; or None.
    """
    everything = Counted(None, targets, weights)
    reference = plan.outputs[output]
    if weights is None or weights.shape != targets.shape or weights.device.type != "cpu" or not _stands_alone(plan, reference):
        return everything
    counts = weights != 0
    share = float(counts.float().mean())
    if share == 0 or share > MOST:
        return everything
    return Counted(Cut(reference.node, counts), targets[counts], weights[counts])


def _stands_alone(plan: ModelPlan, reference: Reference) -> bool:
    if reference.node in plan.inputs:
        return False
    layer = plan.layer(reference.node)
    read = {one.node for other in plan.layers for found in other.references.values() for one in found}
    return layer.kind == "dense" and layer.name not in read and getattr(layer.spec, "activity_regularizer", None) is None
