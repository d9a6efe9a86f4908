"""Whether a run reproduces what is published: each figure with its bounds, and met or missed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from framework.report.figures import figure, mean_and_spread
from framework.spec.result import Result
from framework.spec.targets import Target, Variant


@dataclass(frozen=True)
class Verdict:
    """One target and what a run measured.

    Attributes:
        target: the published figure with its bounds.
        measured: ours; None where the run did not come so far.
    """

    target: Target
    measured: float | None

    @property
    def status(self) -> Literal["met", "MISSED", "not reached"]:
        """Whether the measured value lies within the bounds."""
        if self.measured is None:
            return "not reached"
        return "met" if self.target.low <= self.measured <= self.target.high else "MISSED"


def verdicts(variant: Variant, result: Result) -> list[Verdict]:
    """A verdict for each target of the variant."""
    return [Verdict(target, result.measured(target.metric, target.epoch)) for target in variant.targets]


def mean_verdict(target: Target, results: Sequence[Result]) -> Verdict:
    """The verdict for the mean over several seeds, of those that came so far."""
    values = measured(target, results)
    return Verdict(target, statistics.fmean(values) if values else None)


def measured(target: Target, results: Sequence[Result]) -> list[float]:
    """What each run measured of a target, of those that came so far."""
    return [value for one in results if (value := one.measured(target.metric, target.epoch)) is not None]


def tally(found: Sequence[Verdict], complete: bool) -> str:
    """``3 of 4 targets met, 1 not reached (partial run)``."""
    partial = "" if complete else " (partial run)"
    if not found:
        return f"nothing is published to compare with{partial}"
    counts = {status: sum(one.status == status for one in found) for status in ("met", "MISSED", "not reached")}
    rest = [f"{count} {status.lower()}" for status, count in counts.items() if count and status != "met"]
    return ", ".join([f"{counts['met']} of {len(found)} targets met", *rest]) + partial


def verdict_table(found: Sequence[Verdict]) -> list[str]:
    """The verdicts of one run as Markdown lines."""
    lines = ["| figure | published | counts as reproduced | ours | verdict | source |", "|---" * 6 + "|"]
    for one in found:
        ours = "" if one.measured is None else figure(one.measured)
        lines.append(
            f"| {one.target.title} | {published(one.target)} | {bounds(one.target)} | {ours} | {one.status} | {one.target.source} |"
        )
    return lines


def mean_table(variant: Variant, results: Sequence[Result]) -> list[str]:
    """Mean and spread of each target over several seeds as Markdown lines."""
    lines = [f"| figure | published | counts as reproduced | over {len(results)} seeds | verdict |", "|---" * 5 + "|"]
    for target in variant.targets:
        values = measured(target, results)
        ours = mean_and_spread(values) if values else ""
        lines.append(f"| {target.title} | {published(target)} | {bounds(target)} | {ours} | {mean_verdict(target, results).status} |")
    return lines


def published(target: Target) -> str:
    """The published figure; of one that is not printed there, that it is derived, or bracketed by other runs."""
    value = "" if target.value is None else figure(target.value)
    note = "(bracketed by other runs)" if target.bracketed else "(derived)" if target.derived else ""
    return " ".join(part for part in (value, note) if part)


def bounds(target: Target) -> str:
    """``2.65 to 2.85``."""
    return figure(target.low) if target.low == target.high else f"{figure(target.low)} to {figure(target.high)}"
