"""Attention with several heads, in plain torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from framework.backends.torch.attention.memory import Memory

Values = Mapping[str, Tensor]
"""The layer's weights by their planned names."""


def heads_memory(places: Tensor, mask: Tensor | None, values: Values) -> Memory:
    """Keys ``(batch, places, heads, key_dim)`` and values ``(batch, places, heads, value_dim)`` of ``(batch, places, features)``."""
    blocked = None if mask is None else ~mask
    places = places if blocked is None else places.masked_fill(blocked[:, :, None], 0.0)
    return Memory(_projected(places, "key", values), _projected(places, "value", values), blocked)


def attend_heads(queries: Tensor, memory: Memory, values: Values, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Outputs ``(batch, queries, width)`` and the mean of the heads' weights ``(batch, queries, places)``.

    Args:
        queries: ``(batch, queries, width)``.
        memory: of the rows.
        values: the layer's weights.
        keep: what weights are multiplied by in training, ``(batch, heads, queries, places)``; or None.
    """
    asked = _projected(queries, "query", values)
    scores = torch.einsum("bqhd,bphd->bhqp", asked, memory.keys) / math.sqrt(asked.shape[-1])
    if memory.blocked is not None:
        scores = scores.masked_fill(memory.blocked[:, None, None], torch.finfo(scores.dtype).min)
    weights = torch.softmax(scores, dim=-1)
    contexts = torch.einsum("bhqp,bphd->bqhd", weights if keep is None else weights * keep, memory.values)
    output = torch.einsum("bqhd,hdo->bqo", contexts, values["attention_output/kernel"])
    bias = values.get("attention_output/bias")
    return output if bias is None else output + bias, weights.mean(1)


def _projected(x: Tensor, name: str, values: Values) -> Tensor:
    product, bias = torch.einsum("btf,fhd->bthd", x, values[f"{name}/kernel"]), values.get(f"{name}/bias")
    return product if bias is None else product + bias
