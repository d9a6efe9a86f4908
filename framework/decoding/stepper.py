"""What decoding needs of a model: one step, a first state, and a choice of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, Any]
"""Recurrent state, opaque here."""

Tokens = NDArray[np.integer[Any]]
"""Token ids."""


class Stepper(Protocol):
    """The decoding step of a model; a backend's :class:`framework.backends.base.backend.Stepper` is one."""

    def initial_state(self, rows: int) -> State:
        """Zero states for ``rows`` rows."""
        ...

    def __call__(self, tokens: Tokens, state: State) -> tuple[NDArray[np.float32], State]:
        """Reads ``(rows,) int`` or ``(rows, time) int``; gives the last step's logits ``(rows, vocabulary)`` and the new state."""
        ...

    def select(self, state: State, rows: Tokens) -> State:
        """The states of ``rows`` in that order."""
        ...
