"""Whether cuDNN may run a GRU, and why not: the layer's side of the table in :mod:`framework.builder.cudnn`."""

from __future__ import annotations

import logging

from torch import Tensor

from framework.backends.torch.gru.settings import GRUSettings
from framework.builder.cudnn import SAME_NAMES, CudnnVerdict, GRUTraits, activation_name, judge
from framework.errors import UnsupportedArgument
from framework.spec.identifiers import Identifier

logger = logging.getLogger("gatework.gru")


def verdict_on(layer: GRUSettings, device: str, dtype: str, masked: bool) -> CudnnVerdict:
    """Whether cuDNN can run the layer, and why.

    Args:
        layer: built or not.
        device: ``gpu``, ``cpu``, or ``auto`` where it is not known yet.
        dtype: of the computation.
        masked: whether a mask comes with the inputs.
    """
    traits = GRUTraits(
        backend="torch",
        device=device,
        dtype=dtype,
        masked=masked,
        activation=_name(layer, "activation"),
        recurrent_activation=_name(layer, "recurrent_activation"),
        use_cudnn=layer.use_cudnn,
        **{name: getattr(layer, name) for name in SAME_NAMES},
    )
    return judge(traits)


def require(layer: GRUSettings, verdict: CudnnVerdict) -> None:
    """Refuses a layer that demands cuDNN and cannot have it.

    Raises:
        UnsupportedArgument: every reason is named.
    """
    if layer.use_cudnn is True and not verdict.eligible:
        raise UnsupportedArgument(f"{layer.label}: use_cudnn=True, but cuDNN cannot run it: " + " | ".join(verdict.reasons()))


def runs_on_cudnn(layer: GRUSettings, sequence: Tensor, masked: bool) -> bool:
    """Whether cuDNN runs a call of the layer; of a layer on a GPU that it does not run, it is said once why.

    Raises:
        UnsupportedArgument: ``use_cudnn=True``, and it cannot; every reason is named.
    """
    if layer.use_cudnn is False or (layer.use_cudnn == "auto" and not sequence.is_cuda):
        return False
    dtype = str(sequence.dtype).removeprefix("torch.")
    verdict = verdict_on(layer, "gpu" if sequence.is_cuda else "cpu", dtype, masked)
    require(layer, verdict)
    if not verdict.eligible and not layer.cudnn_explained:
        logger.warning("%s does not run on cuDNN: %s", layer.label, " | ".join(verdict.reasons()))
        layer.cudnn_explained = True
    return verdict.eligible


def _name(layer: GRUSettings, argument: str) -> str:
    value = layer.arguments[argument]
    return activation_name(value) if value is None or isinstance(value, Identifier) else "a function of its own"
