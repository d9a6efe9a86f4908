"""Which kernel each GRU of a model really ran on, as torch's profiler saw it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from framework.backends.torch.trainee import TorchTrainee

_MARK = "gatework:"
_KERNELS = (("cudnn_rnn", "cuDNN"), ("aten::gru", "torch's own kernel"))
"""Operators by a part of their name, the one that proves most first."""


def prove_kernels(trainee: TorchTrainee, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, str]:
    """Runs one batch under the profiler.

    Args:
        trainee: the model.
        inputs: by model input's name, such as ``tokens: (batch, time) int32``.

    Returns:
        For each layer that has a cuDNN verdict: ``cuDNN``, ``torch's own kernel``, or ``scan``.
    """
    names = [layer.name for layer in trainee.plan.layers if layer.cudnn]
    activities = [torch.profiler.ProfilerActivity.CPU]
    with _marked(trainee, names), torch.profiler.profile(activities=activities) as profile:
        trainee.predict(inputs)
    seen = {name: "scan" for name in names}
    for part, kernel in reversed(_KERNELS):
        for event in profile.events() or ():
            layer = _layer_of(event) if part in event.name else None
            if layer is not None:
                seen[layer] = kernel
    return seen


@contextmanager
def _marked(trainee: TorchTrainee, names: list[str]) -> Iterator[None]:
    """Within, everything that a layer does is recorded under its name."""
    open_marks: dict[str, Any] = {}
    handles = []
    for name in names:
        module = trainee.native.graph.layer(name)

        def enter(*_: object, name: str = name) -> None:
            open_marks[name] = torch.profiler.record_function(_MARK + name)
            open_marks[name].__enter__()

        def leave(*_: object, name: str = name) -> None:
            open_marks.pop(name).__exit__(None, None, None)

        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _layer_of(event: Any) -> str | None:
    while event is not None:
        if event.name.startswith(_MARK):
            return str(event.name.removeprefix(_MARK))
        event = event.cpu_parent
    return None
