"""The loss of a language model, weighted and masked as Keras does."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from framework.errors import InputError


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
    """Sparse categorical cross-entropy from logits: a mean in nats a token.

    Without mask, the sum of the weighted losses is divided by the number of targets; with one, masked steps are left out and it
    is divided by the number of the others, 0 where there is none. As in Keras, it is never divided by the sum of the weights.

    Args:
        logits: ``(batch, time, vocabulary)``, or ``(batch, vocabulary)`` for one target a row.
        targets: ``(batch, time) int`` or ``(batch,) int``.
        weights: how much each target counts, in the shape of ``targets``.
        mask: which steps count, in the shape of ``targets``, bool.

    Returns:
        A scalar; float32, or float64 for logits of that type.

    Raises:
        InputError: the shapes of logits and targets do not fit.

    Source: Keras 3, ``keras.losses.SparseCategoricalCrossentropy`` and its reduction ``sum_over_batch_size``.
    """
    if logits.shape[:-1] != targets.shape:
        raise InputError(
            f"the model's output has the shape {tuple(logits.shape)} and the targets {tuple(targets.shape)}; "
            "the output must have one axis more, the vocabulary"
        )
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    flat, wanted = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1).to(torch.int64)
    if weights is None and mask is None:
        return functional.cross_entropy(flat, wanted)
    losses = functional.cross_entropy(flat, wanted, reduction="none").view(targets.shape)
    count = losses.new_tensor(targets.numel())
    if weights is not None:
        losses = losses * weights.to(losses.dtype)
    if mask is not None:
        # A masked step may hold anything, even what makes its loss infinite: it is left out, not multiplied by zero.
        losses = losses.masked_fill(~mask, 0.0)
        count = mask.sum().to(losses.dtype)
    return losses.sum() / count.clamp_min(1.0)
