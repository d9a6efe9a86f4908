"""`gatework compare`: in what runs differ, what they came to, and their curves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tracking.run_on_disk import RECIPE, RunOnDisk

import framework
from framework.cli.main import main
from framework.tracking.outbox import MULTIRUN

LOSSES = {"one": [(3.0, 3.1), (2.0, 2.2), (1.5, 2.4)], "two": [(2.5, 2.6), (2.25, 2.125)]}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def new_run(name: str, *overrides: str, recipe: str = "text_generation", status: str = "finished", validated: bool = True) -> RunOnDisk:
    run = RunOnDisk(Path("runs").absolute() / recipe / name, framework.load("text_generation", overrides=[*RECIPE, *overrides]))
    for epoch, (loss, val_loss) in enumerate(LOSSES.get(name, ()), start=1):
        values = {"epoch/loss": loss, "epoch/seconds": 2.0, "epoch/tokens": 99.0, "epoch/perplexity": 2 * loss}
        run.recorder.record(10 * epoch, epoch, {**values, "epoch/val_loss": val_loss} if validated else values)
    run.recorder.close()
    run.update(status=status, epochs=len(LOSSES.get(name, ())))
    return run


def compared(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["compare", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def cells(out: str) -> dict[str, list[str]]:
    """The cells of each line by its first one."""
    rows = ([cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.splitlines())
    return {first: rest for first, *rest in filter(None, rows)}


def test_two_runs_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    new_run("one", "seed=1")
    new_run("two", "seed=1", "model.layers.gru.units=16", "trainer.max_epochs=2")
    code, out, err = compared(capsys, "one", "two")
    assert (code, err) == (0, "")
    found = cells(out)
    assert found["model.layers.gru.units"] == ["8", "16"]
    assert "seed" not in found and "name" not in found
    assert found["status"] == ["finished", "finished"]
    assert found["best val_loss"] == ["2.2000 at 2", "2.1250 at 2"]
    assert (found["loss"], found["val_loss"], found["perplexity"]) == (["1.50", "2.25"], ["2.40", "2.125"], ["3", "4.50"])
    assert "tokens" not in found
    assert "best: text_generation/two: val_loss 2.1250 at epoch 2\ncurves: runs/compare.png\n" in out
    assert Path("runs/compare.png").read_bytes()[:4] == b"\x89PNG"


def test_the_picture_has_a_curve_for_each_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from framework.report import compare

    drawn: list[object] = []
    monkeypatch.setattr(compare, "plot_curves", lambda path, curves, *words, **options: drawn.extend([path, dict(curves)]))
    new_run("one", "seed=1")
    new_run("two", "seed=2")
    assert compared(capsys, "one", "two", "--plot", "a.png")[0] == 0
    curves = {"seed=1 (one)": [(1.0, 3.1), (2.0, 2.2), (3.0, 2.4)], "seed=2 (two)": [(1.0, 2.6), (2.0, 2.125)]}
    assert drawn == [Path("a.png"), curves]


@pytest.mark.parametrize("width", [60, 80])
def test_many_runs_have_a_row_each(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for number in range(8):
        name = f"torch-with-a-long-name-{number}"
        LOSSES[name] = [(3.0 - number / 4, 3.5 - number / 4)]
        new_run(name, f"seed={number}", f"optimizer.learning_rate=0.00{number + 1}")
    code, out, _ = compared(capsys, *(f"torch-with-a-long-name-{number}" for number in range(8)))
    assert code == 0
    assert all(len(line) <= width for line in out.splitlines() if not line.startswith(("best", "curves", "note")))
    rows = [line for line in out.splitlines() if line.startswith("torch-")]
    assert len(rows) == 8 and all(f"{3.5 - number / 4:.4f} at 1" in row for number, row in enumerate(rows))
    assert "seed=3" in out and "more figures" in out


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    new_run("one", "seed=1")
    new_run("two", "seed=2", status="pruned")
    code, out, _ = compared(capsys, "one", "two", "--json")
    found = json.loads(out)
    assert (code, found["metric"], found["best"]) == (0, "val_loss", "text_generation/two")
    one, two = found["runs"]
    assert (one["differs"], two["differs"]) == ({"seed": 1}, {"seed": 2})
    assert (two["status"], two["final"]["loss"], two["best"], two["best_epoch"], two["parameters"]) == ("pruned", 2.25, 2.125, 2, 4321)
    assert one["curves"]["val_loss"] == [[1.0, 3.1], [2.0, 2.2], [3.0, 2.4]]
    assert not list(Path().rglob("*.png")), "drawn only where asked"
    assert compared(capsys, "one", "two", "--json", "--plot", "x.png")[0] == 0
    assert Path("x.png").is_file()


def test_a_multirun_stands_for_its_runs(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        new_run(name, f"seed={len(name) + ord(name[0])}")
    new_run("other")
    folder = Path("runs/.multirun/abcd")
    folder.mkdir(parents=True)
    (folder / MULTIRUN).write_text('{"status": "finished"}')
    jobs = [{"job": 0, "run": "text_generation/two"}, {"job": 1, "status": "failed"}, {"job": 2, "run": "text_generation/one"}]
    (folder / "jobs.json").write_text(json.dumps(jobs))
    code, out, _ = compared(capsys, str(folder))
    assert code == 0 and "two" in out and "one" in out and "other" not in out
    assert out.endswith(f"curves: {folder / 'plots' / 'compare.png'}\n")
    assert [one["name"] for one in json.loads(compared(capsys, str(folder), "other", "one", "--json")[1])["runs"]] == [
        "two",
        "one",
        "other",
    ]


def test_runs_of_several_recipes_and_unfinished_ones_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    new_run("one", "seed=1")
    new_run("two", "seed=1", recipe="other", status="failed", validated=False)
    new_run("begun", "seed=1", status="stopped")
    code, out, err = compared(capsys, "one", "two", "begun", "--no-plot")
    assert (code, err) == (0, "")
    assert "note: these runs are of several recipes; figures of different data cannot be compared" in out
    assert "note: other/two is failed: its figures are those of epoch 2" in out
    assert "note: text_generation/begun is stopped: its figures are those of no epoch: it has none yet" in out
    assert "best: text_generation/one: loss 1.5000 at epoch 3" in out, "the loss that all have"
    new_run("empty", "seed=2", status="stopped")
    code, _, err = compared(capsys, "begun", "empty")
    assert code == 0 and "there is no curve to draw" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["one"], ["only text_generation/one is named; a comparison needs two runs", "other runs there: text_generation/two"]),
        (["one", "one"], ["only text_generation/one is named"]),
        (["one", "tow"], ["no run 'tow'", "did you mean two?"]),
        (["one", "two", "--plot", "x.jpg"], ["--plot x.jpg: expected a file that ends in .png"]),
        (["one", "two", "--plot", "x.png", "--no-plot"], ["--plot and --no-plot are both given"]),
        (["runs/.multirun/empty"], ["runs/.multirun/empty has no run yet"]),
        (["one", "runs/.multirun/damaged"], ["jobs.json is damaged"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_compared_gets_one_clear_message(words: list[str], says: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    new_run("one", "seed=1")
    new_run("two", "seed=2")
    for name in ("empty", "damaged"):
        folder = Path("runs/.multirun") / name
        folder.mkdir(parents=True)
        (folder / MULTIRUN).write_text("{}")
    (folder / "jobs.json").write_text("3")
    code, _, err = compared(capsys, *words)
    assert code in (1, 2) and err.startswith("error: ") and len(err.splitlines()) == 1
    for text in says:
        assert text in err


def test_settings_that_are_no_settings_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    for name, settings in (("one", {"trainer": {"checkpoint": {"monitor": [3]}}, "task": 3}), ("two", {"task": {"kind": ["x"]}})):
        new_run(name).update(settings=settings)
    code, out, err = compared(capsys, "one", "two", "--no-plot")
    assert (code, err) == (0, "") and "best val_loss" in out


def test_a_run_that_cannot_be_read_hides_nothing_of_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    new_run("one", "seed=1")
    (new_run("two", "seed=2").path / "run.json").write_text("{")
    code, out, err = compared(capsys, "one", "two", "--no-plot")
    assert code == 0 and "unreadable" in out and "1.50" in out and "warning: run text_generation/two" in err
