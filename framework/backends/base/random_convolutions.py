"""Random weights of an image network's convolutions: the same numbers on each backend, so that they give the same features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ConvolutionWeights(NamedTuple):
    """A convolution without bias, and the batch norm without scale behind it, as Keras keeps them.

    Attributes:
        kernel: ``(rows, columns, width in, width out)``.
        beta: ``(width out,)``, added at the end.
        mean: likewise, subtracted first.
        variance: likewise; what is left is divided by its root.
    """

    kernel: NDArray[np.float32]
    beta: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]


def random_convolutions(shapes: Iterable[tuple[int, ...]], seed: int) -> Iterator[ConvolutionWeights]:
    """Weights that keep the size of what goes through them and a relu: kernels as He draws them, with a norm that does a little.

    Args:
        shapes: of the kernels, in an order that is the same wherever they are to be the same.
        seed: of all of them.

    Yields:
        The weights of each. Source: K. He et al. 2015 (arXiv:1502.01852).
    """
    generator = np.random.default_rng(seed)
    for shape in shapes:
        kernel = generator.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[:-1])))
        beta, mean = generator.normal(0, 0.1, (2, shape[-1])).astype(np.float32)
        # One over it is 1 in the mean: that is what the size of the outputs goes with.
        variance = (1 / generator.uniform(0.5, 1.5, shape[-1])).astype(np.float32)
        yield ConvolutionWeights(kernel, beta, mean, variance)
