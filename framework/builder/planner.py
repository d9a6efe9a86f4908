"""From a validated model to its plan, or to every shape that does not fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import framework.builder.kinds  # noqa: F401 - makes the rules known
from framework.builder.cudnn import BACKENDS, CudnnVerdict, GRUTraits, judge
from framework.builder.plan import ModelPlan, PlannedLayer, PlannedTensor, Reference
from framework.builder.rule import RULES, Inferred, ShapeProblem, Surroundings
from framework.errors import SpecError
from framework.spec.backend import BackendSpec
from framework.spec.base import Spec, size_name
from framework.spec.layers.attention import AttentionDecoderSpec
from framework.spec.layers.base import LayerSpec
from framework.spec.model import ModelSpec, previous_names
from framework.spec.problems import Locate, ProblemCollector, nowhere
from framework.spec.rules import recurrent_layers


def plan_model(
    model: ModelSpec, seed: int, backend: BackendSpec | None = None, *, dtype: str = "float32", locate: Locate = nowhere
) -> ModelPlan:
    """Orders the layers by their wiring and works out every shape, weight and cost.

    Args:
        model: a valid model whose sizes are all filled in.
        seed: seed of initial weights and dropout.
        backend: device and ``use_cudnn`` of the run; the defaults when not given.
        dtype: data type of every layer that does not say its own.
        locate: where each key was set, for the messages.

    Raises:
        SpecError: shapes that do not fit, or sizes still open; each with its layer.
    """
    collector = ProblemCollector(locate)
    _check_open(model.inputs, "model.inputs", collector)
    inputs = {name: PlannedTensor((one.batch_size, *map(_filled, one.shape)), one.dtype) for name, one in model.inputs.items()}
    wires = _references(model)
    planner = _Planner(model, inputs, backend or BackendSpec(), dtype, collector)
    for name in _order(model, wires):
        planner.place(name, wires[name])
    if collector.problems:
        raise SpecError(collector.problems)
    outputs = {name: parse_reference(text) for name, text in model.output_references().items()}
    sizes = {tensor.shape[0] for tensor in inputs.values()}
    batch_size = sizes.pop() if len(sizes) == 1 else None
    return ModelPlan(inputs, tuple(planner.layers.values()), outputs, batch_size, seed)


def parse_reference(text: str) -> Reference:
    """``name`` or ``name.output``."""
    node, _, output = text.partition(".")
    return Reference(node, output or "output")


def _references(model: ModelSpec) -> dict[str, dict[str, tuple[Reference, ...]]]:
    before = previous_names(model)
    wires: dict[str, dict[str, tuple[Reference, ...]]] = {}
    for name, layer in model.layers.items():
        fields: dict[str, list[Reference]] = {}
        for field, text in layer.references():
            fields.setdefault(field, []).append(parse_reference(text))
        if "inputs" not in fields:
            fields = {"inputs": [parse_reference(before[name] or "")], **fields}
        wires[name] = {field: tuple(found) for field, found in fields.items()}
    return wires


def _order(model: ModelSpec, wires: Mapping[str, Mapping[str, tuple[Reference, ...]]]) -> list[str]:
    """Layers in an order in which each comes after what it reads; as written where that leaves a choice."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        if name in ordered or name in model.inputs:
            return
        for references in wires[name].values():
            for reference in references:
                visit(reference.node)
        ordered.append(name)

    for name in model.layers:
        visit(name)
    return ordered


