"""NumPy arrays to torch tensors and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def as_tensor(array: NDArray[Any], device: torch.device | None = None) -> Tensor:
    """The array as a tensor; a copy only where it is not contiguous, may not be written to, or goes to another device."""
    # ascontiguousarray would make a vector of a scalar.
    fitting = array if array.flags.c_contiguous and array.flags.writeable else np.array(array, order="C")
    tensor = torch.from_numpy(fitting)
    return tensor if device is None else tensor.to(device)


def as_array(tensor: Tensor) -> NDArray[np.generic]:
    """A copy of a tensor as an array; bfloat16, which NumPy has not, as float32."""
    plain = tensor.detach().cpu()
    array: NDArray[np.generic] = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    return array.copy()
