"""What tasks that write tokens ask of a model: inputs of token numbers, and logits for each step and each token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from framework.builder.plan import ModelPlan
from framework.spec.layers.embedding import EmbeddingSpec
from framework.spec.problems import ProblemCollector


def check_input_names(plan: ModelPlan, names: Sequence[str], kind: str, collector: ProblemCollector) -> None:
    """Adds a problem for each model input that the data does not give, and for each that the model lacks.

    Args:
        plan: of the model.
        names: of the inputs that the data gives.
        kind: of the task.
        collector: gathers the problems.
    """
    expected = f"{' and '.join(names)} for task {kind}"
    for name in plan.inputs:
        if name not in names:
            collector.add(f"model.inputs.{name}", "the data has no such input", expected=expected)
    for name in names:
        if name not in plan.inputs:
            collector.add("model.inputs", f"there is no input '{name}'", expected=expected)


def check_token_inputs(plan: ModelPlan, names: Iterable[str], kind: str, collector: ProblemCollector) -> None:
    """Adds a problem for each model input that holds no token numbers.

    Args:
        plan: of the model.
        names: of the inputs that should; those that the model lacks are left out.
        kind: of the task.
        collector: gathers the problems.
    """
    for name in names:
        tensor = plan.inputs.get(name)
        if tensor is not None and (not tensor.dtype.startswith("int") or len(tensor.shape) != 2):
            expected = f"{{dtype: int32, shape: [null]}} for task {kind}"
            collector.add(f"model.inputs.{name}", f"is {tensor.dtype} with {len(tensor.shape) - 1} axes", expected=expected)


def check_logits(plan: ModelPlan, size: str, sizes: Mapping[str, int], kind: str, collector: ProblemCollector) -> None:
    """Adds a problem where the output is not one of logits, for each step and each token.

    Args:
        plan: of the model.
        size: name of the number of tokens.
        sizes: of the data, as far as known.
        kind: of the task.
        collector: gathers the problems.
    """
    if list(plan.outputs) != ["output"]:
        collector.add("model.outputs", "several outputs", expected=f"one, the logits, for task {kind}")
        return
    reference = plan.outputs["output"]
    shape = plan.tensor(reference).shape
    if len(shape) != 3:
        hint = "set return_sequences: true in the last recurrent layer"
        collector.add("model.outputs", f"'{reference}' gives one output a sequence", expected="one for each step", hint=hint)
    elif shape[-1] != sizes.get(size, shape[-1]):
        collector.add(f"model.layers.{reference.node}", f"gives {shape[-1]} logits a step", expected=_size(size, sizes[size]))


def check_embeddings(plan: ModelPlan, read: Mapping[str, str], sizes: Mapping[str, int], collector: ProblemCollector) -> None:
    """Adds a problem for each embedding of a model input that has too few places.

    Args:
        plan: of the model.
        read: name of the number of tokens by the model input.
        sizes: of the data, as far as known.
        collector: gathers the problems.
    """
    for layer in plan.layers:
        if isinstance(layer.spec, EmbeddingSpec) and (size := read.get(layer.references["inputs"][0].node)) is not None:
            tokens = sizes.get(size, 0)
            if int(layer.spec.input_dim) < tokens:
                key = f"model.layers.{layer.name}.input_dim"
                collector.add(key, f"has no place for {tokens} tokens", expected=_size(size, tokens))


def _size(name: str, tokens: int) -> str:
    return f"{tokens}, the number of {'tokens' if name == 'tokens' else f'{name} tokens'}; write it as ${{size:{name}}}"