class _Planner:
    """Places one layer after the other; what does not fit is gathered, and what reads it is passed over."""

    def __init__(
        self, model: ModelSpec, inputs: Mapping[str, PlannedTensor], backend: BackendSpec, dtype: str, collector: ProblemCollector
    ) -> None:
        self.model = model
        self.inputs = inputs
        self.backend = backend
        self.dtype = dtype
        self.collector = collector
        self.layers: dict[str, PlannedLayer] = {}

    def place(self, name: str, references: Mapping[str, tuple[Reference, ...]]) -> None:
        spec = self.model.layers[name]
        tensors = {field: [self._tensor(one) for one in found] for field, found in references.items()}
        if any(tensor is None for found in tensors.values() for tensor in found) or _check_open(
            spec, f"model.layers.{name}", self.collector
        ):
            return
        known = {field: [tensor for tensor in found if tensor is not None] for field, found in tensors.items()}
        batch_size = known["inputs"][0].shape[0]
        around = Surroundings(known["inputs"], known, batch_size, spec.dtype or self.dtype)
        if type(spec) not in RULES:
            hint = "a plug-in gives one with framework.plugin.plans"
            self.collector.add(f"model.layers.{name}.kind", f"nothing tells the shapes and weights of kind '{spec.kind}'", hint=hint)
            return
        try:
            inferred = RULES[type(spec)](spec, around)
        except ShapeProblem as problem:
            self.collector.add(f"model.layers.{name}.{problem.field}", problem.message, **problem.details)
            return
        self.layers[name] = self._planned(name, spec, references, around, inferred)

    def _planned(
        self, name: str, spec: LayerSpec, references: Mapping[str, tuple[Reference, ...]], around: Surroundings, inferred: Inferred
    ) -> PlannedLayer:
        return PlannedLayer(
            name=name,
            spec=spec,
            references=references,
            inputs=tuple(around.inputs),
            outputs=inferred.outputs,
            weights=tuple(inferred.weights),
            state=inferred.state,
            step=inferred.step,
            flops=inferred.flops,
            activations=inferred.activations,
            places=inferred.places,
            cudnn=self._verdicts(spec, around),
        )

    def _verdicts(self, spec: LayerSpec, around: Surroundings) -> dict[str, CudnnVerdict]:
        masked = around.inputs[0].masked
        attends = isinstance(spec, AttentionDecoderSpec) and spec.attends_within
        verdicts: dict[str, CudnnVerdict] = {}
        for backend in BACKENDS:
            for _, gru in recurrent_layers(spec):
                traits = GRUTraits.from_spec(gru, backend, self.backend.device, around.dtype, masked, self.backend.use_cudnn, attends)
                verdict = judge(traits)
                if backend not in verdicts or not verdict.eligible:
                    verdicts[backend] = verdict
        return verdicts

    def _tensor(self, reference: Reference) -> PlannedTensor | None:
        if reference.node in self.inputs:
            return self.inputs[reference.node]
        layer = self.layers.get(reference.node)
        return None if layer is None else layer.outputs[reference.output]


def _filled(size: int | str | None) -> int | None:
    return size if isinstance(size, int) else None


def _check_open(value: object, path: str, collector: ProblemCollector) -> bool:
    """Adds a problem for each size that is left open; whether there is one."""
    found = list(_sizes(value, path))
    for key, size in found:
        collector.add(key, f"the size '{size}' is not known yet", hint="prepare the data first")
    return bool(found)


def _sizes(value: object, path: str) -> Iterator[tuple[str, str]]:
    """The sizes that a spec, and the specs within it, leave open, each with its path."""
    size = size_name(value)
    if size is not None:
        yield path, size
    elif isinstance(value, Spec):
        for field in type(value).model_fields:
            yield from _sizes(getattr(value, field), f"{path}.{field}")
    elif isinstance(value, (dict, list, tuple)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _sizes(part, f"{path}.{key}")


def required_cudnn(plan: ModelPlan, backend: str, use_cudnn: bool | str = "auto") -> list[str]:
    """For each GRU that must run on cuDNN (``use_cudnn: true``) but cannot: its name and every reason.

    Args:
        plan: the model.
        backend: ``torch`` or ``tensorflow``.
        use_cudnn: the run's setting, for layers that say ``auto`` themselves.
    """
    lines: list[str] = []
    for layer in plan.layers:
        asked = [gru.use_cudnn if gru.use_cudnn != "auto" else use_cudnn for _, gru in recurrent_layers(layer.spec)]
        verdict = layer.cudnn.get(backend)
        if verdict is not None and not verdict.eligible and True in asked:
            lines.extend(f"{layer.name}: {reason}" for reason in verdict.reasons())
    return lines


def off_cudnn(plan: ModelPlan, backend: str) -> list[str]:
    """For each GRU that the config keeps off cuDNN: one line with its name and every reason."""
    return [
        f"{layer.name} does not run on cuDNN: " + "; ".join(layer.cudnn[backend].reasons())
        for layer in plan.layers
        if backend in layer.cudnn and not layer.cudnn[backend].eligible
    ]
