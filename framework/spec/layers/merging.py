"""Kinds that make one tensor of several: concatenate and add."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from framework.spec.layers.base import LayerSpec, layer_kind

Several = Annotated[list[str], Field(min_length=2)]


@layer_kind("concatenate")
class ConcatenateSpec(LayerSpec):
    """Joins its inputs along ``axis``; all other axes must agree.

    Source: Keras documentation, "Concatenate layer".
    """

    kind: Literal["concatenate"] = "concatenate"

    inputs: Several
    """The layers or model inputs to join, at least two."""

    axis: int = -1
    """Axis to join along; the batch is axis 0."""


@layer_kind("add")
class AddSpec(LayerSpec):
    """Adds its inputs, which must have one shape. Source: Keras documentation, "Add layer"."""

    kind: Literal["add"] = "add"

    inputs: Several
    """The layers or model inputs to add, at least two."""
