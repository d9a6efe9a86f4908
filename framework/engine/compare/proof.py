"""Proof of a plan's cuDNN verdicts: the model is built, run once, and watched."""

from __future__ import annotations

from framework.engine.run.prepare import build_trainee, prepare_experiment
from framework.errors import UnsupportedArgument
from framework.spec.experiment import Experiment
from framework.spec.problems import Locate, nowhere


def prove_verdicts(experiment: Experiment, locate: Locate = nowhere) -> list[tuple[str, bool, str]]:
    """For each GRU: its name, whether its verdict is cuDNN, and the kernel that the profiler saw on this machine.

    Raises:
        UnsupportedArgument: the backend has no profiler that tells operators apart by layer.
    """
    if experiment.backend.name != "torch":
        raise UnsupportedArgument("explain --proof watches the torch backend's operators; set backend=torch, whose verdicts are the same")
    from framework.backends.torch.proof import prove_kernels

    prepared = prepare_experiment(experiment, locate)
    _, trainee = build_trainee(prepared)
    batch = next(iter(prepared.data.train.epoch(0)))
    seen = prove_kernels(trainee, batch.inputs)  # type: ignore[arg-type]
    return [(name, prepared.plan.layer(name).cudnn["torch"].eligible, kernel) for name, kernel in seen.items()]
