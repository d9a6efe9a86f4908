"""Inception v3 as keras.applications has it, on the weights that Keras fetches: for users without TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from framework.backends.base.random_convolutions import ConvolutionWeights

_ADDRESS = (
    "https://storage.googleapis.com/tensorflow/keras-applications/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
_CHECKSUM = "md5:bcbd6486424b2319ff4ef7d526e38f63"
_EPSILON = 1e-3
"""What Keras' batch norm adds to a variance."""


class InceptionV3(nn.Module):
    """The network without its pooling and classes: ``(batch, 3, size, size)`` from -1 to 1, to ``(batch, 2048, rows, columns)``.

    For features alone: the batch norms are those of a trained network, and are part of their convolutions. It computes nothing of use
    until it was given weights. Source: C. Szegedy et al. 2015 (arXiv:1512.00567), as in keras.applications.inception_v3.
    """

    def __init__(self) -> None:
        super().__init__()
        self.places, _ = _NETWORK(3)
        found: list[tuple[int, nn.Conv2d]] = []
        _above(self.places, 0, found)
        # Keras' own order, which its files are in: the farthest from the end first, then branch by branch.
        self._convolutions = [convolution for _, convolution in sorted(found, key=lambda one: -one[0])]

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        places: Tensor = self.places(pixels)
        return places

    @property
    def kernel_shapes(self) -> list[tuple[int, ...]]:
        """``(rows, columns, width in, width out)`` of each convolution, in the order of Keras' layers."""
        return [(*one.kernel_size, one.in_channels, one.out_channels) for one in self._convolutions]

    @torch.no_grad()
    def take(self, weights: Iterable[ConvolutionWeights]) -> None:
        """Takes weights.

        Args:
            weights: of each convolution, in the order of :attr:`kernel_shapes`.

        Raises:
            ValueError: they are not this network's.
        """
        given = list(weights)
        if (shapes := [one.kernel.shape for one in given]) != self.kernel_shapes:
            raise ValueError(f"{len(shapes)} kernels with {sum(map(np.prod, shapes)):,} numbers are not those of Inception v3")
        for convolution, (kernel, beta, mean, variance) in zip(self._convolutions, given, strict=True):
            assert convolution.bias is not None
            scale = 1 / np.sqrt(variance.astype(np.float64) + _EPSILON)
            convolution.weight.copy_(torch.from_numpy((kernel * scale).transpose(3, 2, 0, 1)))
            convolution.bias.copy_(torch.from_numpy(beta - mean * scale))


def keras_file() -> Path:
    """Where Keras keeps the weights, and finds them."""
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models" / _ADDRESS.rpartition("/")[2]


def fetch(file: Path) -> None:
    """Fetches Keras' weights, if they are not there yet or are damaged.

    Args:
        file: to be, or that is there.

    Raises:
        OSError: they cannot be fetched, or the folder cannot be written.
        ValueError: what was fetched is another file.
    """
    import pooch

    pooch.retrieve(_ADDRESS, _CHECKSUM, file.name, file.parent, downloader=pooch.HTTPDownloader(timeout=30))


def keras_weights(file: Path) -> list[ConvolutionWeights]:
    """The weights in a file of Keras' network: HDF5 with the names of the layers and of their weights as attributes, in their order.

    Args:
        file: as Keras' ``load_weights`` takes it.

    Raises:
        OSError: it is no HDF5 file, or a part of one.
        KeyError: it holds something else.
        ValueError: likewise.
    """
    import h5py

    kernels: list[Any] = []
    norms: list[Any] = []
    with h5py.File(file) as content:
        for layer in content.attrs["layer_names"]:
            arrays = [content[layer][name][()] for name in content[layer].attrs["weight_names"]]
            if len(arrays) == 1:
                kernels += arrays
            elif arrays:
                norms.append(arrays)
    return [ConvolutionWeights(kernel, *norm) for kernel, norm in zip(kernels, norms, strict=True)]


_Part = Callable[[int], tuple[nn.Module, int]]
"""Makes a part of the network for the width that it is given; tells the width that it gives."""


class _Branches(nn.ModuleList):
    """What several parts give of the same places, side by side."""

    def forward(self, places: Tensor) -> Tensor:
        return torch.cat([branch(places) for branch in self], 1)


