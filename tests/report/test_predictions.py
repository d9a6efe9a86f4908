"""The table of best and worst predictions."""

from __future__ import annotations

from framework.report.predictions import Judged, best_and_worst


def judged(*scores: float) -> list[Judged]:
    return [Judged(f"source {number}", f"made {number}", [f"right {number}"], score) for number, score in enumerate(scores)]


def test_the_best_come_first_and_the_worst_begin_with_the_worst() -> None:
    text = best_and_worst(judged(50, 90, 10, 70, 30), "chrF", shown=2)
    best, worst = text.split("## Worst")
    assert best.startswith("## Best of 5 predictions\n\n| chrF | given | predicted | right |\n| ---: | --- | --- | --- |\n")
    assert best.index("| 90.0 | source 1 | made 1 | right 1 |") < best.index("| 70.0 | source 3 |")
    assert worst.index("| 10.0 | source 2 |") < worst.index("| 30.0 | source 4 |")
    assert "50.0" not in text
    assert text.endswith("|\n")


def test_none_is_shown_twice() -> None:
    text = best_and_worst(judged(1, 2, 3), "chrF")
    assert [text.count(f"source {number}") for number in range(3)] == [1, 1, 1]
    alone = best_and_worst(judged(5), "chrF")
    assert "## Best of 1" in alone
    assert "Worst" not in alone
    assert best_and_worst([], "chrF") == ""


def test_what_markdown_would_read_is_text() -> None:
    text = best_and_worst([Judged("a|b *c*\nd", "<start> `x`", ["[1](y)", "under_score"], 3.0)], "c|F")
    assert "| 3.0 | a\\|b \\*c\\* d | \\<start\\> \\`x\\` | \\[1\\](y)<br>under\\_score |" in text
    assert "| c\\|F | given |" in text
