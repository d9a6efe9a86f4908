"""torch's own files of weights, as named arrays; read by torch's loader that makes tensors and nothing else."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from framework.backends.torch.arrays import as_array, as_tensor
from framework.errors import CheckpointError, InputError
from framework.files import replacing

_WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Under which training loops, Lightning's among them, keep the weights."""


def load_state_dict(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a ``.pt`` or ``.pth`` file that ``torch.save`` wrote from a ``state_dict``; bfloat16 as float32.

    A file of a training loop is taken too, with the weights under ``state_dict``, ``model_state_dict`` or ``model``.

    Raises:
        InputError: it holds other things than tensors, numbers and texts, or no ``state_dict``.
        CheckpointError: it is truncated or damaged.

    Source: PyTorch documentation, "torch.load", ``weights_only``.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path} holds more than tensors, and making such objects could run any code, so it is refused; "
            f"save module.state_dict() instead of the module ({str(error).splitlines()[0]})"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is truncated or damaged: {str(error).splitlines()[0]}") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise InputError(f"{path} holds no state_dict: expected a mapping of names to tensors, or one under {', '.join(_WRAPPERS)}")
    return {str(name): as_array(value) for name, value in content.items()}


def save_state_dict(path: Path, state: Mapping[str, NDArray[np.generic]]) -> None:
    """Writes arrays by torch's names as ``torch.save`` does a ``state_dict``; the file appears whole.

    Raises:
        CheckpointError: it cannot be written.
    """
    try:
        with replacing(path) as part:
            torch.save({name: as_tensor(np.array(array)) for name, array in state.items()}, part)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"cannot write {path}: {error}") from error
