"""Published figures beside ours, as Markdown: what a recipe's README shows of its results."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from framework.report.evaluations import evaluation_lines
from framework.report.experiment import experiment_lines
from framework.report.figures import backend_title, figure, mean_and_spread
from framework.report.progress import duration
from framework.report.verdicts import bounds, mean_verdict, measured, published
from framework.spec.result import Result, ResultSample
from framework.spec.targets import Target, Targets, Variant

_SHOWN = {"loss": "loss", "val_loss": "validation loss", "tutorial_loss": "the tutorial's loss"}


def recipe_results(targets: Targets, results: Sequence[Result]) -> str:
    """The results of a recipe, variant by variant."""
    found = {name: [one for one in results if one.variant == name] for name in targets.variants}
    sections = []
    for name, variant in targets.variants.items():
        if variant.baseline is None:
            lines = _section(name, variant, found[name])
        else:
            lines = _experiment(name, variant, found[name], targets.variants[variant.baseline], found[variant.baseline])
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


def summary_table(targets: Targets, results: Sequence[Result]) -> list[str]:
    """A line for each target that was reached, for the front page."""
    lines = ["| experiment | figure | published | counts as reproduced | ours |", "|---" * 5 + "|"]
    for name, variant in targets.variants.items():
        found = [one for one in results if one.variant == name]
        for target in variant.targets:
            cells = [f"{_group_title(group)} {text}" for group in _groups(found) if (text := _cell(group, target))]
            if cells:
                lines.append(f"| {variant.title} | {target.title} | {published(target)} | {bounds(target)} | {'; '.join(cells)} |")
        for group in _groups(found):
            if best := _best(group):
                lines.append(f"| {variant.title} | best validation loss | | | {_group_title(group)} {best} |")
    return lines


def curves(
    variant: Variant, results: Sequence[Result]
) -> tuple[dict[str, list[tuple[float, float]]], dict[str, list[tuple[float, float]]]]:
    """Our curves and the published ones of the variant's metric, as points by label."""
    metrics = dict.fromkeys(["loss", variant.monitor])
    ours = {
        f"{_shown(metric)}, {_label(one, seeds=len({one.seed for one in results}) > 1)}": [
            (float(epoch.epoch), epoch.values[metric]) for epoch in one.epochs if metric in epoch.values
        ]
        for metric in metrics
        for one in results
    }
    theirs = {
        curve.label: [(float(epoch), value) for epoch, value in sorted(curve.values.items())]
        for curve in variant.curves
        if curve.metric in metrics
    }
    return ours, theirs


def attention_picture(result: Result) -> str:
    """The file beside a run's result that shows what its model attended to in a probe."""
    return f"{result.variant}-{result.backend}-seed{result.seed}-attention.png"


def _shown(metric: str) -> str:
    return _SHOWN.get(metric, metric.replace("_", " "))


def picture_name(variant: str) -> str:
    """The file beside the results that shows the curves of a variant."""
    return f"{variant}.png"


def _section(name: str, variant: Variant, results: Sequence[Result]) -> Iterator[str]:
    yield from _heading(name, variant)
    if not results:
        yield from ("", "No run yet.")
        return
    groups = _groups(results)
    if variant.targets:
        yield ""
        yield from _target_table(variant, groups)
    for group in groups:
        if best := _best(group):
            yield from ("", f"Best on the text held out: {best} ({_group_title(group)}).")
    yield from ("", f"![{variant.title}: loss by epoch](results/{picture_name(name)})", "")
    yield from _epoch_table(variant, groups)
    yield from evaluation_lines(variant, results)
    for one in results:
        for picture in one.pictures:
            yield from ("", f"![What the words of an answer attended to: {_label(one, seeds=True)}](results/{picture})")
    yield ""
    yield from _run_table(results)
    if variant.targets or variant.curves:
        yield ""
        yield from _sources(variant)
    for one in results:
        for sample in one.samples:
            yield ""
            yield from _sample(one, sample)


def _experiment(name: str, variant: Variant, results: Sequence[Result], baseline: Variant, unchanged: Sequence[Result]) -> Iterator[str]:
    yield from _heading(name, variant)
    yield ""
    if not results:
        yield "No run yet."
        return
    yield from experiment_lines(variant, results, baseline, unchanged)
    yield ""
    yield from _run_table(results)


def _heading(name: str, variant: Variant) -> Iterator[str]:
    words = ["gatework reproduce", f"recipe={variant.recipe}", *([f"--variant {name}"] if variant.overrides else [])]
    yield from (f"### {variant.title}", "", f"`{' '.join(words)}`")
    if variant.note:
        yield from ("", variant.note)


def _target_table(variant: Variant, groups: Sequence[Sequence[Result]]) -> Iterator[str]:
    titles = [_group_title(group) for group in groups]
    yield f"| figure | published | counts as reproduced | {' | '.join(titles)} |"
    yield "|---" * (3 + len(titles)) + "|"
    for target in variant.targets:
        cells = [_cell(group, target) or "not reached" for group in groups]
        yield f"| {target.title} | {published(target)} | {bounds(target)} | {' | '.join(cells)} |"


def _cell(group: Sequence[Result], target: Target) -> str:
    """Mean and spread over the seeds with a verdict for the mean; empty where no run came so far."""
    values = measured(target, group)
    return f"{mean_and_spread(values)} **{mean_verdict(target, group).status}**" if values else ""


