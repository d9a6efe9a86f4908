"""What the model is trained for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

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


class WritingTaskSpec(TaskSpec):
    """Write a sequence: cross-entropy of the logits against the next token of the right one, padding left out, in nats.

    What is reported is per token whatever the gradient is taken of.
    """

    normalization: Literal["per_token", "per_row"] = "per_token"
    """What the gradient is taken of: the mean over the batch's tokens, or the sum over them divided by its rows, as the tutorials do."""

    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of the probability that is spread evenly over all tokens while training."""


class TranslationTaskSpec(WritingTaskSpec):
    """Write one sequence for another, such as a sentence for one in another language."""

    kind: Literal["translation"] = "translation"


class CaptioningTaskSpec(WritingTaskSpec):
    """Write what is on an image."""

    kind: Literal["captioning"] = "captioning"


TASK_KINDS: Registry[type[TaskSpec]] = Registry("task.kind", "task")
"""Tasks by name."""
TASK_KINDS.add("language_model", LanguageModelTaskSpec)
TASK_KINDS.add("translation", TranslationTaskSpec)
TASK_KINDS.add("captioning", CaptioningTaskSpec)
