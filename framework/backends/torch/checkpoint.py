"""A trainee's whole state as named arrays, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.training import Arrays
from framework.backends.torch.arrays import as_array, as_tensor
from framework.backends.torch.module import GraphModule
from framework.backends.torch.optimizers import KerasOptimizer
from framework.builder.plan import ModelPlan
from framework.errors import CheckpointError
from framework.weights.store import check_weights

if TYPE_CHECKING:
    from framework.backends.torch.trainee import TorchTrainee

PARTS = ("weights", "optimizer", "states", "random", "progress")
"""What a state is made of, before the first ``/`` of its names; ``random`` in those of earlier versions only."""


def check_plan_weights(plan: ModelPlan, weights: Arrays) -> None:
    """Makes sure that weights are those of a plan.

    Raises:
        CheckpointError: a name is missing or unknown, or a shape differs; both sides are shown.
    """
    check_weights({name: weight.shape for name, weight in plan.weight_names()}, weights)


def read_state(trainee: TorchTrainee) -> dict[str, NDArray[np.generic]]:
    """Weights, optimizer, kept states, and what the epoch came to so far; dropout depends on the step alone."""
    graph = trainee.native.graph
    state = {f"weights/{name}": value for name, value in trainee.weights().items()}
    if trainee.pending_slots:
        state.update({f"optimizer/{name}": value.copy() for name, value in trainee.pending_slots.items()})
    elif trainee.native.optimizer is not None:
        state.update({f"optimizer/{name}": value for name, value in _read_slots(trainee.native, trainee.native.optimizer).items()})
    for path, gru in graph.stateful_grus():
        if gru.state is not None:
            state[f"states/{path}"] = as_array(gru.state)
    state.update({f"progress/{name}": value for name, value in trainee.ledger.arrays().items()})
    return state


def _read_slots(module: GraphModule, optimizer: KerasOptimizer) -> dict[str, NDArray[np.generic]]:
    slots: dict[str, NDArray[np.generic]] = {"step": np.array(optimizer.iterations, dtype=np.int64)}
    for slot in optimizer.slots:
        for name, weight in module.graph.weights():
            value = optimizer.slot(slot, weight)
            if value is not None:
                slots[f"{slot}/{name}"] = as_array(value)
    return slots


def write_slots(module: GraphModule, optimizer: KerasOptimizer, slots: Arrays) -> None:
    """Puts an optimizer's values back: ``step``, and ``slot/layer/weight``.

    Raises:
        CheckpointError: they are another optimizer's, or do not fit the weights.
    """
    weights = dict(module.graph.weights())
    optimizer.iterations = int(slots["step"]) if "step" in slots else 0
    for name, value in slots.items():
        slot, _, weight = name.partition("/")
        if name == "step":
            continue
        if slot not in optimizer.slots or weight not in weights:
            kind = type(optimizer).__name__
            raise CheckpointError(f"the checkpoint's 'optimizer/{name}' belongs to another optimizer or model, not to this {kind}")
        if tuple(value.shape) != tuple(weights[weight].shape):
            expected = tuple(weights[weight].shape)
            raise CheckpointError(f"the checkpoint's 'optimizer/{name}' has the shape {tuple(value.shape)}; the model's is {expected}")
        optimizer.set_slot(slot, weights[weight], as_tensor(value))


def write_state(trainee: TorchTrainee, state: Arrays) -> None:
    """Takes back what :func:`read_state` gave; what it has not is as in a new trainee.

    Raises:
        CheckpointError: it does not fit this model.
    """
    parts: dict[str, dict[str, NDArray[np.generic]]] = {part: {} for part in PARTS}
    for name, value in state.items():
        part, _, rest = name.partition("/")
        if part not in parts:
            raise CheckpointError(f"the checkpoint's '{name}' is not known; expected names that begin with {', '.join(PARTS)}")
        parts[part][rest] = value
    trainee.set_weights(parts["weights"])
    trainee.native.optimizer = None
    trainee.pending_slots = {name: value.copy() for name, value in parts["optimizer"].items()}
    _write_states(trainee.native, parts["states"])
    _check_draws(trainee.native, parts["random"])
    trainee.ledger.restore(parts["progress"])


def _write_states(module: GraphModule, states: Arrays) -> None:
    """Kept states; a layer without one starts from zeros, as before its first batch."""
    grus = dict(module.graph.stateful_grus())
    rows = module.plan.batch_size
    for path, state in states.items():
        if path not in grus:
            raise CheckpointError(f"the checkpoint's 'states/{path}' belongs to no stateful layer of this model")
        expected = (rows if rows is not None else len(state), grus[path].units)
        check_weights({path: expected}, {path: state}, "kept states")
    for path, gru in grus.items():
        gru.state = None
        if path in states:
            gru.reset_states(as_tensor(states[path]))


def _check_draws(module: GraphModule, counts: Arrays) -> None:
    """What states held of dropout when it depended on how often masks had been drawn."""
    known = set(module.graph.dropouts())
    for path in counts:
        if path not in known:
            raise CheckpointError(f"the checkpoint's 'random/{path}' belongs to no layer of this model")
