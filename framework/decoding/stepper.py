"""What decoding needs of a model: a start, one step, and a choice of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from framework.errors import InputError

Tokens = NDArray[np.integer[Any]]
"""Token ids."""


class State(NamedTuple):
    """What a step reads beside its tokens; its tensors are opaque to the caller.

    Rows come in groups of ``width``: the hypotheses of one input. What was made of the input itself is held once a group.

    Attributes:
        constant: what was made before the first step and stays as it is, one row a group.
        carried: what goes from step to step, one row a row.
        rows: number of rows.
        width: rows of a group.
    """

    constant: Mapping[str, Any]
    carried: Mapping[str, Any]
    rows: int
    width: int = 1

    def select(self, rows: Tokens, width: int, take: Callable[[Any, Tokens], Any]) -> State:
        """The state of ``rows`` in that order, in groups of ``width``; constants move only where groups do.

        Args:
            rows: numbers of rows; each group's must be of one group before.
            width: rows of a group from now on.
            take: a tensor's rows by number.

        Raises:
            InputError: the rows make no whole groups, or a group is made of several.
        """
        groups = np.asarray(rows) // self.width
        if len(groups) % width or (groups.reshape(-1, width) != groups[::width, None]).any():
            raise InputError(f"{len(groups)} rows make no groups of {width}, each of one group before")
        carried = {name: take(value, rows) for name, value in self.carried.items()}
        kept = groups[::width]
        constant = self.constant
        if constant and not np.array_equal(kept, np.arange(self.rows // self.width)):
            constant = {name: take(value, kept) for name, value in constant.items()}
        return State(constant, carried, len(groups), width)


class Stepped(NamedTuple):
    """What a step gives.

    Attributes:
        logits: of the last step, ``(rows, vocabulary) float32``, valid until the next step.
        state: the new one.
        watched: what one may want to look at, by name, such as attention weights.
    """

    logits: NDArray[np.float32]
    state: State
    watched: Mapping[str, NDArray[np.float32]]


class Stepper(Protocol):
    """The decoding step of a model, for any number of rows.

    Uses the model's weights as they are when it is made; make a new one after training went on.
    """

    def start(self, inputs: Mapping[str, NDArray[np.generic]], rows: int) -> State:
        """The state before the first step: runs what does not depend on the decoded tokens.

        Args:
            inputs: the model inputs that are not decoded, by name, each ``(rows, …)``; empty for a model that has none.
            rows: number of rows.

        Raises:
            InputError: an input is missing or unknown, or has another number of rows.
        """
        ...

    def step(self, tokens: Tokens, state: State) -> Stepped:
        """One step.

        Args:
            tokens: ``(rows,) int``, or ``(rows, time) int`` to read a whole prompt at once.
            state: from :meth:`start` or the step before.
        """
        ...

    def select(self, state: State, rows: Tokens, width: int = 1) -> State:
        """The state of ``rows`` in that order, in groups of ``width``, for beams and for rows that are done."""
        ...


def check_start(known: list[str], inputs: Mapping[str, NDArray[np.generic]], rows: int) -> None:
    """Holds what :meth:`Stepper.start` is given against what a model needs.

    Raises:
        InputError: see there.
    """
    wanted = f"the inputs {', '.join(known)}" if known else "no inputs beside the decoded tokens"
    for name in known:
        if name not in inputs:
            raise InputError(f"decoding needs {wanted}; '{name}' is missing")
    for name in inputs:
        if name not in known:
            raise InputError(f"decoding needs {wanted}; '{name}' is unknown")
    for name, value in inputs.items():
        if len(value) != rows:
            raise InputError(f"the input '{name}' has {len(value)} rows; expected {rows}")


def check_prompt(shape: tuple[int, ...]) -> None:
    """Holds the shape of tokens that are not ``(rows,)`` against that of a prompt.

    Raises:
        InputError: it is none.
    """
    if len(shape) != 2 or shape[1] == 0:
        raise InputError(f"tokens have the shape {tuple(shape)}: expected (rows,), or (rows, time) with at least one step")