def _convolution(filters: int, rows: int, columns: int, stride: int = 1, padded: bool = True) -> _Part:
    def make(width: int) -> tuple[nn.Module, int]:
        padding = (rows // 2, columns // 2) if padded else 0
        made = nn.utils.skip_init(nn.Conv2d, width, filters, (rows, columns), stride, padding)  # type: ignore[no-untyped-call]
        return nn.Sequential(made, nn.ReLU(inplace=True)), filters

    return make


def _halving(filters: int) -> _Part:
    return _convolution(filters, 3, 3, stride=2, padded=False)


def _largest(width: int) -> tuple[nn.Module, int]:
    return nn.MaxPool2d(3, stride=2), width


def _mean(width: int) -> tuple[nn.Module, int]:
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), width


def _chain(*parts: _Part) -> _Part:
    def make(width: int) -> tuple[nn.Module, int]:
        made = nn.Sequential()
        for part in parts:
            module, width = part(width)
            made.append(module)
        return made, width

    return make


def _branches(*parts: _Part) -> _Part:
    def make(width: int) -> tuple[nn.Module, int]:
        made = [part(width) for part in parts]
        return _Branches(module for module, _ in made), sum(width for _, width in made)

    return make


def _fine(pooled: int) -> _Part:
    """A block at 35 x 35 places, for 299 pixels."""
    return _branches(
        _convolution(64, 1, 1),
        _chain(_convolution(48, 1, 1), _convolution(64, 5, 5)),
        _chain(_convolution(64, 1, 1), _convolution(96, 3, 3), _convolution(96, 3, 3)),
        _chain(_mean, _convolution(pooled, 1, 1)),
    )


def _middle(inner: int) -> _Part:
    """A block at 17 x 17 places."""
    return _branches(
        _convolution(192, 1, 1),
        _chain(_convolution(inner, 1, 1), _convolution(inner, 1, 7), _convolution(192, 7, 1)),
        _chain(
            _convolution(inner, 1, 1),
            _convolution(inner, 7, 1),
            _convolution(inner, 1, 7),
            _convolution(inner, 7, 1),
            _convolution(192, 1, 7),
        ),
        _chain(_mean, _convolution(192, 1, 1)),
    )


def _coarse() -> _Part:
    """A block at 8 x 8 places."""
    fork = _branches(_convolution(384, 1, 3), _convolution(384, 3, 1))
    return _branches(
        _convolution(320, 1, 1),
        _chain(_convolution(384, 1, 1), fork),
        _chain(_convolution(448, 1, 1), _convolution(384, 3, 3), fork),
        _chain(_mean, _convolution(192, 1, 1)),
    )


_NETWORK = _chain(
    _convolution(32, 3, 3, stride=2, padded=False),
    _convolution(32, 3, 3, padded=False),
    _convolution(64, 3, 3),
    _largest,
    _convolution(80, 1, 1),
    _convolution(192, 3, 3, padded=False),
    _largest,
    *map(_fine, (32, 64, 64)),
    _branches(_halving(384), _chain(_convolution(64, 1, 1), _convolution(96, 3, 3), _halving(96)), _largest),
    *map(_middle, (128, 160, 160, 192)),
    _branches(
        _chain(_convolution(192, 1, 1), _halving(320)),
        _chain(_convolution(192, 1, 1), _convolution(192, 1, 7), _convolution(192, 7, 1), _halving(192)),
        _largest,
    ),
    _coarse(),
    _coarse(),
)


def _above(part: nn.Module, depth: int, found: list[tuple[int, nn.Conv2d]]) -> int:
    """Adds a part's convolutions, with the layers that Keras has on the longest way from each to the end.

    Args:
        part: of the network.
        depth: how many layers come after it.
        found: to add to.

    Returns:
        How many layers come after what the part is given.
    """
    if isinstance(part, _Branches):
        return max(_above(branch, depth + 1, found) for branch in part)
    if isinstance(part, nn.Sequential):
        for one in reversed(part):
            depth = _above(one, depth, found)
        return depth
    if isinstance(part, nn.Conv2d):
        found.append((depth + 1, part))
        return depth + 2  # and its batch norm
    return depth + 1
