"""What the model is trained for."""

from __future__ import annotations

from typing import Literal

from framework.registry import Registry
from framework.spec.base import Spec


class TaskSpec(Spec):
    """What every task shares."""

    kind: str
    """Name of the task."""


class LanguageModelTaskSpec(TaskSpec):
    """Predict the next token at every step: sparse categorical cross-entropy of the logits, mean over batch and time, in nats."""

    kind: Literal["language_model"] = "language_model"

    reset_states: Literal["auto", "epoch", "never"] = "auto"
    """When stateful layers start again from zeros; auto: at each epoch with contiguous batches, else never, as the tutorial does."""


TASK_KINDS: Registry[type[TaskSpec]] = Registry("task.kind", "task")
"""Tasks by name."""
TASK_KINDS.add("language_model", LanguageModelTaskSpec)
