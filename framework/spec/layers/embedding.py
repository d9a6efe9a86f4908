"""Token numbers to vectors."""

from __future__ import annotations

from typing import Literal

from framework.spec.base import Dimension
from framework.spec.identifiers import Constraint, Identifier, Initializer, Regularizer
from framework.spec.layers.base import LayerSpec, layer_kind


@layer_kind("embedding")
class EmbeddingSpec(LayerSpec):
    """A table of vectors. Reads ``(batch, time) int32``, gives ``(batch, time, output_dim)``.

    Source: Keras documentation, "Embedding layer".
    """

    kind: Literal["embedding"] = "embedding"

    input_dim: Dimension
    """Number of different tokens."""

    output_dim: Dimension
    """Length of a vector."""

    embeddings_initializer: Initializer | None = Identifier(class_name="random_uniform")
    """Initializer of the table."""

    embeddings_regularizer: Regularizer | None = None
    """Penalty on the table."""

    embeddings_constraint: Constraint | None = None
    """Constraint on the table, applied after each optimizer step."""

    mask_zero: bool = False
    """Whether token 0 is padding that the layers above skip."""
