"""The torch backend: device, threads, and models built from plans."""

from __future__ import annotations

from importlib.metadata import version

import torch

from framework.backends.base.objective import Objective
from framework.backends.base.processes import World
from framework.backends.base.training import Arrays
from framework.backends.torch.layers.base import Setting
from framework.backends.torch.module import GraphModule
from framework.backends.torch.processes import TorchProcesses
from framework.backends.torch.state import check_plan_weights
from framework.backends.torch.trainee import TorchTrainee
from framework.builder.plan import ModelPlan
from framework.builder.planner import required_cudnn
from framework.errors import BackendUnavailable, UnsupportedArgument
from framework.spec.backend import BackendSpec
from framework.spec.trainer import TrainerSpec


class TorchBackend:
    """Implements :class:`framework.backends.base.backend.Backend` on PyTorch and Lightning."""

    name = "torch"

    def configure(self, spec: BackendSpec, seed: int) -> None:
        """Threads, device and torch's own random numbers; once a process.

        Raises:
            BackendUnavailable: the device is not there.
        """
        choose_device(spec)
        if spec.threads is not None:
            torch.set_num_threads(spec.threads)
        torch.manual_seed(seed)

    def build(
        self, plan: ModelPlan, weights: Arrays, trainer: TrainerSpec, backend: BackendSpec, objective: Objective | None = None
    ) -> TorchTrainee:
        """The model with the given initial weights, on its device.

        Raises:
            UnsupportedArgument: an argument cannot be honoured; layer and argument are named.
            CheckpointError: the weights are not those of the plan.
        """
        device = choose_device(backend)
        reasons = required_cudnn(plan, self.name)
        if reasons:
            raise UnsupportedArgument("use_cudnn: true, but cuDNN cannot run " + "; ".join(reasons))
        check_plan_weights(plan, weights)
        setting = Setting(
            dtype=torch.float64 if trainer.precision == "64-true" else torch.float32,
            seed=plan.seed,
            use_cudnn=backend.use_cudnn,
        )
        module = GraphModule(plan, setting, objective)
        module.set_weights(weights)
        return TorchTrainee(module.to(device), trainer, device)

    def join(self, world: World, spec: BackendSpec) -> TorchProcesses:
        """Meets the other processes of a training over torch's own process group.

        Raises:
            BackendUnavailable: they cannot be reached, or the device is not there.
        """
        if choose_device(spec).type == "cuda":
            if world.local_size > torch.cuda.device_count():
                raise BackendUnavailable(
                    f"trainer.devices={world.local_size}: torch sees {torch.cuda.device_count()} CUDA GPUs; lower it, or backend.device=cpu"
                )
            torch.cuda.set_device(world.local_rank)
        torch.set_num_threads(spec.threads or world.threads)
        return TorchProcesses(world, choose_device(spec))

    def versions(self) -> dict[str, str]:
        """Names and versions of the libraries in use."""
        return {"torch": torch.__version__, "pytorch-lightning": version("pytorch-lightning")}


def choose_device(spec: BackendSpec) -> torch.device:
    """The device of a config.

    Raises:
        BackendUnavailable: a GPU is asked for and torch sees none.
    """
    if spec.device == "cpu" or (spec.device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        built = "this torch is built without CUDA" if torch.version.cuda is None else "no driver or no device was found"
        raise BackendUnavailable(f"backend.device=gpu: torch sees no CUDA GPU ({built}); backend.device=cpu or auto runs on the processor")
    return torch.device("cuda", torch.cuda.current_device())
