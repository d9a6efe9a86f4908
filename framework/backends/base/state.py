"""The parts and names of a saved state: the same on both backends, so that one's checkpoint is the other's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.processes import Processes
from framework.backends.base.training import Arrays
from framework.data.batches import Part
from framework.errors import CheckpointError

PARTS: Mapping[str, str] = {
    "weights": "layer/weight, in Keras' layout",
    "optimizer": "iterations, and slot/layer/weight with Keras' names of the slots; nothing before the first step",
    "states": "layer/number: what a stateful layer keeps from batch to batch, in the order of Keras' Layer.states",
    "random": "layer/number: random numbers of a layer that counts them itself; dropout depends on its seed and the step alone",
    "progress": "what the epoch came to so far; see framework.backends.base.ledger",
}
"""What a state is made of: the part is the name before the first ``/``, and this is what follows."""

ITERATIONS = "iterations"
"""In the part of the optimizer: steps done."""

_FORMER = {
    "optimizer/step": f"optimizer/{ITERATIONS}",  # torch's
    "progress/total": "progress/loss",  # TensorFlow's
    "progress/tokens": "progress/count",
}
"""Names that states of earlier versions have, to those of now."""

State = dict[str, NDArray[np.generic]]


def join_state(**parts: Arrays) -> State:
    """A state out of its parts, each by the names within it."""
    return {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}


def split_state(state: Arrays, layers: Collection[str]) -> dict[str, State]:
    """The parts of a state, each by the names within it; names of earlier versions are read as those of now.

    Args:
        state: to be split.
        layers: names of the model's layers.

    Raises:
        CheckpointError: a name is in none of :data:`PARTS`, or random numbers are those of another model's layer.
    """
    parts: dict[str, State] = {part: {} for part in PARTS}
    for given, value in state.items():
        part, _, name = current_name(given).partition("/")
        if part not in parts:
            raise CheckpointError(f"the checkpoint's '{given}' is no part of a training state; names begin with {', '.join(PARTS)}")
        if part == "random" and name.partition("/")[0] not in layers:
            raise CheckpointError(f"the checkpoint's '{given}' belongs to no layer of this model")
        parts[part][name] = np.array(value)
    return parts


def current_name(name: str) -> str:
    """The name of now for one of a saved state; ``states/layer/state`` was torch's, see :data:`_FORMER` for the others."""
    if name.startswith("states/") and name.endswith("/state"):
        return f"{name.removesuffix('state')}0"
    return _FORMER.get(name, name)


def rows_of(state: Arrays, part: Callable[[int], Part]) -> State:
    """A process's share of a whole state: its rows of what stateful layers keep, and all else.

    Args:
        state: of a whole training.
        part: tells the rows of a process, of so many.
    """
    return {name: _rows(value, part(len(value))) if _has_rows(name) else np.asarray(value) for name, value in state.items()}


def gathered_rows(state: Arrays, processes: Processes) -> State:
    """The whole state out of the shares of all processes; each has to call it."""
    return {name: processes.gathered(value) if _has_rows(name) else np.asarray(value) for name, value in state.items()}


def _has_rows(name: str) -> bool:
    return current_name(name).startswith("states/")


def _rows(value: NDArray[np.generic], part: Part) -> NDArray[np.generic]:
    return value[part.first : part.first + part.rows]
