"""An experiment on a variant as Markdown: what was changed, and what that makes of the losses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from framework.report.figures import backend_title, figure
from framework.spec.result import Result
from framework.spec.targets import Variant


def experiment_lines(variant: Variant, results: Sequence[Result], baseline: Variant, unchanged: Sequence[Result]) -> Iterator[str]:
    """What was changed, a table for each run beside an unchanged one and the published ones, and the differences in a sentence.

    Args:
        variant: the experiment.
        results: its runs.
        baseline: the variant that it changes.
        unchanged: that one's runs.
    """
    changes = ", ".join(f"`{word}`" for word in variant.overrides)
    yield f"An experiment: *{baseline.title}* with {changes}."
    for one in results:
        other = next((run for run in unchanged if run.backend == one.backend), None)
        yield ""
        yield from _table(variant, one, baseline, other)
        if other is not None:
            yield ""
            yield from _differences(variant, one, baseline, other)


def _table(variant: Variant, one: Result, baseline: Variant, other: Result | None) -> Iterator[str]:
    columns = [f"published: {curve.label}" for curve in baseline.curves]
    runs = [*([] if other is None else [other]), one]
    columns += [f"{'changed' if run is one else 'unchanged'}: {backend_title(run.backend)}, seed {run.seed}" for run in runs]
    yield f"| epoch | {' | '.join(columns)} |"
    yield "|---" * (1 + len(columns)) + "|"
    for epoch in (figures.epoch for figures in one.epochs):
        values = [curve.values.get(epoch) for curve in baseline.curves] + [run.measured(variant.monitor, epoch) for run in runs]
        yield f"| {epoch} | {' | '.join('' if value is None else figure(value) for value in values)} |"


def _differences(variant: Variant, one: Result, baseline: Variant, other: Result) -> Iterator[str]:
    """``Changed against unchanged: -0.0067 at epoch 1. Unchanged against published: -0.056 to -0.043 at epoch 1.``."""
    changed, published = [], []
    for epoch in (figures.epoch for figures in one.epochs):
        ours, theirs = other.measured(variant.monitor, epoch), [curve.values[epoch] for curve in baseline.curves if epoch in curve.values]
        measured = one.measured(variant.monitor, epoch)
        if ours is None or measured is None:
            continue
        changed.append(f"{measured - ours:+.4f} at epoch {epoch}")
        if theirs:
            bounds = dict.fromkeys(f"{ours - value:+.3f}" for value in (max(theirs), min(theirs)))
            published.append(f"{' to '.join(bounds)} at epoch {epoch}")
    if changed:
        yield f"Changed against unchanged: {', '.join(changed)}."
    if published:
        yield f"Unchanged against published: {', '.join(published)}."
