"""The torch backend's GRU on a GPU, or on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gpu.batch import Trial


class Side:
    """Layers and training steps of torch.

    Args:
        on_gpu: whether they are to run on the GPU.
    """

    def __init__(self, on_gpu: bool) -> None:
        self.version = f"torch {torch.__version__}"
        self._device = torch.device("cuda" if on_gpu else "cpu")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    @staticmethod
    def gpu() -> str | None:
        """Name of the GPU; None where torch sees none."""
        return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None

    def layer(self, units: int, shape: tuple[int, ...], **arguments: Any) -> Any:
        """A GRU for inputs of this shape."""
        from framework.backends.torch import GRU

        return GRU(units, return_sequences=True, input_shape=shape[1:], **arguments).to(self._device)

    def step(self, layer: Any, trial: Trial, training: bool) -> Callable[[], list[Any]]:
        """A training step: the output and all gradients, each time it is called."""
        kind = next(layer.parameters()).dtype
        inputs, gradient = (torch.from_numpy(one).to(self._device, kind) for one in (trial.inputs, trial.gradient))
        mask = None if trial.mask is None else torch.from_numpy(trial.mask).to(self._device)

        def step() -> list[Any]:
            given = inputs.detach().requires_grad_()
            layer.zero_grad()
            output = layer(given, mask=mask, training=training)
            output.backward(gradient)
            return [output.detach(), given.grad, *(weight.grad for weight in layer.parameters())]

        return step

    @staticmethod
    def arrays(results: list[Any]) -> list[np.ndarray[Any, Any]]:
        """What a step gave, as float64."""
        return [one.double().cpu().numpy() for one in results]

    @staticmethod
    def operators(step: Callable[[], list[Any]]) -> set[str]:
        """Names of the operators that a step runs, as the profiler sees them."""
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            step()
        return {event.key for event in profile.key_averages()}

    def wait(self) -> None:
        """Returns when all that was asked for is computed."""
        if self._device.type == "cuda":
            torch.cuda.synchronize()
