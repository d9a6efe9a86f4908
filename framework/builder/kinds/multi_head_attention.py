"""The rule of multi_head_attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from framework.builder.kinds.attention import memory_of, sequence_of, weights_over
from framework.builder.kinds.dense import GLOROT
from framework.builder.kinds.recurrent import prefixed
from framework.builder.plan import AttendedPlaces, PlannedWeight
from framework.builder.rule import Inferred, Surroundings, features, plans, single_input
from framework.spec.layers.multi_head_attention import MultiHeadAttentionSpec


@plans(MultiHeadAttentionSpec)
def plan_multi_head_attention(spec: MultiHeadAttentionSpec, around: Surroundings) -> Inferred:
    """Queries ``(batch, time, width)`` and a memory ``(batch, places, features)`` to ``(batch, time, output_shape)``."""
    queries, memory = sequence_of(single_input(around)), memory_of(around)
    width, read = features(queries), features(memory)
    heads, key_dim = int(spec.num_heads), int(spec.key_dim)
    value_dim = int(spec.value_dim or key_dim)
    output = int(spec.output_shape or width)
    kernels = {
        "query": (width, heads, key_dim),
        "key": (read, heads, key_dim),
        "value": (read, heads, value_dim),
        "attention_output": (heads, value_dim, output),
    }
    weights = [weight for name, shape in kernels.items() for weight in prefixed(name, _projection(spec, shape, name == "attention_output"))]
    projected = heads * (key_dim + value_dim)
    return Inferred(
        {
            "output": replace(queries, shape=(*queries.shape[:2], output), dtype=around.dtype),
            "attention": weights_over(memory, queries, around),
        },
        weights,
        flops=2 * heads * (width * key_dim + value_dim * output),
        activations=projected + output,
        places=AttendedPlaces(memory, 2 * read * projected, projected, 2 * projected, 2 * heads),
    )


def _projection(spec: MultiHeadAttentionSpec, shape: tuple[int, ...], out: bool) -> Iterator[PlannedWeight]:
    yield PlannedWeight("kernel", shape, spec.kernel_initializer or GLOROT, spec.kernel_regularizer, spec.kernel_constraint)
    if spec.use_bias:
        width = shape[2:] if out else shape[1:]
        yield PlannedWeight("bias", width, spec.bias_initializer or GLOROT, spec.bias_regularizer, spec.bias_constraint)
