"""From an experiment and its data's sizes to a plan that the task can be trained with. Reads no data and imports no backend."""

from __future__ import annotations

from collections.abc import Mapping

from framework.builder.plan import ModelPlan
from framework.builder.planner import plan_model, required_cudnn
from framework.config.fill import fill_sizes
from framework.engine.run.digest import resolved
from framework.errors import SpecError, UnsupportedArgument
from framework.spec.experiment import Experiment
from framework.spec.problems import Locate, ProblemCollector, nowhere
from framework.spec.validate import validate_experiment
from framework.tasks.known import task_of
from framework.tasks.monitored import check_monitors

_DTYPES = {"64-true": "float64"}


def with_sizes(experiment: Experiment, sizes: Mapping[str, int], locate: Locate = nowhere) -> Experiment:
    """The same experiment with ``${size:NAME}`` replaced by numbers."""
    return validate_experiment(fill_sizes(resolved(experiment), sizes), locate)


def with_lengths(experiment: Experiment, lengths: Mapping[str, int]) -> Experiment:
    """The same experiment with model inputs of these many steps, by name, in place of any; for what a batch costs."""
    mapping = resolved(experiment)
    for name, length in lengths.items():
        entry = mapping["model"]["inputs"].get(name)
        if entry is not None and entry["shape"] and entry["shape"][0] is None:
            entry["shape"][0] = length
    return validate_experiment(mapping)


def plan_experiment(experiment: Experiment, sizes: Mapping[str, int], locate: Locate = nowhere) -> ModelPlan:
    """Plans the model and checks it against the task.

    Raises:
        SpecError: shapes that do not fit, or a model that the task cannot be trained with.
        UnsupportedArgument: a GRU must run on cuDNN and cannot; every reason is named.
    """
    plan = plan_only(experiment, locate)
    collector = ProblemCollector(locate)
    task = task_of(experiment)
    task.check(plan, experiment, sizes, collector)
    check_monitors(task, experiment.trainer, collector)
    if collector.problems:
        raise SpecError(collector.problems)
    refused = required_cudnn(plan, experiment.backend.name, experiment.backend.use_cudnn)
    if refused:
        raise UnsupportedArgument("use_cudnn: true cannot be had:\n" + "\n".join(f"  {line}" for line in refused))
    return plan


def plan_only(experiment: Experiment, locate: Locate = nowhere) -> ModelPlan:
    """Plans the model, whatever it is to be trained for.

    Raises:
        SpecError: shapes that do not fit.
    """
    dtype = _DTYPES.get(experiment.trainer.precision, "float32")
    return plan_model(experiment.model, experiment.seed, experiment.backend, dtype=dtype, locate=locate)
