"""Published figures beside ours: verdicts, means over seeds, what is partial, and Markdown that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framework.errors import InputError
from framework.report.benchmarks import benchmark_lines
from framework.report.curves import plot_beside
from framework.report.figures import figure, mean_and_spread
from framework.report.marked import has_marked, marked, replace_marked
from framework.report.parity import parity_lines, parity_report
from framework.report.reproduction import curves, recipe_results, summary_table
from framework.report.verdicts import tally, verdict_table, verdicts
from framework.spec.measurements import BenchmarkResult, ParityResult, ParityRow
from framework.spec.result import Result
from framework.spec.targets import Targets

WEIGHTS = {
    "metric": "parameters",
    "measures": "weights",
    "value": 1000.0,
    "low": 1000.0,
    "high": 1000.0,
    "why": "a count",
    "source": "page 1",
}
FIRST = {
    "metric": "loss",
    "epoch": 1,
    "measures": "mean",
    "low": 1.9,
    "high": 2.1,
    "bracketed": True,
    "why": "two runs",
    "source": "page 2",
}
THIRD = {"metric": "loss", "epoch": 3, "measures": "mean", "value": 1.0, "low": 0.9, "high": 1.1, "why": "two runs", "source": "page 3"}
CURVE = {"label": "theirs", "source": "page 4", "values": {1: 2.05, 3: 1.0}}
VALIDATED = {"title": "Validated", "recipe": "mine", "overrides": ["data.validation_fraction=0.1"], "monitor": "val_loss"}
TARGETS = Targets.model_validate(
    {
        "publication": "a paper",
        "variants": {
            "plain": {
                "title": "The plain model",
                "recipe": "mine",
                "note": "Of all models the plainest.",
                "targets": [WEIGHTS, FIRST, THIRD],
                "curves": [CURVE],
            },
            "held_out": VALIDATED,
        },
    }
)
PLAIN = TARGETS.variants["plain"]


def result(*losses: float, **changes: Any) -> Result:
    epochs = [
        {"epoch": n, "step": 10 * n, "values": {"loss": loss, "seconds": 60.0, "tokens_per_second": 50.0}}
        for n, loss in enumerate(losses, 1)
    ]
    sample = {"model": "last", "step": 10 * len(losses), "settings": {"temperature": 1.0}, "seed": 0, "text": "a ```b\nc  "}
    values = {
        "variant": "plain", "recipe": "mine", "backend": "torch", "seed": 0, "complete": len(losses) >= 3, "epochs_wanted": 3,
        "config_digest": "c" * 64, "data_digest": "d" * 64, "versions": {"torch": "2.0"}, "started": "2026-01-01T00:00:00+00:00",
        "hardware": {"processor": "A chip", "processors": 8, "usable_processors": 2}, "wall_seconds": 180.0,
        "figures": {"parameters": 1000.0}, "epochs": epochs, "samples": [sample],
    }  # fmt: skip
    return Result.model_validate({**values, **changes})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "nan"),
        (4021569.0, "4,021,569"),
        (4.174049, "4.174"),
        (0.75, "0.75"),
        (2.5, "2.50"),
        (10.0, "10"),
        (1234.56789, "1,234.5679"),
    ],
)
def test_figures_are_readable(value: float, text: str) -> None:
    assert figure(value) == text


def test_seeds_have_a_mean_and_the_standard_deviation_between_them() -> None:
    assert mean_and_spread([1.0, 2.0, 3.0]) == "2 ± 1"
    assert mean_and_spread([1.21]) == mean_and_spread([1.21, 1.21]) == "1.21"


def test_a_figure_is_met_missed_or_not_reached() -> None:
    found = verdicts(PLAIN, result(2.1, 1.5))
    assert [one.status for one in found] == ["met", "met", "not reached"]
    assert tally(found, complete=False) == "2 of 3 targets met, 1 not reached (partial run)"
    found = verdicts(PLAIN, result(2.1001, 1.5, 0.8999))
    assert [one.status for one in found] == ["met", "MISSED", "MISSED"]
    assert tally(found, complete=True) == "1 of 3 targets met, 2 missed"
    assert tally([], complete=True) == "nothing is published to compare with"
    assert verdict_table(found)[2:] == [
        "| parameters | 1,000 | 1,000 | 1,000 | met | page 1 |",
        "| loss, epoch 1 | (bracketed by other runs) | 1.90 to 2.10 | 2.1001 | MISSED | page 2 |",
        "| loss, epoch 3 | 1 | 0.90 to 1.10 | 0.8999 | MISSED | page 3 |",
    ]


def test_a_recipe_shows_every_variant_with_its_runs() -> None:
    text = recipe_results(TARGETS, [result(2.0, 1.5, 1.2), result(2.0, 1.4, backend="tensorflow")])
    assert text.startswith("### The plain model\n\n`gatework reproduce recipe=mine`\n\nOf all models the plainest.\n")
    assert "| figure | published | counts as reproduced | PyTorch Lightning | TensorFlow/Keras (partial: 2 of 3 epochs, seed 0) |" in text
    assert "| loss, epoch 3 | 1 | 0.90 to 1.10 | 1.20 **MISSED** | not reached |" in text
    assert "| 1 | 2.05 | 2 | 2 |\n| 2 |  | 1.50 | 1.40 |\n| 3 | 1 | 1.20 |  |" in text
    assert "| torch, seed 0 | 3 | 3 min 00 s | 1 min 00 s | A chip, 2 of 8 processors | torch 2.0 | cccccccccccc | dddddddddddd |" in text
    assert "| tensorflow, seed 0 | 2 of 3, partial |" in text
    assert "- loss, epoch 1 (mean): 1.90 to 2.10, since two runs. Source: page 2." in text
    assert "````text\na ```b\nc\n````" in text
    assert text.endswith("`gatework reproduce recipe=mine --variant held_out`\n\nNo run yet.")


def test_seeds_are_one_column_and_partial_runs_leave_complete_ones_alone() -> None:
    text = recipe_results(TARGETS, [result(2.0, 1.5, 1.0), result(2.1, 1.5, 1.1, seed=1), result(5.0, seed=2)])
    assert "| PyTorch Lightning (2 seeds) |" in text
    assert "| loss, epoch 1 | (bracketed by other runs) | 1.90 to 2.10 | 2.05 ± 0.0707 **met** |" in text
    assert "| torch, seed 2 | 1 of 3, partial |" in text


def test_an_epoch_that_was_timed_in_part_is_no_epochs_time() -> None:
    """Taken up again in the middle, an epoch once counted the seconds and the tokens since then alone."""
    speeds = [(60.0, 50.0), (20.0, 49.0), (70.0, 42.85), (80.0, 37.5)]
    epochs = [
        {"epoch": n, "step": 10 * n, "values": {"loss": 1.0, "seconds": seconds, "tokens_per_second": speed}}
        for n, (seconds, speed) in enumerate(speeds, 1)
    ]
    text = recipe_results(TARGETS, [result(epochs=epochs, complete=True)])
    assert "| 1 min 10 s (partial: 3 of 4 epochs were timed whole) |" in text
    assert "timed whole" not in recipe_results(TARGETS, [result(1.0, 1.0, 1.0)])


def test_an_experiment_stands_beside_what_it_changes() -> None:
    variant = {"title": "Try it", "recipe": "mine", "baseline": "plain", "overrides": ["seed=1", "trainer.max_epochs=2"], "note": "Why so?"}
    plain = {"title": "The plain model", "recipe": "mine", "targets": [WEIGHTS], "curves": [CURVE, {**CURVE, "values": {1: 2.1, 2: 1.0}}]}
    targets = Targets.model_validate({"publication": "a paper", "variants": {"plain": plain, "try": variant}})
    ours = result(1.9, 1.25, variant="try", seed=1, epochs_wanted=2, complete=True)
    lines = recipe_results(targets, [result(2.0, 1.5, 1.2), result(2.2, seed=7), ours]).partition("### Try it\n")[2].splitlines()
    assert lines[:6] == [
        "",
        "`gatework reproduce recipe=mine --variant try`",
        "",
        "Why so?",
        "",
        "An experiment: *The plain model* with `seed=1`, `trainer.max_epochs=2`.",
    ]
    assert lines[7:11] == [
        "| epoch | published: theirs | published: theirs | unchanged: PyTorch Lightning, seed 0 | changed: PyTorch Lightning, seed 1 |",
        "|---|---|---|---|---|",
        "| 1 | 2.05 | 2.10 | 2 | 1.90 |",
        "| 2 |  | 1 | 1.50 | 1.25 |",
    ]
    assert lines[12:14] == [
        "Changed against unchanged: -0.1000 at epoch 1, -0.2500 at epoch 2.",
        "Unchanged against published: -0.100 to -0.050 at epoch 1, +0.500 at epoch 2.",
    ]
    assert lines[15].startswith("| run | epochs |") and "png" not in "".join(lines)
    alone = recipe_results(targets, [ours]).partition("### Try it\n")[2]
    assert "| 1 | 2.05 | 2.10 | 1.90 |" in alone and "against" not in alone
    assert recipe_results(targets, []).endswith("Why so?\n\nNo run yet.")
    assert not [line for line in summary_table(targets, [ours]) if "Try it" in line]


def test_the_best_epoch_of_a_validated_run_is_told() -> None:
    figures = {"best_epoch": 2.0, "best_val_loss": 1.4, "best_val_bits_per_character": 2.02}
    one = result(2.0, 1.5, 1.2, variant="held_out", figures=figures)
    text = recipe_results(TARGETS, [one])
    assert "Best on the text held out: 1.40 nats a token at epoch 2, bits per character 2.02 (PyTorch Lightning)." in text
    assert summary_table(TARGETS, [one])[-1].startswith("| Validated | best validation loss | | | PyTorch Lightning 1.40 nats")


def test_the_summary_shows_what_was_reached() -> None:
    lines = summary_table(TARGETS, [result(2.0, 1.5), result(2.0, 1.4, 1.0, backend="tensorflow")])
    assert lines[-1] == "| The plain model | loss, epoch 3 | 1 | 0.90 to 1.10 | TensorFlow/Keras 1 **met** |"


def test_our_curve_is_drawn_beside_the_published_one(tmp_path: Path) -> None:
    ours, theirs = curves(PLAIN, [result(2.0, 1.5), result(2.0, seed=1)])
    assert ours == {
        "loss, PyTorch Lightning, seed 0 (partial)": [(1.0, 2.0), (2.0, 1.5)],
        "loss, PyTorch Lightning, seed 1 (partial)": [(1.0, 2.0)],
    }
    assert theirs == {"theirs": [(1.0, 2.05), (3.0, 1.0)]}
    plot_beside(tmp_path / "deep" / "it.png", ours, theirs, "both")
    assert (tmp_path / "deep" / "it.png").read_bytes().startswith(b"\x89PNG")


def test_text_between_markers_is_replaced_and_nothing_else() -> None:
    text = f"before\n{marked('it', 'tool', 'old')}\nafter\n"
    new = r"new \1"
    assert replace_marked(text, "it", "tool", new, "file") == f"before\n{marked('it', 'tool', new)}\nafter\n"
    assert has_marked(text, "it", "tool")
    assert not has_marked(text, "it", "another tool")
    with pytest.raises(InputError, match=r"file has no place for that\n    expected: the lines\n<!-- that: begin \(tool\) -->"):
        replace_marked(text, "that", "tool", "new", "file")


def test_parity_and_benchmarks_are_tables() -> None:
    rows = [
        ParityRow(what="outputs", name="y", difference=2.5e-7, tolerance=1e-5, ok=True),
        ParityRow(what="greedy text", name="tokens", difference=0.5, tolerance=0.0, ok=False),
    ]
    place = {"recipe": "mine", "steps": 7, "ok": False, "config_digest": "c" * 64, "data_digest": "d" * 64, "losses": {}}
    parity = ParityResult.model_validate(
        {**place, "rows": rows, "versions": {"a": "1"}, "hardware": {"processor": "X"}, "measured": "then"}
    )
    assert parity_lines(rows) == [
        "outputs y           2.5e-07  tolerance 1e-05  ok",
        "greedy text tokens  5.0e-01  must be equal  MISSED",
        "1 of 2 agree",
    ]
    assert parity_report(parity)[-3:] == [
        "| greedy text | `tokens` | 5.0e-01 | must be equal | MISSED |",
        "",
        "Measured then over 7 steps on X; a 1; config cccccccccccc, data dddddddddddd.",
    ]
    found = BenchmarkResult(
        subject="it", machine="a chip", versions={"torch": "2"}, measured="2026-01-01", busy="cc", rows=[{"a": 1.234, "b": None}]
    )
    assert benchmark_lines(found)[:3] == ["| a | b |", "|---|---|", "| 1.23 |  |"]
    assert benchmark_lines(found)[-1] == "Measured 2026-01-01 on a chip; torch 2. The machine was busy: cc."
