"""A model in use: what a task is given to make predictions and samples with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.backends.base.backend import Trainee
    from framework.builder.plan import ModelPlan
    from framework.data.prepared import PreparedData
    from framework.data.processor import Processor
    from framework.decoding.precision import Precision
    from framework.decoding.stepper import Stepper
    from framework.spec.decoding import DecodingSpec
    from framework.spec.experiment import Experiment


@dataclass(frozen=True)
class Model:
    """A built model with what belongs to it.

    Attributes:
        experiment: the config, sizes filled in.
        plan: of the model.
        processor: of the data that it is, or was, trained on.
        trainee: the native model behind its backend's floor.
        decoded: the model input that its task decodes, or None.
        precision: of large products when it decodes.
    """

    experiment: Experiment
    plan: ModelPlan
    processor: Processor
    trainee: Trainee
    decoded: str | None = None
    precision: Precision = "float32"

    @cached_property
    def stepper(self) -> Stepper:
        """The decoding step, with the weights of the first use.

        Raises:
            UnsupportedArgument: a layer cannot be decoded step by step; it is named. Or the backend has no products of that precision.
        """
        return self.trainee.stepper(self.decoded, self.precision)

    def knowing(self, data: PreparedData) -> Model:
        """The same model, whose processor knows what was computed for data that was prepared with it, such as what is seen of images."""
        return replace(self, processor=data.processor) if data.processor == self.processor else self

    def decoding(self, **changes: Any) -> DecodingSpec:
        """The config's decoding with what is given (not None) changed.

        Raises:
            InputError: a value is out of range, or there is no such setting.
        """
        from framework.errors import InputError
        from framework.spec.decoding import DecodingSpec
        from framework.spec.problems import ProblemCollector

        given = {key: value for key, value in changes.items() if value is not None}
        collector = ProblemCollector()
        settings = collector.parse(DecodingSpec, {**self.experiment.decoding.model_dump(), **given}, "")
        if settings is None:
            raise InputError("\n".join(str(problem) for problem in collector.problems))
        return settings
