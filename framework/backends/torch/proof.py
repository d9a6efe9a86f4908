"""Which operators each GRU of a model really ran, as torch's profiler saw them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from framework.backends.torch.trainee import TorchTrainee

_MARK = "gatework:"


def operators_by_layer(trainee: TorchTrainee, names: Iterable[str], inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, set[str]]:
    """Runs one batch under the profiler.

    Args:
        trainee: the model.
        names: of layers.
        inputs: by model input's name, such as ``tokens: (batch, time) int32``.

    Returns:
        For each of these layers the names of the operators that ran within it, such as ``aten::mm``.
    """
    seen: dict[str, set[str]] = {name: set() for name in names}
    activities = [torch.profiler.ProfilerActivity.CPU]
    with _marked(trainee, seen), torch.profiler.profile(activities=activities) as profile:
        trainee.predict(inputs)
    for event in profile.events() or ():
        layer = _layer_of(event)
        if layer is not None:
            seen[layer].add(event.name)
    return seen


@contextmanager
def _marked(trainee: TorchTrainee, names: Iterable[str]) -> Iterator[None]:
    """Within, everything that a layer does is recorded under its name."""
    open_marks: dict[str, Any] = {}
    handles = []
    for name in names:
        module = trainee.native.network.layer(name)

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
