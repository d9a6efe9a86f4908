"""The support matrix: what each argument of the GRU means for the path that a layer runs on, from the table that decides it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from framework.builder.cudnn import BACKENDS, GRUTraits, activation_name, judge
from framework.spec.identifiers import Identifier
from framework.spec.layers.gru import GRUSpec

OTHER_VALUES: dict[str, dict[str, Any]] = {
    "activation": {"activation": "relu"},
    "recurrent_activation": {"recurrent_activation": "hard_sigmoid"},
    "use_bias": {"use_bias": False},
    "dropout": {"dropout": 0.2},
    "recurrent_dropout": {"recurrent_dropout": 0.2},
    "implementation": {"implementation": 1, "dropout": 0.2},
    "go_backwards": {"go_backwards": True},
    "unroll": {"unroll": True},
    "reset_after": {"reset_after": False},
    "use_cudnn": {"use_cudnn": False},
}
"""A value other than the default, for each argument that has a say in the path."""


def support_matrix() -> str:
    """A Markdown table: argument, default, another value, and the path on a GPU with that value, by backend.

    Every argument has its documented meaning on both backends and on every path; none is refused.
    """
    lines = ["| argument | default | with | on a GPU: torch | on a GPU: TensorFlow |", "|---|---|---|---|---|"]
    for name, field in GRUSpec.model_fields.items():
        if name in ("kind", "inputs"):
            continue
        default = "required" if field.is_required() else _shown(field.default)
        change = OTHER_VALUES.get(name)
        given = "any value" if change is None else ", ".join(f"{key}: {_shown(value)}" for key, value in change.items())
        paths = [_path(replace(GRUTraits(backend, device="gpu"), **(change or {}))) for backend in BACKENDS]
        lines.append("| " + " | ".join([f"`{name}`", f"`{default}`", given, *paths]) + " |")
    mask = [_path(GRUTraits(backend, device="gpu", masked=True)) for backend in BACKENDS]
    lines.append("| " + " | ".join(["`mask` (call)", "`null`", "any pattern", *mask]) + " |")
    return "\n".join(lines)


def _path(traits: GRUTraits) -> str:
    verdict = judge(traits)
    if not verdict.eligible:
        return "scan: " + "; ".join(one.reason for one in verdict.obstacles)
    return "cuDNN" + "".join(f": {one.lift}" for one in verdict.lifted)


def _shown(value: object) -> str:
    if isinstance(value, Identifier):
        return activation_name(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)
