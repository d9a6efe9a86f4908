"""The TensorFlow backend behind its floor."""

from __future__ import annotations

from framework.backends.tensorflow.environment import prepare

prepare()

import keras  # noqa: E402 - the environment decides what Keras runs on
import tensorflow as tf  # noqa: E402

from framework.backends.base.objective import Objective  # noqa: E402
from framework.backends.base.processes import World  # noqa: E402
from framework.backends.base.training import Arrays  # noqa: E402
from framework.backends.tensorflow.processes import TensorFlowProcesses  # noqa: E402
from framework.backends.tensorflow.trainee import KerasTrainee  # noqa: E402
from framework.builder.plan import ModelPlan  # noqa: E402
from framework.errors import BackendUnavailable, UnsupportedArgument  # noqa: E402
from framework.spec.backend import BackendSpec  # noqa: E402
from framework.spec.rules import recurrent_layers  # noqa: E402
from framework.spec.trainer import TrainerSpec  # noqa: E402


class TensorFlowBackend:
    """Keras on TensorFlow; what :class:`framework.backends.base.backend.Backend` promises."""

    name = "tensorflow"

    def configure(self, spec: BackendSpec, seed: int) -> None:
        """Threads, device and the process's own random numbers; once a process.

        Raises:
            BackendUnavailable: there is no GPU, or TensorFlow already runs otherwise in this process.
        """
        _choose_device(spec.device)
        if spec.threads is not None:
            _set_threads(spec.threads)
        keras.utils.set_random_seed(seed)

    def build(
        self, plan: ModelPlan, weights: Arrays, trainer: TrainerSpec, backend: BackendSpec, objective: Objective | None = None
    ) -> KerasTrainee:
        """The native model with the given initial weights.

        Raises:
            UnsupportedArgument: Keras cannot honour an argument; layer and argument are named.
            CheckpointError: the weights are not this model's.
        """
        _require_cudnn(plan, backend)
        return KerasTrainee(plan, weights, trainer, backend, objective)

    def join(self, world: World, spec: BackendSpec) -> TensorFlowProcesses:
        """Meets the other processes of a training over TensorFlow's own cluster.

        Raises:
            BackendUnavailable: they cannot be reached, there are fewer GPUs here than processes that compute on them, or TensorFlow
                already runs in this process.
        """
        _choose_device(spec.device, world)
        _set_threads(spec.threads or world.threads)
        return TensorFlowProcesses(world)

    def versions(self) -> dict[str, str]:
        """Names and versions of the libraries in use."""
        return {"tensorflow": tf.__version__, "keras": keras.__version__}


def _choose_device(device: str, world: World | None = None) -> None:
    """Makes what is to compute visible: the processor, all GPUs, or, of several processes on a machine, the one of this process."""
    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise BackendUnavailable("backend.device=gpu: TensorFlow sees no GPU here; use backend.device=auto or cpu")
    try:
        if device == "cpu":
            tf.config.set_visible_devices([], "GPU")
            return
        if world is not None and gpus:
            if world.local_size > len(gpus):
                raise BackendUnavailable(
                    f"trainer.devices={world.local_size}: TensorFlow sees {len(gpus)} GPUs; lower it, or backend.device=cpu"
                )
            gpus = [gpus[world.local_rank]]
            tf.config.set_visible_devices(gpus, "GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
    except RuntimeError as error:
        raise BackendUnavailable(f"backend.device={device}: TensorFlow already runs in this process; start a new one") from error


def _set_threads(threads: int) -> None:
    threading = tf.config.threading
    if (threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()) == (threads, threads):
        return
    try:
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise BackendUnavailable(f"backend.threads={threads}: TensorFlow already runs in this process; start a new one") from error


def _require_cudnn(plan: ModelPlan, backend: BackendSpec) -> None:
    """Refuses ``use_cudnn: true`` where cuDNN cannot be had, with every reason."""
    reasons: list[str] = []
    for layer in plan.layers:
        verdict = layer.cudnn.get("tensorflow")
        wanted = [backend.use_cudnn if gru.use_cudnn == "auto" else gru.use_cudnn for _, gru in recurrent_layers(layer.spec)]
        if True not in wanted:
            continue
        found = [] if verdict is None else verdict.reasons()
        if not tf.config.list_logical_devices("GPU") and not any(reason.startswith("device:") for reason in found):
            found.append("device: TensorFlow sees no GPU here")
        reasons.extend(f"model.layers.{layer.name}: {reason}" for reason in found)
    if reasons:
        raise UnsupportedArgument("use_cudnn: true cannot be had: " + "; ".join(reasons))
