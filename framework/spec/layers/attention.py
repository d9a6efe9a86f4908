"""Attention over a memory: alone, and as the part of a decoder that runs step by step."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from framework.spec.base import Dimension, Spec
from framework.spec.identifiers import Activation, Constraint, Identifier, Initializer, Regularizer
from framework.spec.layers.base import LayerSpec, References, layer_kind
from framework.spec.layers.gru import GRUSpec

_OUTER_FIELDS = (
    "inputs", "initial_state", "dtype", "activity_regularizer", "return_sequences", "return_state", "go_backwards", "stateful", "unroll",
    "time_major", "name",
)  # fmt: skip
"""Arguments of a GRU that are the whole layer's own where the GRU is a decoder's cell."""


class ScoreSpec(Spec):
    """How much each place of the memory counts for a query: the softmax of its score over all places.

    - additive: ``v · tanh(W1 m + W2 q)``, with a bias in each of the three unless ``use_bias`` is false. Bahdanau et al. 2015.
    - dot: ``q · m``, for a memory as wide as the query.
    - general: ``q · W m``.
    - concat: ``v · tanh(W [q; m])``, with a bias in W unless ``use_bias`` is false.

    Source: Bahdanau et al. 2015 (arXiv:1409.0473), Luong et al. 2015 (arXiv:1508.04025), section 3.1, for the others.
    """

    kind: Literal["additive", "dot", "general", "concat"] = "additive"
    """The score's form."""

    units: Dimension | None = None
    """Width of what tanh is taken of, in additive and concat; that of the query when not given."""

    use_bias: bool = True
    """Whether additive and concat have biases."""

    kernel_initializer: Initializer | None = Identifier(class_name="glorot_uniform")
    """Initializer of the matrices."""

    bias_initializer: Initializer | None = Identifier(class_name="zeros")
    """Initializer of the biases."""

    kernel_regularizer: Regularizer | None = None
    """Penalty on each matrix."""

    bias_regularizer: Regularizer | None = None
    """Penalty on each bias."""

    kernel_constraint: Constraint | None = None
    """Constraint on each matrix, applied after each optimizer step."""

    bias_constraint: Constraint | None = None
    """Constraint on each bias, applied after each optimizer step."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.units is not None and self.kind in ("dot", "general"):
            raise ValueError(f"units: the score '{self.kind}' has none, it is as wide as the query; additive and concat have")
        return self


class AttentionVectorSpec(Spec):
    """``activation(W [context; output of the cell])``, what an attending decoder puts out instead of the cell's own output.

    Source: Luong et al. 2015 (arXiv:1508.04025), equation 5.
    """

    units: Dimension
    """Width of the vector."""

    activation: Activation | None = Identifier(class_name="tanh")
    """Activation of the vector; null is linear."""

    use_bias: bool = False
    """Whether there is a bias."""

    kernel_initializer: Initializer | None = Identifier(class_name="glorot_uniform")
    """Initializer of the matrix."""

    bias_initializer: Initializer | None = Identifier(class_name="zeros")
    """Initializer of the bias."""

    kernel_regularizer: Regularizer | None = None
    """Penalty on the matrix."""

    bias_regularizer: Regularizer | None = None
    """Penalty on the bias."""

    kernel_constraint: Constraint | None = None
    """Constraint on the matrix, applied after each optimizer step."""

    bias_constraint: Constraint | None = None
    """Constraint on the bias, applied after each optimizer step."""


@layer_kind("attention")
class AttentionSpec(LayerSpec):
    """Attention of a sequence of queries over a memory: for each query, the mean of the memory's places, weighted by their scores.

    Reads queries ``(batch, time, width)`` and the memory ``(batch, places, features)``; gives contexts ``(batch, time, features)``;
    ``name.attention`` are the weights ``(batch, time, places)``.
    """

    reference_fields: ClassVar[tuple[str, ...]] = ("inputs", "memory")
    outputs: ClassVar[tuple[str, ...]] = ("output", "attention")

    kind: Literal["attention"] = "attention"

    memory: str
    """Layer that gives the places attended to, ``(batch, places, features)``."""

    attention: ScoreSpec = ScoreSpec()
    """How places are scored."""

    mask_memory: bool = True
    """Whether masked places of the memory are left out; false: padding is attended to as well."""


@layer_kind("attention_decoder")
class AttentionDecoderSpec(LayerSpec):
    """A recurrent decoder that attends to a memory at every step.

    Reads embedded targets ``(batch, time, features)`` and the memory ``(batch, places, width)``. Gives what the last cell puts out,
    ``(batch, time, units)``, or the attention vectors where these are declared. ``name.context`` are the contexts ``(batch, time, width)``,
    ``name.attention`` the weights ``(batch, time, places)``, and ``name.state`` with ``return_state`` the cells' last states side by side.

    Steps that the inputs' mask leaves out carry all states on; outputs repeat the output before, zeros before the first step that counts;
    contexts, weights and attention vectors are zeros there.

    Source: Bahdanau et al. 2015 (arXiv:1409.0473) for ``before_cell``; Luong et al. 2015 (arXiv:1508.04025) for ``after_cell``.
    """

    reference_fields: ClassVar[tuple[str, ...]] = ("inputs", "memory", "initial_state")
    outputs: ClassVar[tuple[str, ...]] = ("output", "state", "context", "attention")

    kind: Literal["attention_decoder"] = "attention_decoder"

    memory: str
    """Layer that gives the places attended to, ``(batch, places, width)``."""

    initial_state: References | None = None
    """What gives the first states ``(batch, units)``: one for each cell, or one for all; zeros when not given."""

    attention: ScoreSpec = ScoreSpec()
    """How places are scored; the query is the state of the last cell."""

    attend: Literal["before_cell", "after_cell"] = "before_cell"
    """before_cell: the state before a step is the query, and the first cell reads [context; inputs]. after_cell: the new state is."""

    input_feeding: bool = False
    """With after_cell: the first cell reads [attention vector; inputs], that of the step before; the context where there is no vector."""

    attention_vector: AttentionVectorSpec | None = None
    """Puts out ``activation(W [context; output])`` of each step."""

    cell: GRUSpec | None = None
    """The recurrent cell."""

    cells: list[GRUSpec] | None = Field(None, min_length=1)
    """Several cells instead of one, each reading what the one before it puts out."""

    carry_state: bool = True
    """Whether cells start a step from their states; false: from zeros, and the state is the attention's query alone."""

    mask_memory: bool = True
    """Whether masked places of the memory are left out; false: padding is attended to as well."""

    return_state: bool = False
    """Also give the last states, read as ``name.state``."""

    doubly_stochastic: float = Field(0.0, ge=0.0)
    """Weight of a penalty, the λ of Xu et al. 2015 (arXiv:1502.03044), equation 14: for each place ``(1 - the attention of all steps)²``,
    summed over the places, the mean over the rows, so that no place is left out. Padding is a step too unless the inputs are masked."""

    @property
    def all_cells(self) -> tuple[GRUSpec, ...]:
        """The cells in order."""
        return (self.cell,) if self.cell is not None else tuple(self.cells or ())

    @property
    def attends_within(self) -> bool:
        """Whether a step needs the attention of the step before, or its own, so that the attention stands within the loop over time."""
        return self.attend == "before_cell" or self.input_feeding

    @field_validator("cell")
    @classmethod
    def _check_cell(cls, cell: GRUSpec | None) -> GRUSpec | None:
        for field in _OUTER_FIELDS if cell is not None else ():
            default = GRUSpec.model_fields[field].default
            if getattr(cell, field) != default:
                raise ValueError(f"{field} is not supported in a decoder's cell, which runs one step at a time")
        return cell

    @field_validator("cells")
    @classmethod
    def _check_cells(cls, cells: list[GRUSpec] | None) -> list[GRUSpec] | None:
        for number, cell in enumerate(cells or ()):
            try:
                cls._check_cell(cell)
            except ValueError as error:
                raise ValueError(f"cell {number}: {error}") from error
        return cells

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.cell is None) == (self.cells is None):
            raise ValueError("needs either a cell or a list of cells, such as cell: {kind: gru, units: 1024}")
        if self.input_feeding and self.attend == "before_cell":
            raise ValueError("input_feeding needs attend: after_cell; before_cell feeds the context of the same step already")
        if not self.carry_state and self.attend == "after_cell":
            raise ValueError("carry_state: false needs attend: before_cell; after_cell would leave no memory from step to step")
        return self