def _epoch_table(variant: Variant, groups: Sequence[Sequence[Result]]) -> Iterator[str]:
    metrics = list(dict.fromkeys(["loss", variant.monitor]))
    ours = [(group, metric) for group in groups for metric in metrics]
    titles = [
        *(f"published: {curve.label}" for curve in variant.curves),
        *(f"{_shown(metric)}: {_group_title(group)}" for group, metric in ours),
    ]
    yield f"| epoch | {' | '.join(titles)} |"
    yield "|---" * (1 + len(titles)) + "|"
    for epoch in sorted({one.epoch for group in groups for result in group for one in result.epochs}):
        theirs = [figure(curve.values[epoch]) if epoch in curve.values else "" for curve in variant.curves]
        cells = []
        for group, metric in ours:
            values = [value for one in group if (value := one.measured(metric, epoch)) is not None]
            cells.append(mean_and_spread(values) if values else "")
        yield f"| {epoch} | {' | '.join([*theirs, *cells])} |"


_SPEED = {"seconds", "tokens_per_second"}


def _run_table(results: Sequence[Result]) -> Iterator[str]:
    yield "| run | epochs | time in training | an epoch | on | libraries | config | data |"
    yield "|---" * 8 + "|"
    for one in results:
        epochs = f"{len(one.epochs)}" if one.complete else f"{len(one.epochs)} of {one.epochs_wanted}, partial"
        libraries = ", ".join(f"{name} {version}" for name, version in one.versions.items())
        cells = [f"{one.backend}, seed {one.seed}", epochs, duration(one.wall_seconds), _epoch_time(one), _machine(one), libraries]
        yield f"| {' | '.join([*cells, one.config_digest[:12], one.data_digest[:12]])} |"


def _epoch_time(result: Result) -> str:
    """Median of the epochs that were timed whole: one that was taken up again may count the time since then alone, and fewer tokens."""
    timed = [
        (values["seconds"], values["seconds"] * values["tokens_per_second"])
        for values in (one.values for one in result.epochs)
        if set(values) >= _SPEED
    ]
    most = max((tokens for _, tokens in timed), default=0.0)
    whole = [seconds for seconds, tokens in timed if tokens > 0.99 * most]
    if not whole:
        return ""
    of = "" if len(whole) == len(result.epochs) else f" (partial: {len(whole)} of {len(result.epochs)} epochs were timed whole)"
    return duration(statistics.median(whole)) + of


def _sources(variant: Variant) -> Iterator[str]:
    for target in variant.targets:
        yield f"- {target.title} ({target.measures}): {bounds(target)}, since {target.why}. Source: {target.source}."
    for curve in variant.curves:
        yield f"- published curve, {curve.label}: {curve.source}."


def _sample(result: Result, sample: ResultSample) -> Iterator[str]:
    backend = backend_title(result.backend)
    settings = ", ".join(f"{name} {value!r}" for name, value in sample.settings.items())
    fence = "```"
    while fence in sample.text:
        fence += "`"
    yield f"<details><summary>What it writes after {_moment(result, sample)}: {backend}, seed {sample.seed}, {settings}</summary>"
    yield from ("", f"{fence}text", *(line.rstrip() for line in sample.text.rstrip().split("\n")), fence, "", "</details>")


def _moment(result: Result, sample: ResultSample) -> str:
    """The epoch whose end the weights are of, or the step within one."""
    epoch = next((one.epoch for one in result.epochs if one.step == sample.step), None)
    return f"step {sample.step:,}, within an epoch" if epoch is None else f"epoch {epoch}"


def _best(group: Sequence[Result]) -> str:
    """``1.4812 nats at epoch 8, 2.137 bits a character``; empty without validation."""
    found = [one for one in group if "best_val_loss" in one.figures]
    if not found:
        return ""
    values = mean_and_spread([one.figures["best_val_loss"] for one in found])
    epochs = ", ".join(dict.fromkeys(figure(one.figures["best_epoch"]) for one in found))
    units = [name for name in found[0].figures if name.startswith("best_val_") and name != "best_val_loss"]
    others = [
        f"{name.removeprefix('best_val_').replace('_', ' ')} {mean_and_spread([one.figures[name] for one in found])}" for name in units
    ]
    return ", ".join([f"{values} nats a token at epoch {epochs}", *others])


def _groups(results: Sequence[Result]) -> list[list[Result]]:
    """Runs that are shown as one column: complete ones of a backend on the same data, else its partial ones each for itself."""
    groups = []
    for key in dict.fromkeys((one.backend, one.data_digest) for one in results):
        ours = [one for one in results if (one.backend, one.data_digest) == key]
        complete = [one for one in ours if one.complete]
        groups += [complete] if complete else [[one] for one in ours]
    return groups


def _group_title(group: Sequence[Result]) -> str:
    title = backend_title(group[0].backend)
    if not group[0].complete:
        return f"{title} (partial: {len(group[0].epochs)} of {group[0].epochs_wanted} epochs, seed {group[0].seed})"
    return f"{title} ({len(group)} seeds)" if len(group) > 1 else title


def _label(result: Result, seeds: bool) -> str:
    """What a curve is called."""
    parts = [backend_title(result.backend)]
    if seeds:
        parts.append(f"seed {result.seed}")
    return ", ".join(parts) + ("" if result.complete else " (partial)")


def _machine(result: Result) -> str:
    hardware = result.hardware
    if not hardware.get("processors"):
        return "not recorded"
    gpus = hardware.get("gpus")
    on_cpu = result.backend_settings.get("device") == "cpu" or "+cpu" in result.versions.get("torch", "")
    if isinstance(gpus, list) and gpus and not on_cpu:
        return "; ".join(str(gpu) for gpu in gpus)
    usable, there = hardware.get("usable_processors"), hardware.get("processors")
    return (
        f"{hardware.get('processor') or hardware.get('machine')}, {there if usable in (None, there) else f'{usable} of {there}'} processors"
    )
