"""How long and how a model is trained; names are Lightning's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from framework.spec.base import Spec


class EarlyStoppingSpec(Spec):
    """Stop when the monitored value gets no better."""

    monitor: str = "val_loss"
    """Value to watch: loss, val_loss, or val_ with another measure or score of the task, such as val_bleu."""
    patience: int = Field(3, ge=0)
    """Epochs without a better value before stopping."""
    min_delta: float = Field(0.0, ge=0.0)
    """Smallest change for the better that counts, in the value's own unit: nats for a loss."""


class CheckpointSpec(Spec):
    """Which checkpoints are written. The last one is always kept."""

    every_n_epochs: int = Field(1, gt=0)
    """Epochs between checkpoints."""
    every_n_steps: int | None = Field(None, gt=0)
    """Also every so many steps within an epoch."""
    monitor: str = "auto"
    """Value whose best makes the best checkpoint, as for early stopping: the lowest loss, the highest score; auto: val_loss where there is
    validation, else loss."""


class TrainerSpec(Spec):
    """Length, precision and rhythm of the training. Source: Lightning documentation, "Trainer"."""

    max_epochs: int = Field(10, gt=0)
    """Passes over the training data."""
    devices: int = Field(1, gt=0)
    """Processes on each machine: GPUs where it computes on these. Each takes its rows of every batch; ``data.batch_size`` is all rows."""
    num_nodes: int = Field(1, gt=0)
    """Machines; more than one needs what starts the processes there: torchrun, Slurm, or TF_CONFIG."""
    strategy: Literal["auto", "ddp"] = "auto"
    """How several processes train together: ddp, data parallel, of torch's DistributedDataParallel or TensorFlow's collectives. auto:
    that, where there are several."""
    precision: Literal["32-true", "64-true", "bf16-mixed"] = "32-true"
    """Number format; bf16-mixed keeps float32 weights and computes in bfloat16."""
    gradient_clip_val: float | None = Field(None, gt=0.0)
    """Largest gradient; null: not clipped."""
    gradient_clip_algorithm: Literal["norm", "value"] = "norm"
    """Clip the norm over all weights, or each value."""
    limit_train_batches: int | None = Field(None, gt=0)
    """Batches of an epoch, at most."""
    limit_val_batches: int | None = Field(None, gt=0)
    """Batches of a validation, at most."""
    limit_scored_examples: int | None = Field(1000, gt=0)
    """Held-out examples, from the first on, that are predicted and scored at most: after a validation where a score such as val_bleu is
    monitored, and once for the table of best and worst predictions when the run is finished."""
    check_val_every_n_epoch: int = Field(1, gt=0)
    """Epochs between validations."""
    log_every_n_steps: int = Field(10, gt=0)
    """Steps between two records of the training loss."""
    early_stopping: EarlyStoppingSpec | None = None
    """When to stop early; null: never."""
    checkpoint: CheckpointSpec = CheckpointSpec()
    """Which checkpoints are written."""
    sample_every_n_epochs: int | None = Field(1, gt=0)
    """Epochs between samples of what the model makes; null: none."""

    @property
    def processes(self) -> int:
        """How many processes train together."""
        return self.devices * self.num_nodes
