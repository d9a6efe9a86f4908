"""The loss of what is right, step by step: how good a decoding step is, whatever numbers it computes in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from framework.decoding.sampling import log_probabilities
from framework.decoding.stepper import Stepper
from framework.errors import InputError


def stepwise_loss(
    stepper: Stepper,
    inputs: Mapping[str, NDArray[np.generic]],
    decoded: str,
    targets: NDArray[np.generic],
    weights: NDArray[np.float32] | None = None,
) -> float:
    """Mean cross-entropy of targets, each step given the right tokens before it; nats a token.

    Args:
        stepper: the model's decoding step.
        inputs: of the model by name, each ``(rows, …)``; ``decoded`` is ``(rows, time) int``.
        decoded: the model input that is decoded.
        targets: ``(rows, time) int``.
        weights: how much each target counts, in the same shape; all alike when not given.

    Raises:
        InputError: nothing counts.
    """
    tokens, ids = inputs[decoded].astype(np.int32), targets.astype(np.int32)
    counts = np.ones(targets.shape) if weights is None else weights.astype(np.float64)
    if not counts.any():
        raise InputError("no target counts")
    others = {name: value for name, value in inputs.items() if name != decoded}
    state, total = stepper.start(others, len(tokens)), 0.0
    for t in range(tokens.shape[1]):
        logits, state, _ = stepper.step(tokens[:, t], state)
        total -= float((counts[:, t] * log_probabilities(logits, ids[:, t])).sum())
    return total / float(counts.sum())
