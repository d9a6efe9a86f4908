"""The list of runs on narrow terminals."""

from __future__ import annotations

import itertools

import pytest

from framework.report.changed import changed_of, changed_text, short_keys
from framework.report.runs import RunRow, print_runs

RECIPES = ("text_generation_stateless", "translation_cross_attention", "captioning_flickr8k", "a-recipe-of-my-own")
STATUSES = ("finished", "failed", "pruned", "stopped", "killed", "running", "unreadable")
NAMES = ("torch-13b42a38", "tensorflow-13b42a38-2", "the-run-that-I-called-by-a-very-long-name-with_no_end-in_sight_at_all")


def mixed() -> list[RunRow]:
    """Thirty runs of several recipes, ended in every way."""
    rows = []
    for number, (status, name) in zip(range(30), itertools.cycle(itertools.product(STATUSES, NAMES)), strict=False):
        differs = {
            "model.layers.gru.units": 1024 if number % 2 else 512,
            "optimizer.learning_rate": 0.0012345678 * number,
            "data.path": "/home/someone/texts/" + "a_long_folder/" * 4,
            "model.layers.encoder.units": "(not set)" if number % 3 else 256,
            **{f"data.features.setting_{place}": place for place in range(number)},
        }
        rows.append(
            RunRow(
                RECIPES[number * len(RECIPES) // 30], f"{name}-{number}", "/x", status, "torch", epochs=number, max_epochs=100,
                loss=4.1234, val_loss=None if number % 4 else 14.5, seconds=number * 5000.0, bytes=10 ** (number % 12), differs=differs,
            )
        )  # fmt: skip
    return rows


@pytest.mark.parametrize("width", [80, 100, 120])
def test_every_run_is_readable_on_a_narrow_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    rows = mixed()
    print_runs(rows)
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines) <= width
    assert lines[0].split() == ["run", "status", "epochs", "loss", "val_loss", "time", "size"]
    assert [line for line in lines if line.endswith("/") and not line.startswith(" ")] == [f"{recipe}/" for recipe in RECIPES]
    place = lines[0].index("status")
    heads = [number for number, line in enumerate(lines) if line[place:].split(" ")[0] in STATUSES and line[place - 1] == " "]
    assert len(heads) == 30
    for row, head, after in zip(rows, heads, [*heads[1:], len(lines)], strict=True):
        assert lines[head][place:].split()[:3] == [row.status, f"{row.epochs}/100", "4.1234"]
        assert lines[head][:place].strip() == row.name or (lines[head - 1] == f"  {row.name}" and not lines[head][:place].strip())
        below = [line for line in lines[head + 1 : after] if line.startswith(" " * 6) and line.strip()]
        assert 1 <= len(below) <= 2 and "units=" in below[0] and "(not set)" not in "".join(below)
    assert "path=…" in "".join(lines)
    assert any("more: --json" in line for line in lines)


def test_with_room_a_run_has_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "2000")
    print_runs(mixed())
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 31
    assert "model.layers.gru.units=512" in lines[1]


def test_keys_are_shown_by_the_end_that_is_theirs_alone() -> None:
    keys = ["model.layers.gru.units", "model.layers.encoder.units", "optimizer.learning_rate", "units", "model", "data.model"]
    assert list(short_keys(keys).values()) == ["gru.units", "encoder.units", "learning_rate", "units", "model", "data.model"]
    assert changed_text({"a.b": 0.00123456789, "a.c": None, "d": True, "e": "1.2.3.4.5.6"}) == "b=0.001235, c=null, d=true, e=1.2.3.4.5.6"
    assert changed_text(changed_of(["+a.b=x=y", "~c.d"])) == "b=x=y, d"
