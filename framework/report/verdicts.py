"""Whether a run reproduces what is published: each figure with its bounds, and met or missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from framework.report.figures import figure
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


def tally(found: Sequence[Verdict]) -> str:
    """``3 of 4 targets met, 1 not reached``."""
    if not found:
        return "nothing is published to compare with"
    counts = {status: sum(one.status == status for one in found) for status in ("met", "MISSED", "not reached")}
    rest = [f"{count} {status.lower()}" for status, count in counts.items() if count and status != "met"]
    return ", ".join([f"{counts['met']} of {len(found)} targets met", *rest])


def verdict_table(found: Sequence[Verdict]) -> list[str]:
    """The verdicts of one run as Markdown lines."""
    lines = ["| figure | published | counts as reproduced | ours | verdict | source |", "|---" * 6 + "|"]
    for one in found:
        ours = "" if one.measured is None else figure(one.measured)
        lines.append(
            f"| {one.target.title} | {published(one.target)} | {bounds(one.target)} | {ours} | {one.status} | {one.target.source} |"
        )
    return lines


def published(target: Target) -> str:
    """The published figure; of a bracketed target, that it is bracketed."""
    value = "" if target.value is None else figure(target.value)
    return " ".join(part for part in (value, "(bracketed by other runs)" if target.bracketed else "") if part)


def bounds(target: Target) -> str:
    """``2.65 to 2.85``."""
    return figure(target.low) if target.low == target.high else f"{figure(target.low)} to {figure(target.high)}"
