"""A trainee's whole state as named arrays, and back."""

from __future__ import annotations

import numpy as np

from framework.backends.base.ledger import Ledger
from framework.backends.base.state import ITERATIONS, State, join_state, split_state
from framework.backends.base.training import Arrays
from framework.backends.torch.arrays import as_array, as_tensor
from framework.backends.torch.module import GraphModule
from framework.backends.torch.optimizers import KerasOptimizer
from framework.builder.plan import ModelPlan
from framework.errors import CheckpointError
from framework.weights.store import check_weights


def check_plan_weights(plan: ModelPlan, weights: Arrays) -> None:
    """Makes sure that weights are those of a plan.

    Raises:
        CheckpointError: a name is missing or unknown, or a shape differs; both sides are shown.
    """
    check_weights({name: weight.shape for name, weight in plan.weight_names()}, weights)


def read_weights(module: GraphModule) -> State:
    """Weights by ``layer/weight`` in Keras' layout and order, copied; bfloat16 as float32."""
    return {name: as_array(weight) for name, weight in module.network.weights()}


def read_state(module: GraphModule, ledger: Ledger, pending: Arrays) -> State:
    """The parts of :data:`framework.backends.base.state.PARTS`.

    Args:
        module: with the optimizer of its training, if there was one.
        ledger: where the training stands.
        pending: what the coming training's optimizer starts from, where a state was loaded since.
    """
    optimizer = {name: value.copy() for name, value in pending.items()} or _read_optimizer(module)
    return join_state(weights=read_weights(module), optimizer=optimizer, states=_read_states(module), progress=ledger.arrays())


def write_state(module: GraphModule, ledger: Ledger, state: Arrays) -> State:
    """Takes back what :func:`read_state` gave; what it has not is as in a new trainee. What the optimizer is to start from is returned.

    Raises:
        CheckpointError: it does not fit this model; nothing is changed then.
    """
    parts = split_state(state, [layer.name for layer in module.plan.layers])
    check_plan_weights(module.plan, parts["weights"])
    _check_states(module, parts["states"])
    ledger.restore(parts["progress"])
    module.set_weights(parts["weights"])
    module.optimizer = None
    for name, gru in module.network.stateful_grus():
        gru.state = None  # zeros, as before the first batch
        if name in parts["states"]:
            gru.reset_states(as_tensor(parts["states"][name]))
    return parts["optimizer"]


def write_optimizer(module: GraphModule, optimizer: KerasOptimizer, values: Arrays) -> None:
    """Puts an optimizer's values back.

    Raises:
        CheckpointError: they are another optimizer's, or do not fit the weights.
    """
    weights = dict(module.network.weights())
    slots = {name: value for name, value in values.items() if name != ITERATIONS}
    optimizer.iterations = int(values[ITERATIONS]) if ITERATIONS in values else 0
    for name, value in slots.items():
        slot, _, weight = name.partition("/")
        if slot not in optimizer.slots or weight not in weights:
            kind = type(optimizer).__name__
            raise CheckpointError(f"the checkpoint's 'optimizer/{name}' belongs to another optimizer or model, not to this {kind}")
        if tuple(value.shape) != tuple(weights[weight].shape):
            expected = tuple(weights[weight].shape)
            raise CheckpointError(f"the checkpoint's 'optimizer/{name}' has the shape {tuple(value.shape)}; the model's is {expected}")
        optimizer.set_slot(slot, weights[weight], as_tensor(value))


def _read_optimizer(module: GraphModule) -> State:
    optimizer = module.optimizer
    if optimizer is None or not optimizer.iterations:
        return {}
    found: State = {ITERATIONS: np.array(optimizer.iterations, dtype=np.int64)}
    trained = {name: weight for name, weight in module.network.weights() if weight.requires_grad}
    for slot in optimizer.slots:
        values = {name: optimizer.slot(slot, weight) for name, weight in trained.items()}
        if any(value is not None for value in values.values()):  # a weight that never had a gradient has none
            found |= {f"{slot}/{name}": np.zeros(trained[name].shape) if one is None else as_array(one) for name, one in values.items()}
    return found


def _read_states(module: GraphModule) -> State:
    """Kept states, zeros where there is none yet and the plan says of how many rows."""
    found: State = {}
    for name, gru in module.network.stateful_grus():
        if gru.state is not None:
            found[name] = as_array(gru.state)
        elif module.plan.batch_size is not None:
            found[name] = as_array(gru.get_initial_state(batch_size=module.plan.batch_size)[0])
    return found


def _check_states(module: GraphModule, states: Arrays) -> None:
    rows = module.plan.batch_size
    grus = dict(module.network.stateful_grus())
    given = {name: (len(states[name]) if rows is None else rows, gru.units) for name, gru in grus.items() if name in states}
    check_weights(given, states, "kept states")
