"""Rules that tie sections together: what one section asks for, another must provide."""

from __future__ import annotations

from collections.abc import Iterator

from framework.errors import nearest
from framework.spec.base import size_name
from framework.spec.decoding import DecodingSpec
from framework.spec.experiment import Experiment
from framework.spec.layers.attention import AttentionDecoderSpec
from framework.spec.layers.base import LayerSpec
from framework.spec.layers.bidirectional import BidirectionalSpec
from framework.spec.layers.gru import GRUSpec
from framework.spec.problems import ProblemCollector, choices, render


def check_experiment(collector: ProblemCollector, experiment: Experiment) -> None:
    """Adds a problem for each rule between sections that ``experiment`` breaks."""
    experiment.data.check(collector)
    _check_batches(collector, experiment)
    _check_processes(collector, experiment)
    _check_sizes(collector, experiment)
    _check_validation(collector, experiment)
    _check_search(collector, experiment.decoding)
    for name, layer in experiment.model.layers.items():
        if isinstance(layer, BidirectionalSpec):
            check_bidirectional(collector, f"model.layers.{name}", layer)


def recurrent_layers(layer: LayerSpec) -> Iterator[tuple[str, GRUSpec]]:
    """The GRUs within a layer, with the rest of their path."""
    if isinstance(layer, GRUSpec):
        yield "", layer
    elif isinstance(layer, BidirectionalSpec):
        yield ".layer", layer.layer
        if layer.backward_layer is not None:
            yield ".backward_layer", layer.backward_layer
    elif isinstance(layer, AttentionDecoderSpec):
        names = [".cell"] if layer.cell is not None else [f".cells.{number}" for number in range(len(layer.all_cells))]
        yield from zip(names, layer.all_cells, strict=True)


def _check_batches(collector: ProblemCollector, experiment: Experiment) -> None:
    data = experiment.data
    fixed = {name: tensor.batch_size for name, tensor in experiment.model.inputs.items()}
    for name, batch_size in fixed.items():
        if batch_size is not None and batch_size != data.batch_size:
            collector.add(
                f"model.inputs.{name}.batch_size",
                "differs from data.batch_size",
                value=render(batch_size),
                expected=f"{data.batch_size}, or ${{data.batch_size}}",
            )
    if any(size is not None for size in fixed.values()) and not data.drop_remainder:
        collector.add(
            "data.drop_remainder", "a last short batch does not fit a fixed batch", value="false", hint="set data.drop_remainder=true"
        )
    for name, layer in experiment.model.layers.items():
        for rest, gru in recurrent_layers(layer):
            if gru.stateful and None in fixed.values():
                loose = next(key for key, size in fixed.items() if size is None)
                collector.add(
                    f"model.layers.{name}{rest}.stateful",
                    "a stateful layer needs a fixed batch",
                    value="true",
                    hint=f"set model.inputs.{loose}.batch_size to ${{data.batch_size}}",
                )


def _check_processes(collector: ProblemCollector, experiment: Experiment) -> None:
    processes, rows = experiment.trainer.processes, experiment.data.batch_size
    if processes > rows:
        collector.add("trainer.devices", f"{processes} processes share batches of {rows} rows", expected=f"{rows} processes at most")


def _check_sizes(collector: ProblemCollector, experiment: Experiment) -> None:
    known = experiment.data.size_names
    for part, specs in (("inputs", experiment.model.inputs), ("layers", experiment.model.layers)):
        for path, text in _strings({name: one.model_dump() for name, one in specs.items()}, f"model.{part}"):
            size = size_name(text)
            if size is not None and size not in known:
                collector.add(
                    path,
                    f"data of kind '{experiment.data.kind}' provides no size '{size}'",
                    value=text,
                    expected=choices([f"${{size:{one}}}" for one in known]),
                    suggestion=nearest(size, known),
                )


def _strings(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (dict, list, tuple)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _strings(inner, f"{path}.{key}")


def _check_validation(collector: ProblemCollector, experiment: Experiment) -> None:
    if experiment.data.validates:
        return
    trainer = experiment.trainer
    watched = {"trainer.checkpoint.monitor": trainer.checkpoint.monitor}
    if trainer.early_stopping is not None:
        watched["trainer.early_stopping.monitor"] = trainer.early_stopping.monitor
    for path, monitor in watched.items():
        if monitor.startswith("val_"):
            collector.add(path, "there is no validation", value=render(monitor), hint="set data.validation_fraction, or monitor loss")


def _check_search(collector: ProblemCollector, decoding: DecodingSpec) -> None:
    if decoding.strategy != "beam" and decoding.n_best > 1:
        hint = "set decoding.strategy=beam"
        collector.add("decoding.n_best", f"strategy {decoding.strategy} gives one sequence", value=render(decoding.n_best), hint=hint)
    elif decoding.n_best > decoding.beam_width:
        expected = f"{decoding.beam_width} at most, decoding.beam_width"
        collector.add("decoding.n_best", "more sequences than are followed", value=render(decoding.n_best), expected=expected)


_SAME_IN_BOTH = ("return_sequences", "return_state", "stateful", "time_major", "zero_output_for_mask")


def check_bidirectional(collector: ProblemCollector, path: str, layer: BidirectionalSpec) -> None:
    """Rules between the two directions. Source: Keras documentation, "Bidirectional layer"."""
    for rest, inner in recurrent_layers(layer):
        for field, _ in inner.references():
            collector.add(f"{path}{rest}.{field}", "a layer inside bidirectional reads what the bidirectional layer reads")
        if inner.return_state or inner.stateful:
            field = "return_state" if inner.return_state else "stateful"
            hint = f"set {path}.return_state: true instead" if inner.return_state else None
            collector.add(f"{path}{rest}.{field}", "not supported inside bidirectional", value="true", expected="false", hint=hint)
        if inner.time_major:
            collector.add(f"{path}{rest}.time_major", "not supported inside bidirectional", value="true", expected="false")
    backward = layer.backward_layer
    if backward is None:
        return
    if backward.go_backwards == layer.layer.go_backwards:
        expected = render(not layer.layer.go_backwards)
        collector.add(f"{path}.backward_layer.go_backwards", "both directions run the same way", expected=expected)
    for field in _SAME_IN_BOTH:
        if getattr(backward, field) != getattr(layer.layer, field):
            expected = render(getattr(layer.layer, field))
            collector.add(f"{path}.backward_layer.{field}", "differs from the forward layer", expected=expected)
    if layer.merge_mode != "concat" and backward.units != layer.layer.units:
        collector.add(f"{path}.backward_layer.units", f"merge_mode {layer.merge_mode} needs equal units", expected=str(layer.layer.units))
