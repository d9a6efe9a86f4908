"""The line of an epoch on a console."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from framework.backends.base.objective import Totals
from framework.backends.base.training import EpochResult, Position
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
