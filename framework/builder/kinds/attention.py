"""Rules of attention and attention_decoder."""

from __future__ import annotations

from dataclasses import dataclass, replace

from framework.builder.kinds.dense import GLOROT
from framework.builder.kinds.recurrent import GRU_KEPT, gru_flops, gru_weights, prefixed
from framework.builder.plan import AttendedPlaces, PlannedTensor, PlannedWeight
from framework.builder.rule import Inferred, ShapeProblem, Surroundings, features, plans, show, single_input
from framework.spec.layers.attention import AttentionDecoderSpec, AttentionSpec, AttentionVectorSpec, ScoreSpec
from framework.spec.layers.gru import GRUSpec


@plans(AttentionSpec)
def plan_attention(spec: AttentionSpec, around: Surroundings) -> Inferred:
    """Queries ``(batch, time, width)`` and a memory ``(batch, places, features)`` to contexts ``(batch, time, features)``."""
    queries, memory = sequence_of(single_input(around)), memory_of(around)
    score = _Score(spec.attention, features(queries), features(memory))
    return Inferred(
        {
            "output": replace(queries, shape=(*queries.shape[:2], score.features), dtype=around.dtype),
            "attention": weights_over(memory, queries, around),
        },
        prefixed("attention", score.weights()),
        flops=score.query_flops,
        activations=score.query + score.features,
        places=score.places(memory),
    )


@plans(AttentionDecoderSpec)
def plan_attention_decoder(spec: AttentionDecoderSpec, around: Surroundings) -> Inferred:
    """Embedded targets ``(batch, time, features)`` and a memory ``(batch, places, width)`` to ``(batch, time, units)``."""
    tensor, memory = sequence_of(single_input(around)), memory_of(around)
    batch = tensor.shape[0]
    units = [int(cell.units) for cell in spec.all_cells]
    _check_initial_states(around, units if spec.carry_state else units[-1:])
    score = _Score(spec.attention, units[-1], features(memory))
    vector = None if spec.attention_vector is None else int(spec.attention_vector.units)
    fed = vector if vector is not None and spec.input_feeding else score.features
    read = features(tensor) + (fed if spec.attends_within else 0)
    widths = [read, *units[:-1]]
    weights = prefixed("attention", score.weights())
    for (_, name), cell, width in zip(cell_names(spec), spec.all_cells, widths, strict=True):
        weights += prefixed(name, gru_weights(cell, width))
    flops = score.query_flops + sum(_cell_flops(spec, cell, width) for cell, width in zip(spec.all_cells, widths, strict=True))
    if spec.attention_vector is not None and vector is not None:
        weights += prefixed("attention_vector", _vector_weights(spec.attention_vector, score.features + units[-1]))
        flops += 2 * vector * (score.features + units[-1]) + vector
    outputs = {"output": replace(tensor, shape=(*tensor.shape[:2], vector or units[-1]), dtype=around.dtype)}
    if spec.return_state:
        outputs["state"] = PlannedTensor((batch, sum(units if spec.carry_state else units[-1:])), around.dtype)
    outputs["context"] = replace(tensor, shape=(*tensor.shape[:2], score.features), dtype=around.dtype)
    outputs["attention"] = weights_over(memory, tensor, around)
    state = {name: (width,) for name, width in zip(state_names(spec), units if spec.carry_state else units[-1:], strict=True)}
    return Inferred(
        outputs,
        weights,
        state={**state, "fed": (fed,)} if spec.input_feeding else state,
        flops=flops,
        activations=GRU_KEPT * sum(units) + score.query + score.features + (vector or 0),
        places=score.places(memory),
    )


def cell_names(spec: AttentionDecoderSpec) -> list[tuple[str, str]]:
    """For each cell its place among the layer's modules, and what the names of its weights begin with."""
    if spec.cell is not None:
        return [("cell", "cell")]
    return [(f"cells.{number}", f"cells/{number}") for number in range(len(spec.all_cells))]


def state_names(spec: AttentionDecoderSpec) -> list[str]:
    """The states that are carried from step to step, in the order of the cells; without ``carry_state``, the query alone."""
    count = len(spec.all_cells) if spec.carry_state else 1
    return ["state"] if count == 1 else [f"state_{number}" for number in range(count)]


