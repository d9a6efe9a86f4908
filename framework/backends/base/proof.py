"""Which kernel a layer ran on, told by the operators that were seen while it ran."""

from __future__ import annotations

from collections.abc import Iterable

from framework.builder.plan import ModelPlan

SCAN = "scan"
"""The backend's own operations, step by step or as one scan."""

_KERNELS = (
    ("_cudnn_rnn", "cuDNN"),  # torch's operator
    ("CudnnRNN", "cuDNN"),  # TensorFlow's
    ("aten::gru", "torch's own kernel"),
)
"""A part of an operator's name and the kernel that it proves, the one that proves most first."""


def watched_layers(plan: ModelPlan) -> list[str]:
    """Names of the layers that have a cuDNN verdict."""
    return [layer.name for layer in plan.layers if layer.cudnn]


def kernel_of(operators: Iterable[str]) -> str:
    """``cuDNN``, ``torch's own kernel``, or :data:`SCAN` where no operator proves anything else.

    Args:
        operators: names, such as ``aten::_cudnn_rnn`` or ``CudnnRNNV3``.
    """
    seen = list(operators)
    return next((kernel for part, kernel in _KERNELS if any(part in name for name in seen)), SCAN)
