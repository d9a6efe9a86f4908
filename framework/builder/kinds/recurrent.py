"""Rules of gru and bidirectional."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from framework.builder.kinds.dense import GLOROT
from framework.builder.plan import PlannedTensor, PlannedWeight
from framework.builder.rule import Inferred, ShapeProblem, Surroundings, features, plans, show, single_input
from framework.spec.layers.bidirectional import BidirectionalSpec
from framework.spec.layers.gru import GRUSpec

GRU_KEPT = 5
"""Values of a step of one row that the backward pass needs, a unit: the gates, what the reset gate multiplied, and the state."""


@plans(GRUSpec)
def plan_gru(spec: GRUSpec, around: Surroundings) -> Inferred:
    """``(batch, time, features)`` to ``(batch, units)`` or ``(batch, time, units)``."""
    tensor = single_input(around)
    width = features(tensor)
    if len(tensor.shape) != 3:
        expected = "(time, batch, features)" if spec.time_major else "(batch, time, features)"
        raise ShapeProblem("inputs", f"reads {show(tensor.shape)}", expected=expected)
    units = int(spec.units)
    batch, time = (tensor.shape[1], tensor.shape[0]) if spec.time_major else (tensor.shape[0], tensor.shape[1])
    if spec.unroll and time is None:
        raise ShapeProblem("unroll", "the number of steps is not known", expected="a fixed length in model.inputs, instead of null")
    _check_initial_state(around, units)
    sequence = (time, batch, units) if spec.time_major else (batch, time, units)
    output = PlannedTensor(sequence if spec.return_sequences else (batch, units), around.dtype, tensor.masked and spec.return_sequences)
    outputs = {"output": output}
    if spec.return_state:
        outputs["state"] = PlannedTensor((batch, units), around.dtype)
    return Inferred(
        outputs,
        gru_weights(spec, width),
        state={"state": (units,)},
        step=not spec.go_backwards,
        flops=gru_flops(units, width),
        activations=GRU_KEPT * units,
    )


def gru_flops(units: int, width: int) -> int:
    """Operations of one step of one row: the products with inputs and state, and about 13 a unit beside them."""
    return 2 * 3 * units * (width + units) + 13 * units


def gru_weights(spec: GRUSpec, width: int) -> list[PlannedWeight]:
    """``kernel (features, 3·units)``, ``recurrent_kernel (units, 3·units)``, ``bias (2, 3·units)`` or ``(3·units,)``; gates z, r, h."""
    units = int(spec.units)
    weights = [
        PlannedWeight("kernel", (width, 3 * units), spec.kernel_initializer or GLOROT, spec.kernel_regularizer, spec.kernel_constraint),
        PlannedWeight(
            "recurrent_kernel",
            (units, 3 * units),
            spec.recurrent_initializer or GLOROT,
            spec.recurrent_regularizer,
            spec.recurrent_constraint,
        ),
    ]
    if spec.use_bias:
        shape = (2, 3 * units) if spec.reset_after else (3 * units,)
        weights.append(PlannedWeight("bias", shape, spec.bias_initializer or GLOROT, spec.bias_regularizer, spec.bias_constraint))
    return weights


def _check_initial_state(around: Surroundings, units: int) -> None:
    states = around.references.get("initial_state", ())
    if len(states) > 1:
        raise ShapeProblem("initial_state", f"names {len(states)} states", expected="one: a GRU has one state")
    for state in states:
        if len(state.shape) != 2 or state.shape[-1] != units:
            raise ShapeProblem("initial_state", f"has the shape {show(state.shape)}", expected=show((None, units)))


@plans(BidirectionalSpec)
def plan_bidirectional(spec: BidirectionalSpec, around: Surroundings) -> Inferred:
    """Both directions read the same sequence; their outputs are joined by ``merge_mode``."""
    forward = plan_gru(spec.layer, around)
    backward_spec = spec.backward_layer or spec.layer.model_copy(update={"go_backwards": not spec.layer.go_backwards})
    backward = plan_gru(backward_spec, around)
    one, other = forward.outputs["output"], backward.outputs["output"]
    width = features(one) + features(other) if spec.merge_mode == "concat" else features(one)
    weights = [*prefixed("forward", forward.weights), *prefixed("backward", backward.weights)]
    outputs = {"output": replace(one, shape=(*one.shape[:-1], width))}
    if spec.return_state:
        outputs["state"] = PlannedTensor((one.shape[0], width), around.dtype)
    return Inferred(
        outputs,
        weights,
        step=False,
        flops=forward.flops + backward.flops,
        activations=forward.activations + backward.activations,
    )


def prefixed(prefix: str, weights: Iterable[PlannedWeight]) -> list[PlannedWeight]:
    """The weights of a layer within another one, under names that say so."""
    return [replace(weight, name=f"{prefix}/{weight.name}") for weight in weights]