@dataclass(frozen=True)
class _Score:
    """The sizes of a score: widths of the query and of the memory."""

    spec: ScoreSpec
    query: int
    features: int

    def __post_init__(self) -> None:
        if self.spec.kind == "dot" and self.query != self.features:
            message = f"the query is {self.query} wide and the memory {self.features}, and dot multiplies one with the other"
            raise ShapeProblem("attention.kind", message, expected="additive, general or concat, or equal widths")

    @property
    def units(self) -> int:
        return self.query if self.spec.units is None else int(self.spec.units)

    @property
    def query_flops(self) -> int:
        return 2 * self.query * self.units if self.spec.kind in ("additive", "concat") else 0

    def weights(self) -> list[PlannedWeight]:
        """In the order of the formula: of the query, of the memory, of the score."""
        bias = self.spec.use_bias
        if self.spec.kind == "additive":
            parts = [("query", self.query, self.units, bias), ("memory", self.features, self.units, bias), ("score", self.units, 1, bias)]
        elif self.spec.kind == "concat":
            parts = [("concat", self.query + self.features, self.units, bias), ("score", self.units, 1, False)]
        else:
            parts = [("memory", self.features, self.query, False)] if self.spec.kind == "general" else []
        return [
            weight for name, width, units, biased in parts for weight in prefixed(name, _dense_weights(self.spec, width, units, biased))
        ]

    def places(self, memory: PlannedTensor) -> AttendedPlaces:
        """What each place costs: its key once, its score and its share of the context at each step."""
        if self.spec.kind in ("additive", "concat"):
            return AttendedPlaces(memory, 2 * self.features * self.units, self.units, 4 * self.units + 2 * self.features, 1)
        keys = (2 * self.features * self.query, self.query) if self.spec.kind == "general" else (0, 0)
        return AttendedPlaces(memory, *keys, 2 * self.query + 2 * self.features, 1)


def _dense_weights(spec: ScoreSpec | AttentionVectorSpec, width: int, units: int, bias: bool) -> list[PlannedWeight]:
    kernel = PlannedWeight("kernel", (width, units), spec.kernel_initializer or GLOROT, spec.kernel_regularizer, spec.kernel_constraint)
    if not bias:
        return [kernel]
    return [kernel, PlannedWeight("bias", (units,), spec.bias_initializer or GLOROT, spec.bias_regularizer, spec.bias_constraint)]


def _vector_weights(spec: AttentionVectorSpec, width: int) -> list[PlannedWeight]:
    return _dense_weights(spec, width, int(spec.units), spec.use_bias)


def _cell_flops(spec: AttentionDecoderSpec, cell: GRUSpec, width: int) -> int:
    units = int(cell.units)
    return gru_flops(units, width) - (0 if spec.carry_state else 2 * 3 * units * units)


def sequence_of(tensor: PlannedTensor) -> PlannedTensor:
    """The same tensor, which must be ``(batch, time, features)``.

    Raises:
        ShapeProblem: it is not.
    """
    features(tensor)
    if len(tensor.shape) != 3:
        raise ShapeProblem("inputs", f"reads {show(tensor.shape)}", expected="(batch, time, features)")
    return tensor


def memory_of(around: Surroundings) -> PlannedTensor:
    """What ``memory`` names, which must be ``(batch, places, features)``.

    Raises:
        ShapeProblem: it is not.
    """
    [memory] = around.references["memory"]
    if len(memory.shape) != 3 or memory.shape[-1] is None or memory.dtype.startswith("int"):
        hint = "an encoder gives a place for each step with return_sequences: true" if len(memory.shape) == 2 else ""
        details = {"hint": hint} if hint else {}
        raise ShapeProblem("memory", f"is {memory.dtype} of shape {show(memory.shape)}", expected="(batch, places, features)", **details)
    return memory


def weights_over(memory: PlannedTensor, queries: PlannedTensor, around: Surroundings) -> PlannedTensor:
    """The weights ``(batch, time, places)`` of queries over a memory."""
    return replace(queries, shape=(*queries.shape[:2], memory.shape[1]), dtype=around.dtype)


def _check_initial_states(around: Surroundings, units: list[int]) -> None:
    states = around.references.get("initial_state", ())
    if len(states) not in (0, 1, len(units)):
        raise ShapeProblem("initial_state", f"names {len(states)} states", expected=f"one, or {len(units)}: one for each cell")
    for state, width in zip(list(states) * (len(units) if len(states) == 1 else 1), units, strict=False):
        if len(state.shape) != 2 or state.shape[-1] != width:
            hint = "a dense layer between maps one width to another"
            raise ShapeProblem("initial_state", f"has the shape {show(state.shape)}", expected=show((None, width)), hint=hint)
