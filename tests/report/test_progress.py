"""The line of an epoch on a console."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import StringIO

import pytest
from rich.console import Console

from framework.backends.base.objective import Totals
from framework.backends.base.training import EpochResult, Position, StepResult
from framework.report import progress
from framework.report.progress import ConsoleReporter

METRICS = {"perplexity": 8.0, "accuracy": 0.5, "val_perplexity": 16.0, "val_bleu": 30.0}


@pytest.mark.parametrize(
    ("validation", "metrics", "line"),
    [
        (
            Totals({"loss": 6.0}, 2.0),
            METRICS,
            "epoch 2/0: loss 2.0000, perplexity 8.000, accuracy 0.500, val_loss 3.0000, val_perplexity 16.000, val_bleu 30.000",
        ),
        (None, {"perplexity": 8.0}, "epoch 2/0: loss 2.0000, perplexity 8.000"),
    ],
)
def test_both_perplexities_are_told_by_their_names(validation: Totals | None, metrics: dict[str, float], line: str) -> None:
    out = StringIO()
    result = EpochResult(Position(epoch=2), Totals({"loss": 4.0}, 2.0), validation, 0.0)
    ConsoleReporter(Console(file=out, width=60)).epoch(result, metrics, None)
    assert out.getvalue() == f"{line}\n"


@pytest.fixture
def said_after(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What is said of a training's length, given its steps and epochs and how long each step took that was made."""

    def say(steps_per_epoch: int, max_epochs: int, seconds: Sequence[float], tokens: float = 8.0) -> str:
        now, out = 0.0, StringIO()
        monkeypatch.setattr(progress.time, "perf_counter", lambda: now)
        reporter = ConsoleReporter(Console(file=out, width=200))
        reporter.begin(Position(), steps_per_epoch, max_epochs)
        for step, one in enumerate(seconds, start=1):
            now += one
            reporter.step(StepResult(Position(0, step, step), None, tokens, 4, 0.1))
        return out.getvalue()

    return say


def test_the_whole_length_is_told_from_steps_after_the_first_slow_ones(said_after: Callable[..., str]) -> None:
    said = said_after(500, 2, [0.5] * 10 + [0.25] * 30)
    # 30 steps take 10 s; the later half of them a quarter of a second each, and so will the 970 that are left.
    assert said == "about 4 min 12 s in all: 0.250 s a step, 32 tokens a second\n"


def test_a_short_training_says_nothing_of_its_length(said_after: Callable[..., str]) -> None:
    assert said_after(30, 2, [0.25] * 60) == "", "less is to come than was"


def test_slow_steps_are_told_of_after_a_minute(said_after: Callable[..., str]) -> None:
    said = said_after(172, 10, [25.0] * 4, tokens=6400.0)
    assert said == "about 11 h 56 min in all: 25.000 s a step, 256 tokens a second\n"
