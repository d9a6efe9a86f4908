"""What a publication reports and a recipe is held to: ``recipes/NAME/targets.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from framework.spec.base import Spec

_OF_THE_RUN = ("parameters", "untrained_loss", "probes_right")

Positive = Annotated[int, Field(gt=0)]


class Target(Spec):
    """One published figure, and how close to it a reproduction has to come."""

    metric: str = Field(min_length=1)
    """What is compared: loss or val_loss of an epoch; or, of the run, untrained_loss, best_val_loss, best_epoch, parameters, probes_right,
    or a figure of one of the variant's ``evaluations``, such as ``test_bleu``."""
    epoch: Positive | None = None
    """The epoch whose mean is compared, counted from 1; none for a figure of the whole run."""
    measures: str = Field(min_length=1)
    """What exactly was measured, with its unit."""
    value: float | None = None
    """The published figure; none where the publication is only bracketed by other runs."""
    low: float
    """Lowest value that counts as reproduced."""
    high: float
    """Highest value that counts as reproduced."""
    why: str = Field(min_length=1)
    """Why these bounds."""
    source: str = Field(min_length=1)
    """Where the figure is published."""
    bracketed: bool = False
    """No executed run of exactly this model is known; the bounds come from runs of its relatives."""
    derived: bool = False
    """The publication does not print the figure; it follows from what is published."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low {self.low} is above high {self.high}")
        if self.value is not None and not self.low <= self.value <= self.high:
            raise ValueError(f"the published value {self.value} lies outside {self.low} to {self.high}")
        if self.value is None and not self.bracketed:
            raise ValueError("without a published value, a target is bracketed: true")
        return self

    @property
    def title(self) -> str:
        """``loss, epoch 10``."""
        name = self.metric.replace("_", " ")
        return name if self.epoch is None else f"{name}, epoch {self.epoch}"


class Evaluation(Spec):
    """A measurement of the trained model: its figures are those of ``gatework evaluate``, each with the evaluation's name before it."""

    split: str = Field(min_length=1)
    """Part of the data, such as test."""
    decoding: Mapping[str, Any] = {}
    """What its settings of decoding change of the recipe's, such as ``{strategy: beam}``."""


class Probe(Spec):
    """An input that the publication shows, and what counts as right."""

    inputs: Mapping[str, Any] = Field(min_length=1)
    """What the model is given, by name."""
    right: list[str] = Field(min_length=1)
    """Every answer that counts."""


class Drawn(Spec):
    """An example of the data that results show; only of data that may be published."""

    split: str = Field(min_length=1)
    """Part of the data, such as test."""
    number: int = Field(0, ge=0)
    """Which of its examples, from 0 on."""


class PublishedCurve(Spec):
    """A published run, epoch by epoch."""

    label: str = Field(min_length=1)
    """What was run."""
    source: str = Field(min_length=1)
    """Where it is published."""
    metric: str = "loss"
    """What the values are."""
    values: Mapping[Positive, float]
    """The metric by epoch, counted from 1."""


class Variant(Spec):
    """One experiment of a publication, with the settings that make a recipe run it."""

    title: str = Field(min_length=1)
    """What it is called in tables."""
    recipe: str = Field(min_length=1)
    """The config recipe that holds its settings."""
    overrides: list[str] = []
    """What its settings change of the recipe's."""
    baseline: str | None = None
    """The variant that this one is an experiment on: its overrides come to that one's settings, and both are shown side by side."""
    note: str | None = None
    """What a reader of its table should know."""
    monitor: str = Field("loss", min_length=1)
    """The metric whose curve is drawn, such as loss or val_loss."""
    targets: list[Target] = []
    """Published figures; none for an experiment that nobody has published."""
    curves: list[PublishedCurve] = []
    """Published runs to draw beside ours; an experiment is held beside those of its baseline."""
    evaluations: Mapping[str, Evaluation] = {}
    """What the model is measured by once it is trained, by name."""
    probes: list[Probe] = []
    """Inputs that it is shown then."""
    drawn: Drawn | None = None
    """An example with what the model attended to, drawn beside the results; that of the longest answer to a probe when not given."""
    epoch_samples: bool = False
    """Whether results keep what the model wrote after each epoch, besides at the end."""
    quotes: bool = True
    """Whether results show what the model writes for some examples; false where these are not for everyone to pass on."""

    @model_validator(mode="after")
    def _evaluations_are_told_apart(self) -> Self:
        for name in self.evaluations:
            for other in self.evaluations:
                if other.startswith(f"{name}_"):
                    raise ValueError(f"evaluations.{other} begins with '{name}_', as the figures of '{name}' do; call it otherwise")
        return self

    @model_validator(mode="after")
    def _targets_are_of_an_epoch_or_of_the_run(self) -> Self:
        prefixes = ("best_", *(f"{name}_" for name in self.evaluations))
        for one in self.targets:
            whole = one.metric in _OF_THE_RUN or one.metric.startswith(prefixes)
            if whole and one.epoch is not None:
                raise ValueError(f"{one.metric} is a figure of the whole run and has no epoch")
            if not whole and one.epoch is None:
                known = ", ".join([*_OF_THE_RUN, *(f"{prefix}…" for prefix in prefixes)])
                raise ValueError(f"{one.metric} needs an epoch; figures of the whole run are {known}")
        return self

    @model_validator(mode="after")
    def _an_experiment_changes_something_of_ours(self) -> Self:
        if self.baseline is not None and (self.targets or self.curves):
            raise ValueError("a variant with a baseline is an experiment of ours and has no targets and no curves")
        if self.baseline is not None and not self.overrides:
            raise ValueError("an experiment changes something: overrides are missing")
        return self


class Targets(Spec):
    """Everything that a recipe is compared with.

    Variants of one config recipe follow one another; ``gatework reproduce recipe=NAME`` runs the first that is no experiment.
    """

    spec_version: Literal[1] = 1
    """Version of this file's format."""
    publication: str = Field(min_length=1)
    """What is reproduced."""
    variants: Mapping[str, Variant] = Field(min_length=1)
    """The experiments, by the name that their results' files begin with."""

    @model_validator(mode="after")
    def _experiments_change_a_variant(self) -> Self:
        for name, one in self.variants.items():
            if one.baseline is None:
                continue
            if one.baseline not in self.variants or self.variants[one.baseline].baseline is not None:
                raise ValueError(f"variants.{name}.baseline is '{one.baseline}'; expected a variant that is no experiment itself")
            if self.variants[one.baseline].recipe != one.recipe:
                raise ValueError(f"variants.{name} is of another recipe than its baseline '{one.baseline}'")
        return self

    def variant(self, recipe: str, name: str | None = None) -> str | None:
        """Name of the variant called ``name``, or of a config recipe's first one; None where there is none."""
        if name is not None:
            return name if name in self.variants and self.variants[name].recipe == recipe else None
        return next((key for key, one in self.variants.items() if one.recipe == recipe and one.baseline is None), None)
