"""An independent attending decoder in NumPy float64, one row, one step and one place at a time: slow and simple.

Nothing here is shared with the framework. Equations: Bahdanau et al. 2015 (arXiv:1409.0473), Luong et al. 2015 (arXiv:1508.04025), and for
the cells Cho et al. 2014, gates z, r, h side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = Mapping[str, Array]


@dataclass
class Result:
    """What a decoder gives, rows first.

    Attributes:
        output: of the last cell, or attention vectors, ``(batch, time, width)``.
        context: ``(batch, time, features)``.
        attention: ``(batch, time, places)``.
        state: last states side by side, ``(batch, width)``.
    """

    output: Array
    context: Array
    attention: Array
    state: Array


def decode(
    x: Array,
    places: Array,
    weights: Weights,
    settings: Mapping[str, Any],
    first: Sequence[Array] | None = None,
    x_mask: NDArray[np.bool_] | None = None,
    places_mask: NDArray[np.bool_] | None = None,
) -> Result:
    """Runs ``x (batch, time, features)`` over ``places (batch, places, width)``; settings are the layer's in YAML."""
    cells = settings.get("cells") or [settings["cell"]]
    names = [f"cells/{number}" for number in range(len(cells))] if settings.get("cells") else ["cell"]
    rows = []
    for row in range(len(x)):
        counts = np.ones(x.shape[1], bool) if x_mask is None else x_mask[row]
        visible = np.ones(places.shape[1], bool) if places_mask is None or not settings.get("mask_memory", True) else places_mask[row]
        starts = [np.zeros(cell["units"]) for cell in cells] if first is None else [one[row] for one in first]
        rows.append(_row(x[row], places[row], counts, visible, starts, weights, settings, cells, names))
    return Result(*(np.stack([row[part] for row in rows]) for part in range(4)))


def _row(
    x: Array,
    places: Array,
    counts: NDArray[np.bool_],
    visible: NDArray[np.bool_],
    states: list[Array],
    weights: Weights,
    settings: Mapping[str, Any],
    cells: Sequence[Mapping[str, Any]],
    names: Sequence[str],
) -> tuple[Array, Array, Array, Array]:
    carry, before = settings.get("carry_state", True), settings.get("attend", "before_cell") == "before_cell"
    feeding, vector = settings.get("input_feeding", False), settings.get("attention_vector")
    fed, outputs, contexts, attentions = None, [], [], []
    shown = np.zeros(cells[-1]["units"])
    for step, counted in zip(x, counts, strict=True):
        if not counted:
            hidden = np.zeros_like(shown) if vector or cells[-1].get("zero_output_for_mask") else shown
            outputs.append(np.zeros(vector["units"]) if vector else hidden)
            contexts.append(np.zeros(places.shape[1]))
            attentions.append(np.zeros(len(places)))
            if cells[-1].get("zero_output_for_mask"):
                shown = hidden
            continue
        read = step
        if before:
            context, attention = _attend(states[-1], places, visible, weights, settings.get("attention", {}))
            read = np.concatenate([context, step])
        elif feeding:
            width = vector["units"] if vector else places.shape[1]
            read = np.concatenate([np.zeros(width) if fed is None else fed, step])
        new = []
        for name, cell, state in zip(names, cells, states if carry else [np.zeros(one["units"]) for one in cells], strict=True):
            read = _cell(read, state, name, weights, cell)
            new.append(read)
        states = new if carry else new[-1:]
        if not before:
            context, attention = _attend(read, places, visible, weights, settings.get("attention", {}))
        shown = made = read
        if vector:
            made = np.concatenate([context, read]) @ weights["attention_vector/kernel"] + weights.get("attention_vector/bias", 0.0)
            made = np.tanh(made) if vector.get("activation", "tanh") == "tanh" else made
        if feeding:
            fed = made if vector else context
        outputs.append(made)
        contexts.append(context)
        attentions.append(attention)
    return np.stack(outputs), np.stack(contexts), np.stack(attentions), np.concatenate(states)


def _attend(query: Array, places: Array, visible: NDArray[np.bool_], weights: Weights, settings: Mapping[str, Any]) -> tuple[Array, Array]:
    kind = settings.get("kind", "additive")
    scores = []
    for place in places:
        if kind == "additive":
            inner = place @ weights["attention/memory/kernel"] + query @ weights["attention/query/kernel"]
            inner = inner + weights.get("attention/memory/bias", 0.0) + weights.get("attention/query/bias", 0.0)
            score = np.tanh(inner) @ weights["attention/score/kernel"][:, 0] + weights.get("attention/score/bias", np.zeros(1))[0]
        elif kind == "concat":
            joined = np.concatenate([query, place])
            inner = np.tanh(joined @ weights["attention/concat/kernel"] + weights.get("attention/concat/bias", 0.0))
            score = inner @ weights["attention/score/kernel"][:, 0]
        else:
            score = query @ (place if kind == "dot" else place @ weights["attention/memory/kernel"])
        scores.append(score)
    if not visible.any():  # a memory of which nothing counts: its places weigh alike, and are zeros
        return np.zeros(places.shape[1]), np.full(len(places), 1.0 / len(places))
    powers = np.where(visible, np.exp(np.array(scores) - np.max(np.array(scores)[visible])), 0.0)
    attention = powers / powers.sum()
    return np.asarray(attention @ np.where(visible[:, None], places, 0.0)), attention


def _cell(read: Array, state: Array, name: str, weights: Weights, cell: Mapping[str, Any]) -> Array:
    units = cell["units"]
    kernel, recurrent = weights[f"{name}/kernel"], weights[f"{name}/recurrent_kernel"]
    bias = weights.get(f"{name}/bias", np.zeros((2, 3 * units)))
    into, around = bias if bias.ndim == 2 else (bias, np.zeros(3 * units))
    a, b = read @ kernel + into, state @ recurrent + around
    z, r = (1.0 / (1.0 + np.exp(-(a[part] + b[part]))) for part in (slice(units), slice(units, 2 * units)))
    inner = r * b[2 * units :] if cell.get("reset_after", True) else (r * state) @ recurrent[:, 2 * units :]
    n = np.tanh(a[2 * units :] + inner)
    return np.asarray(z * state + (1.0 - z) * n)
