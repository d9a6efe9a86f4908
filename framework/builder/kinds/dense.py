"""Rules of embedding and dense."""

from __future__ import annotations

from framework.builder.plan import PlannedTensor, PlannedWeight
from framework.builder.rule import Inferred, ShapeProblem, Surroundings, features, plans, show, single_input
from framework.spec.identifiers import Identifier
from framework.spec.layers.dense import DenseSpec
from framework.spec.layers.embedding import EmbeddingSpec

GLOROT = Identifier(class_name="glorot_uniform")
UNIFORM = Identifier(class_name="random_uniform")


@plans(EmbeddingSpec)
def plan_embedding(spec: EmbeddingSpec, around: Surroundings) -> Inferred:
    """Whole numbers ``(batch, …)`` to ``(batch, …, output_dim)``."""
    tensor = single_input(around)
    if not tensor.dtype.startswith("int"):
        raise ShapeProblem("inputs", f"reads {tensor.dtype} of shape {show(tensor.shape)}", expected="token numbers, int32 or int64")
    rows, columns = int(spec.input_dim), int(spec.output_dim)
    table = PlannedWeight(
        "embeddings",
        (rows, columns),
        spec.embeddings_initializer or UNIFORM,
        spec.embeddings_regularizer,
        spec.embeddings_constraint,
    )
    output = PlannedTensor((*tensor.shape, columns), around.dtype, spec.mask_zero)
    return Inferred({"output": output}, [table], activations=columns)


@plans(DenseSpec)
def plan_dense(spec: DenseSpec, around: Surroundings) -> Inferred:
    """``(batch, …, features)`` to ``(batch, …, units)``."""
    tensor = single_input(around)
    width, units = features(tensor), int(spec.units)
    kernel = PlannedWeight("kernel", (width, units), spec.kernel_initializer or GLOROT, spec.kernel_regularizer, spec.kernel_constraint)
    weights = [kernel]
    if spec.use_bias:
        weights.append(PlannedWeight("bias", (units,), spec.bias_initializer or GLOROT, spec.bias_regularizer, spec.bias_constraint))
    output = PlannedTensor((*tensor.shape[:-1], units), around.dtype, tensor.masked)
    return Inferred({"output": output}, weights, flops=2 * width * units + units * spec.use_bias, activations=units)
