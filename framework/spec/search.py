"""How a search for good settings goes: ``hydra.sweeper`` of ``sweep=optuna``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from framework.errors import SpecError
from framework.spec.base import Spec
from framework.spec.problems import Locate, ProblemCollector, nowhere


class SearchSpec(Spec):
    """Settings of a search; the search space itself is ``hydra.sweeper.params``."""

    n_trials: int = Field(20, gt=0)
    """Trials in all, those of earlier starts included; a larger number goes on with the search."""

    n_jobs: int | None = Field(None, gt=0)
    """Trials begun together; null: as many as the launcher runs at a time."""

    metric: str = "auto"
    """Recorded value of an epoch that is sought for, such as epoch/val_loss; auto: the validation loss, or else the training loss."""

    direction: Literal["minimize", "maximize"] = "minimize"
    """Whether a small or a large value is good."""

    sampler: Literal["tpe", "random", "qmc", "grid"] = "tpe"
    """What suggests values: tpe learns from the trials before; random, qmc (evenly spread) and grid (choices and ranges only) do not."""

    n_startup_trials: int = Field(10, ge=0)
    """Trials that tpe draws at random before it begins to learn."""

    seed: int = Field(0, ge=0)
    """Seed of the sampler."""

    pruner: Literal["none", "median", "hyperband", "successive_halving"] = "median"
    """Ends trials that are worse than others were after as many epochs."""

    pruner_startup_trials: int = Field(5, ge=0)
    """Whole trials that the median pruner waits for."""

    pruner_warmup_epochs: int = Field(1, ge=0)
    """Epochs that no trial of the median pruner is ended in."""


def validate_search(settings: Mapping[str, Any], locate: Locate = nowhere) -> SearchSpec:
    """Checks the settings of ``hydra.sweeper``.

    Raises:
        SpecError: with every problem found.
    """
    collector = ProblemCollector(locate)
    spec = collector.parse(SearchSpec, settings, "hydra.sweeper")
    if spec is None or collector.problems:
        raise SpecError(collector.problems)
    return spec
