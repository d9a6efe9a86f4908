"""A training state of one backend as one of the other: what both name alike, what only the name differs of, what starts anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.training import Arrays
from framework.errors import CheckpointError

State = dict[str, NDArray[np.generic]]

_STEPS = {"torch": "optimizer/step", "tensorflow": "optimizer/iterations"}
"""The number of optimizer steps done."""


def translate_state(state: Arrays, fresh: Arrays, source: str, target: str) -> tuple[State, list[str]]:
    """A checkpoint's state for the other backend.

    Weights and the optimizer's slots are named alike; the optimizer's count of steps, kept recurrent states and the running mean of an
    unfinished epoch are renamed. Dropout goes on: it depends on the seed and the step alone.

    Args:
        state: of the source.
        fresh: of the target's model before any training; it says which names the target has.
        source: name of the backend that the state is of.
        target: name of the other.

    Returns:
        The state, and what could not be taken over, a sentence each.

    Raises:
        CheckpointError: the weights are not those of the target's model.
    """
    found: State = {name: np.array(value) for name, value in fresh.items()}
    notes: list[str] = []
    for name in fresh:
        if name.startswith("weights/"):
            if name not in state:
                raise CheckpointError(f"the checkpoint has no '{name}', which the model on {target} has")
            found[name] = np.array(state[name])
    for name, value in state.items():
        if name.startswith("optimizer/"):
            found[_STEPS[target] if name == _STEPS[source] else name] = np.array(value)
    found.update(_recurrent(state, fresh, source, target, notes))
    found.update(_progress(state, source, target))
    for name in found:
        if name.startswith("random/"):  # the seed, and the number of the coming step
            found[name][-1] = state.get(_STEPS[source], 0)
    return found, notes


def _recurrent(state: Arrays, fresh: Arrays, source: str, target: str, notes: list[str]) -> State:
    """Kept states: ``states/gru/state`` on torch, ``states/gru/0`` on TensorFlow."""
    kept = {name: value for name, value in state.items() if name.startswith("states/")}
    if target == "torch":
        return {_torch_state(name): np.array(value) for name, value in kept.items()} if _all_plain(kept, notes) else {}
    found = {name: kept[theirs] for name in fresh if (theirs := _torch_state(name)) in kept and name.startswith("states/")}
    if len(found) < len(kept):
        notes.append(f"kept states of {', '.join(name for name in kept)} start from zeros: {target} names them otherwise")
        return {}
    return {name: np.array(value) for name, value in found.items()}


def _all_plain(kept: Arrays, notes: list[str]) -> bool:
    """Whether each layer keeps one state, so that its number says nothing."""
    plain = all(name.endswith("/0") for name in kept)
    if not plain:
        notes.append(f"kept states of {', '.join(kept)} start from zeros: a layer with several is named otherwise on torch")
    return plain


def _torch_state(name: str) -> str:
    return f"{name.rpartition('/')[0]}/state"


def _progress(state: Arrays, source: str, target: str) -> State:
    """The sum of the losses of an epoch's batches, and their tokens; ``seconds`` is kept on torch only."""
    names = {"torch": "progress/loss", "tensorflow": "progress/total"}
    if names[source] not in state:
        return {}
    total, tokens = np.array(state[names[source]], np.float64), np.array(state["progress/tokens"], np.int64)
    if target == "torch":
        return {names[target]: total, "progress/tokens": tokens, "progress/seconds": np.array(0.0)} if int(tokens) else {}
    return {names[target]: total, "progress/tokens": tokens}
