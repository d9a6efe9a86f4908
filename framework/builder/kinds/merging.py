"""Rules of concatenate and add."""

from __future__ import annotations

from collections.abc import Sequence

from framework.builder.plan import PlannedTensor, Shape
from framework.builder.rule import Inferred, ShapeProblem, Surroundings, features, plans, show
from framework.spec.layers.merging import AddSpec, ConcatenateSpec


@plans(ConcatenateSpec)
def plan_concatenate(spec: ConcatenateSpec, around: Surroundings) -> Inferred:
    """Lengths add up along ``axis``; all other axes must agree."""
    shapes = [tensor.shape for tensor in around.inputs]
    rank = len(shapes[0])
    axis = spec.axis + rank if spec.axis < 0 else spec.axis
    if not 0 < axis < rank:
        raise ShapeProblem("axis", f"{show(shapes[0])} has no axis {spec.axis} to join along", expected=f"1 to {rank - 1}, or -1")
    _check_alike(shapes, skip=axis)
    lengths = [shape[axis] for shape in shapes]
    known = [length for length in lengths if length is not None]
    joined = sum(known) if len(known) == len(lengths) else None
    shape = (*shapes[0][:axis], joined, *shapes[0][axis + 1 :])
    output = PlannedTensor(shape, around.dtype, any(tensor.masked for tensor in around.inputs))
    return Inferred({"output": output}, step=axis == rank - 1, activations=features(output))


@plans(AddSpec)
def plan_add(spec: AddSpec, around: Surroundings) -> Inferred:
    """All inputs have one shape."""
    shapes = [tensor.shape for tensor in around.inputs]
    _check_alike(shapes, skip=None)
    # As in Keras, one input without a mask makes every step count.
    output = PlannedTensor(shapes[0], around.dtype, all(tensor.masked for tensor in around.inputs))
    width = features(output)
    return Inferred({"output": output}, flops=(len(shapes) - 1) * width, activations=width)


def _check_alike(shapes: Sequence[Shape], skip: int | None) -> None:
    for shape in shapes[1:]:
        same = len(shape) == len(shapes[0]) and all(
            position == skip or None in (left, right) or left == right
            for position, (left, right) in enumerate(zip(shapes[0], shape, strict=True))
        )
        if not same:
            expected = "equal shapes" if skip is None else f"shapes that differ along axis {skip} only"
            raise ShapeProblem("inputs", f"{show(shapes[0])} and {show(shape)} do not fit together", expected=expected)
