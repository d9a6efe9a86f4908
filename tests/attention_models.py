"""Small attending models for tests: the settings that a decoder can have, and models around them."""

from __future__ import annotations

from typing import Any

import numpy as np

GRU = {"kind": "gru", "units": 6}

DECODERS: dict[str, dict[str, Any]] = {
    "additive": {"cell": GRU},
    "the tutorial's": {"cell": GRU, "attention": {"kind": "additive", "units": 3}, "carry_state": False, "mask_memory": False},
    "state not carried, reset before": {"cell": {**GRU, "reset_after": False}, "carry_state": False},
    "without biases": {"cell": {**GRU, "use_bias": False}, "attention": {"kind": "additive", "use_bias": False}},
    "reset before": {"cell": {**GRU, "reset_after": False}},
    "zeros at masked steps": {"cell": {**GRU, "zero_output_for_mask": True}},
    "dot": {"cell": GRU, "attention": {"kind": "dot"}},
    "dot, state not carried": {"cell": GRU, "attention": {"kind": "dot"}, "carry_state": False},
    "general": {"cell": GRU, "attention": {"kind": "general"}},
    "concat": {"cell": GRU, "attention": {"kind": "concat", "units": 5}},
    "attention vector": {"cell": GRU, "attention_vector": {"units": 7, "use_bias": True}},
    "two cells": {"cells": [GRU, {**GRU, "reset_after": False}]},
    "two cells, state not carried": {"cells": [GRU, GRU], "carry_state": False},
    "after": {"cell": GRU, "attend": "after_cell", "attention_vector": {"units": 7}},
    "after two cells": {"cells": [GRU, GRU], "attend": "after_cell"},
    "context fed": {"cell": GRU, "attend": "after_cell", "input_feeding": True, "attention": {"kind": "dot"}},
    "vector fed": {"cell": GRU, "attend": "after_cell", "input_feeding": True, "attention_vector": {"units": 5, "activation": None}},
}
"""Every setting that changes an attending decoder's numbers; memories are 6 wide."""


def over_vectors(decoder: dict[str, Any], starts: int = 0) -> dict[str, Any]:
    """A model of one decoder over vectors ``x (4)`` and ``places (6)``; vectors of zeros are masked. ``starts`` states are given."""
    names = [f"first_{number}" for number in range(starts)]
    outputs = {name: f"decoder.{name}" for name in ("state", "context", "attention")}
    return {
        "inputs": {
            "x": {"dtype": "float32", "shape": [None, 4]},
            "places": {"dtype": "float32", "shape": [None, 6]},
            **{name: {"dtype": "float32", "shape": [6]} for name in names},
        },
        "layers": {
            "steps": {"kind": "masking", "inputs": "x"},
            "memory": {"kind": "masking", "inputs": "places"},
            "decoder": {
                "kind": "attention_decoder",
                "inputs": "steps",
                "memory": "memory",
                "return_state": True,
                **({"initial_state": names} if names else {}),
                **decoder,
            },
        },
        "outputs": {"output": "decoder", **outputs},
    }


def vectors(starts: int = 0, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs of :func:`over_vectors`: 3 rows of 5 steps and 4 places, some of them masked, of one row all places."""
    random = np.random.default_rng(seed)
    x, places = random.normal(size=(3, 5, 4)), random.normal(size=(3, 4, 6))
    x[0, 3:], x[1, 0], x[1, 2] = 0.0, 0.0, 0.0
    places[0, 2:], places[2, :] = 0.0, 0.0
    states = {f"first_{number}": random.normal(size=(3, 6)).astype(np.float32) for number in range(starts)}
    return {"x": x.astype(np.float32), "places": places.astype(np.float32), **states}


def translation(
    decoder: dict[str, Any] | None = None, encoder: dict[str, Any] | None = None, between: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """An encoder and an attending decoder over tokens; ``between`` are layers before the decoder, ``more`` those after it."""
    return {
        "inputs": {"source": {"dtype": "int32", "shape": [None]}, "target": {"dtype": "int32", "shape": [None]}},
        "layers": {
            "source_embedding": {"kind": "embedding", "inputs": "source", "input_dim": 9, "output_dim": 5, "mask_zero": True},
            "encoder": {"kind": "gru", "units": 6, "return_sequences": True, "return_state": True, **(encoder or {})},
            **(between or {}),
            "target_embedding": {"kind": "embedding", "inputs": "target", "input_dim": 11, "output_dim": 4},
            "decoder": {
                "kind": "attention_decoder",
                "inputs": "target_embedding",
                "memory": "encoder",
                "initial_state": "encoder.state",
                **(decoder or {"cell": GRU}),
            },
            **more,
            "logits": {"kind": "dense", "units": 11},
        },
        "outputs": "logits",
    }


def sentences(seed: int = 0, rows: int = 3) -> dict[str, np.ndarray]:
    """Inputs of :func:`translation`: sources with padding behind, in front and nowhere; targets without."""
    random = np.random.default_rng(seed)
    source = random.integers(1, 9, (rows, 5), dtype=np.int32)
    source[0, 3:], source[1, :2] = 0, 0
    return {"source": source, "target": random.integers(1, 11, (rows, 4), dtype=np.int32)}
