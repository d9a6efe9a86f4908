"""What a reproduction measured: the files in ``recipes/NAME/results``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from framework.spec.base import Spec


class EpochFigures(Spec):
    """What one epoch measured."""

    epoch: int
    """Counted from 1."""
    step: int
    """Optimizer steps done by its end."""
    values: Mapping[str, float]
    """By metric: loss and val_loss in nats a token, seconds, tokens_per_second and the task's other units."""
    sample: str = ""
    """What the model wrote at its end; empty where the variant does not keep that."""


class ResultSample(Spec):
    """What the trained model made."""

    model: Literal["last", "best"]
    """The weights after the last epoch, or those of the best one."""
    step: int
    """Optimizer steps that the weights had behind them."""
    settings: Mapping[str, Any]
    """Prompt, strategy, temperature and the rest of the decoding."""
    seed: int
    """Of the draws."""
    text: str
    """The prompt and what follows."""


class ResultAnswer(Spec):
    """What the trained model made of a probe."""

    inputs: Mapping[str, Any]
    """What it was given."""
    output: str
    """What it answered."""
    right: bool
    """Whether that is one of the answers that count."""


class Result(Spec):
    """One real run of a variant on one backend from one seed."""

    format: Literal[1] = 1
    """Version of this file's format."""
    variant: str
    """Name in targets.yaml."""
    recipe: str
    """The config recipe."""
    backend: str
    """What it was trained on."""
    seed: int
    """Of weights, batches and samples."""
    complete: bool
    """Whether it trained for all epochs of the variant; a partial one may have been stopped."""
    epochs_wanted: int
    """Epochs of the variant."""
    deviations: Mapping[str, Any] = {}
    """Settings that are not the variant's, by dotted key: nothing published is reproduced with them."""
    config_digest: str
    """SHA-256 of the resolved config."""
    data_digest: str
    """SHA-256 of the prepared data."""
    versions: Mapping[str, str]
    """Of Python and of the libraries that compute."""
    hardware: Mapping[str, Any]
    """The machine that trained last; empty where it was not recorded."""
    backend_settings: Mapping[str, Any] = {}
    """The config's ``backend``: device, threads and whether cuDNN is used."""
    started: str
    """UTC, ISO 8601."""
    wall_seconds: float
    """In training, whatever else the machine did meanwhile."""
    figures: Mapping[str, float]
    """Of the whole run: parameters, untrained_loss, best_epoch, best_loss or best_val_loss with their units; and of a complete one
    probes_right and what each evaluation of the variant measured, as ``<evaluation>_<figure>``."""
    epochs: list[EpochFigures]
    """In order."""
    samples: list[ResultSample]
    """What the trained model made."""
    answers: list[ResultAnswer] = []
    """What it made of the variant's probes, where it is complete."""
    pictures: list[str] = []
    """Files beside this one, drawn of the trained model."""
    signatures: Mapping[str, str] = {}
    """What makes a score comparable, by its name, such as sacreBLEU's signature."""

    def measured(self, metric: str, epoch: int | None = None) -> float | None:
        """A metric of an epoch, or a figure of the whole run; None where it was not reached."""
        if epoch is None:
            return self.figures.get(metric)
        return next((one.values.get(metric) for one in self.epochs if one.epoch == epoch), None)
