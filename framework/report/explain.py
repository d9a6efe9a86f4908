"""A plan as a table: layers, shapes, parameters, operations, memory, and the cuDNN verdicts with their reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from framework.builder.costs import layer_cost, model_cost
from framework.builder.cudnn import CudnnVerdict
from framework.builder.exchange import exchange_of
from framework.builder.plan import ModelPlan, PlannedLayer, PlannedTensor
from framework.spec.experiment import Experiment
from framework.tasks.decoding import obstacles

_OPEN = 1
"""Steps of what has no known length."""


def print_explanation(
    experiment: Experiment, plan: ModelPlan, costs: ModelPlan, sizes: Mapping[str, int], source: str, console: Console | None = None
) -> None:
    """Prints the plan for people.

    Args:
        experiment: sizes filled in.
        plan: its plan.
        costs: the same, with model inputs as long as those of a batch, where that is known; what is open counts as one step.
        sizes: the data's sizes.
        source: where the sizes come from: ``declared`` or ``read``.
        console: where to print; standard output when not given.
    """
    out = console or Console(width=None)
    batch_size = experiment.data.batch_size
    out.print(_layer_table(experiment, costs))
    cost = model_cost(costs, batch_size, _OPEN)
    named = ", ".join(f"{name} {size:,} ({source})" for name, size in sizes.items())
    out.print(f"parameters: {plan.parameters:,}   sizes: {named}", highlight=False, soft_wrap=True)
    out.print(
        f"a training step of {batch_size} rows × {_steps(costs)} steps: {_flops(cost.flops)}, activations {_bytes(cost.activation_bytes)}",
        highlight=False,
        soft_wrap=True,
    )
    shares = exchange_of(experiment, plan, costs)
    if shares is not None:
        out.print(
            f"{shares.processes} processes of {shares.rows} rows: each {_flops(shares.cost.flops)} a step, activations "
            f"{_bytes(shares.cost.activation_bytes)}, weights and optimizer {_bytes(shares.kept_bytes)}; exchanged a step: "
            f"{_bytes(shares.gradient_bytes)} of gradients, of which each sends {_bytes(shares.sent_bytes)}",
            highlight=False,
            soft_wrap=True,
        )
    found = obstacles(experiment, plan)
    decoding = (
        "none, the task decodes nothing" if found is None else "; ".join(f"{name}: {why}" for name, why in found.items()) or "derived"
    )
    out.print(f"decoding step: {decoding}", highlight=False, soft_wrap=True)
    for layer in plan.layers:
        for backend, verdict in layer.cudnn.items():
            out.print(f"cuDNN {layer.name} on {backend}: {_verdict(verdict)}", highlight=False, markup=False, soft_wrap=True)
            for condition in verdict.obstacles:
                out.print(
                    f"    {condition.argument}: {condition.reason}; to lift it: {condition.change}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
            for condition in verdict.lifted:
                out.print(f"    {condition.argument}: no obstacle, {condition.lift}", highlight=False, markup=False, soft_wrap=True)


def explain_json(experiment: Experiment, plan: ModelPlan, costs: ModelPlan, sizes: Mapping[str, int], source: str) -> dict[str, Any]:
    """The plan for programs; see :func:`print_explanation`."""
    batch_size = experiment.data.batch_size
    cost = model_cost(costs, batch_size, _OPEN)
    shares = exchange_of(experiment, plan, costs)
    return {
        "recipe": experiment.recipe,
        "backend": experiment.backend.name,
        "sizes": {name: {"value": size, "source": source} for name, size in sizes.items()},
        "parameters": plan.parameters,
        "training_step": {
            "rows": batch_size,
            "steps": max(_lengths(costs).values(), default=_OPEN),
            "lengths": _lengths(costs),
            "flops": cost.flops,
            "activation_bytes": cost.activation_bytes,
        },
        "processes": None
        if shares is None
        else {
            "count": shares.processes,
            "rows": shares.rows,
            "flops": shares.cost.flops,
            "activation_bytes": shares.cost.activation_bytes,
            "kept_bytes": shares.kept_bytes,
            "gradient_bytes": shares.gradient_bytes,
            "sent_bytes": shares.sent_bytes,
        },
        "decoding_obstacles": obstacles(experiment, plan),
        "layers": [_layer_json(layer, costs.layer(layer.name), batch_size) for layer in plan.layers],
    }


def _lengths(costs: ModelPlan) -> dict[str, int]:
    """Steps of the model's inputs by name, of those that have any."""
    return {name: tensor.shape[1] or _OPEN for name, tensor in costs.inputs.items() if len(tensor.shape) > 1}


def _steps(costs: ModelPlan) -> str:
    lengths = _lengths(costs)
    return ", ".join(str(length) if len(lengths) == 1 else f"{length} {name}" for name, length in lengths.items())


def _layer_table(experiment: Experiment, costs: ModelPlan) -> Table:
    batch_size = experiment.data.batch_size
    table = Table(title=f"{experiment.recipe} on {experiment.backend.name}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("layer (kind)", "reads", "output"):
        table.add_column(heading, overflow="fold")
    for heading in ("parameters", "FLOPs", "activations"):
        table.add_column(heading, justify="right", no_wrap=True)
    for layer in costs.layers:
        cost = layer_cost(layer, batch_size, _OPEN)
        name = layer.name if layer.name == layer.kind else f"{layer.name} ({layer.kind})"
        reads = ", ".join(str(reference) for references in layer.references.values() for reference in references)
        shapes = "\n".join(_extent_of(tensor, batch_size) for tensor in layer.outputs.values())
        table.add_row(name, reads, shapes, f"{layer.parameters:,}", _flops(cost.flops), _bytes(cost.activation_bytes))
    return table


def _extent_of(tensor: PlannedTensor, batch_size: int) -> str:
    lengths = [str(length or (batch_size if axis == 0 else _OPEN)) for axis, length in enumerate(tensor.shape)]
    return f"({', '.join(lengths)})" + (" masked" if tensor.masked else "")


def _layer_json(layer: PlannedLayer, costed: PlannedLayer, batch_size: int) -> dict[str, Any]:
    cost = layer_cost(costed, batch_size, _OPEN)
    return {
        "name": layer.name,
        "kind": layer.kind,
        "reads": {field: [str(one) for one in references] for field, references in layer.references.items()},
        "outputs": {name: {"shape": list(tensor.shape), "dtype": tensor.dtype} for name, tensor in layer.outputs.items()},
        "weights": {weight.name: list(weight.shape) for weight in layer.weights},
        "parameters": layer.parameters,
        "flops": cost.flops,
        "activation_bytes": cost.activation_bytes,
        "cudnn": {
            backend: {
                "eligible": verdict.eligible,
                "obstacles": [{"argument": one.argument, "reason": one.reason, "change": one.change} for one in verdict.obstacles],
                "lifted": [{"argument": one.argument, "reason": one.reason, "lift": one.lift} for one in verdict.lifted],
            }
            for backend, verdict in layer.cudnn.items()
        },
    }


def _verdict(verdict: CudnnVerdict) -> str:
    return "yes, on a CUDA GPU" if verdict.eligible else "no"


def _flops(count: int) -> str:
    for unit, size in (("TFLOP", 1e12), ("GFLOP", 1e9), ("MFLOP", 1e6), ("kFLOP", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} FLOP"


def _bytes(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
