"""What the jobs of a multirun came to: the table, the best one, how to use it, and what MLflow's parent is given."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from tracking.fake_store import FakeStore
from tracking.run_on_disk import RECIPE, RunOnDisk

import framework
from framework.cli.ended import end_lines, tell_end
from framework.config.jobs import Job, JobOutcome
from framework.console import COMMAND
from framework.engine.many import multirun
from framework.engine.many.jobs import METRICS, jobs_of_outcomes, runs_of_multirun, write_jobs
from framework.engine.many.multirun import record_multirun
from framework.errors import RunError
from framework.report.jobs import Jobs
from framework.tracking.outbox import MULTIRUN, Outbox


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(name: str, *losses: tuple[float, float | None], status: str = "finished", overrides: tuple[str, ...] = ()) -> Path:
    """A run's folder with an epoch for each pair of losses."""
    run = RunOnDisk(Path("runs").absolute() / "text_generation" / name, framework.load("text_generation", overrides=[*RECIPE, *overrides]))
    for epoch, (loss, val_loss) in enumerate(losses, start=1):
        measured = {"epoch/loss": loss, "epoch/seconds": 2.0, "epoch/val_perplexity": 100 - loss}
        run.recorder.record(epoch, epoch, measured if val_loss is None else {**measured, "epoch/val_loss": val_loss})
    run.recorder.close()
    run.update(status=status, epochs=len(losses))
    return run.path


def outcome(number: int, run: Path | None, *swept: str, message: str | None = None) -> JobOutcome:
    value = None if run is None else {"run": str(run), "status": "finished"}
    return JobOutcome(number, (), swept, 1 if message else 0, message, value)


def test_the_best_is_the_one_whose_best_epoch_is_the_best() -> None:
    one = trained("one", (3.0, 2.9), (2.0, 2.1), (1.0, 2.8))
    two = trained("two", (2.5, 2.6), (2.4, 2.5))
    worst_pruned = trained("three", (0.1, 0.1), status="pruned")
    jobs = jobs_of_outcomes(
        [
            outcome(0, two, "model.layers.gru.units=8", "optimizer.learning_rate=0.01"),
            outcome(1, one, "model.layers.gru.units=16", "optimizer.learning_rate=0.01"),
            outcome(2, None, "model.layers.gru.units=32", "optimizer.learning_rate=0.01", message="the loss is nan\n    hint: less"),
            outcome(3, worst_pruned, "model.layers.gru.units=64", "optimizer.learning_rate=0.01"),
        ]
    )
    assert jobs.metric == "val_loss"
    assert jobs.best_text == "job 1, units=16, learning_rate=0.01: val_loss 2.1000 at epoch 2"
    assert jobs.tally == "4 jobs: 2 finished, 1 failed, 1 pruned"
    assert [row.job for row in jobs.ranked] == [1, 0, 2, 3]


def test_runs_are_compared_by_what_all_of_them_have() -> None:
    monitored = "trainer.checkpoint.monitor=val_perplexity"
    one, two = trained("one", (3.0, 2.9)), trained("two", (2.0, None))
    jobs = jobs_of_outcomes([outcome(0, one, "seed=1"), outcome(1, two, "seed=2")])
    assert (jobs.metric, jobs.best and jobs.best.job) == ("loss", 1), "one of them validates nothing"
    held = [trained(name, (loss, 1.0), overrides=(monitored, "data.validation_fraction=0.1")) for name, loss in (("a", 3.0), ("b", 4.0))]
    jobs = jobs_of_outcomes([outcome(number, run, f"seed={number}") for number, run in enumerate(held)])
    assert (jobs.metric, jobs.best and jobs.best.run) == ("val_perplexity", "text_generation/b"), "100 - loss, the lowest"


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_is_whole_in_narrow_terminals(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    words = ("model.layers.gru.units=1024", "model.layers.encoder.units=512", "optimizer.learning_rate=0.0012345678")
    runs = [trained(f"tensorflow-a-name-that-one-gave-{number}", (4.0 - number, None)) for number in range(3)]
    jobs = jobs_of_outcomes([outcome(number, run, *words, f"seed={number}") for number, run in enumerate(runs)])
    tell_end(Path("runs/.multirun/abcd").absolute(), jobs)
    table = capsys.readouterr().out.split("\n\n")[0].strip("\n").splitlines()
    assert all(len(line) <= width for line in table)
    together = "".join(line.replace(" ", "") for line in table)
    assert table[0].split() == ["job", "what", "differs", "loss", "time", "status", "run"]
    assert [line.split()[0] for line in table if "finished" in line] == ["2", "1", "0"]
    assert "gru.units" in together and "0.001235" in together and "2.0000" in together
    assert not any(line.endswith("…") for line in table)


def test_what_is_said_under_the_table_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(COMMAND, raising=False)
    folder = Path("runs/.multirun/ab cd").absolute()
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "history.png").write_bytes(b"")
    jobs = jobs_of_outcomes([outcome(0, trained("my run", (2.0, None)), "seed=0"), outcome(1, trained("b", (3.0, None)), "seed=1")])
    assert list(end_lines(folder, jobs)) == [
        "2 jobs: 2 finished",
        "best: job 0, seed=0: loss 2.0000 at epoch 1",
        "    run      'runs/text_generation/my run'",
        "    use      gatework generate 'runs/text_generation/my run'",
        "    measure  gatework evaluate 'runs/text_generation/my run'",
        "compare: gatework compare 'runs/.multirun/ab cd'",
        "report: runs/.multirun/ab cd/report.md",
        "plots: runs/.multirun/ab cd/plots (history.png)",
    ]
    (folder / "tracking.json").write_text('{"uri": "http://me:secret@server:5000/", "experiment_id": "3", "run_id": "abc"}')
    assert list(end_lines(folder, jobs))[-1] == "MLflow: http://server:5000/#/experiments/3/runs/abc"
    (folder / "tracking.json").write_text('{"uri": "sqlite:////a b/mlflow.db", "run_id": "abc"}')
    python = shlex.quote(os.path.relpath(sys.executable) if Path(sys.executable).is_relative_to(Path.cwd()) else sys.executable)
    said = list(end_lines(folder, jobs))[-1]
    assert said == f"MLflow: run abc; to look at it: {python} -m mlflow ui --backend-store-uri 'sqlite:////a b/mlflow.db'"
    monkeypatch.setenv(COMMAND, "scripts/run")
    assert "    use      scripts/run generate 'runs/text_generation/my run'" in list(end_lines(folder, jobs))
    one_ran = jobs_of_outcomes([outcome(0, trained("b", (3.0, None)), "seed=0"), outcome(1, None, "seed=-1", message="wrong")])
    assert not any("compare" in line for line in end_lines(folder, one_ran)), "one run alone cannot be"
    assert list(end_lines(folder, Jobs([])))[:2] == ["0 jobs", "best: none has finished"]


@pytest.mark.parametrize(("recipe", "words"), [("translation", "translate {run} TEXT"), ("captioning_scenes", "caption {run} PHOTO")])
def test_each_task_is_used_by_its_own_verb(recipe: str, words: str) -> None:
    run = RunOnDisk(Path("runs").absolute() / recipe / "one", framework.load(recipe))
    run.recorder.record(1, 1, {"epoch/loss": 1.0})
    run.recorder.close()
    run.update(status="finished")
    lines = list(end_lines(Path("runs/.multirun/a").absolute(), jobs_of_outcomes([outcome(0, run.path, "seed=1")])))
    assert f"    use      gatework {words.format(run=f'runs/{recipe}/one')}" in lines


def finished_multirun(told: list[Jobs], *runs: Path) -> Path:
    """A multirun as `train -m` records it, whose jobs leave these runs."""

    def run_jobs(work: Job, open_search: object) -> list[JobOutcome]:
        return [outcome(number, run, f"seed={number}") for number, run in enumerate(runs)]

    record_multirun(Path("runs").absolute(), ["seed=0,1"], print, run_jobs, pytest.fail, told=lambda folder, jobs: told.append(jobs))
    [folder] = Path("runs/.multirun").absolute().iterdir()
    return folder


def test_the_same_again_says_the_same_and_keeps_when_it_began() -> None:
    told: list[Jobs] = []
    runs = [trained("one", (3.0, None)), trained("two", (2.0, None))]
    folder = finished_multirun(told, *runs)
    begun = json.loads((folder / MULTIRUN).read_text())["started"]
    finished_multirun(told, *runs)
    assert told[0] == told[1]
    record = json.loads((folder / MULTIRUN).read_text())
    assert (record["status"], record["jobs"], record["best"]) == ("finished", {"finished": 2}, "text_generation/two")
    assert record["started"] == begun
    assert [run.path for run in runs_of_multirun(folder)] == runs


def test_mlflows_parent_is_given_the_best_ones_figures_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store = FakeStore()
    monkeypatch.setattr(multirun, "deliver_end", lambda *words: None)
    told: list[Jobs] = []
    runs = [trained("one", (3.0, 3.5)), trained("two", (2.0, 2.5), (1.0, 2.75))]
    folder = finished_multirun(told, *runs)
    finished_multirun(told, *runs)

    def values() -> dict[str, list[Any]]:
        box = Outbox(folder, "http://server")
        box.settle()
        box.deliver(store)  # type: ignore[arg-type]
        return {name: [value.value for value in store.only_run().values if value.name == name] for name in NAMES}

    assert values() == {"jobs/all": [2.0], "jobs/finished": [2.0], "best/val_loss": [2.5], "best/loss": [2.0], "best/epoch": [1.0]}
    (runs[1] / "metrics.jsonl").unlink()
    finished_multirun(told, *runs)
    assert (values()["best/loss"], values()["best/val_loss"]) == ([2.0, 3.0], [2.5, 3.5]), "the other is the best now"


NAMES = ("jobs/all", "jobs/finished", "best/val_loss", "best/loss", "best/epoch")


def test_runs_of_a_multirun_that_was_moved_are_found_where_they_are_now() -> None:
    runs = [trained("one", (3.0, None)), trained("two", (2.0, None))]
    folder = finished_multirun([], *runs)
    (folder / "trials.json").write_text(json.dumps([{"run": str(runs[0])}, {"run": "/elsewhere/runs/text_generation/gone"}, {}]))
    Path("runs").rename("moved")
    moved = Path("moved").absolute()
    assert [run.path for run in runs_of_multirun(moved / ".multirun" / folder.name)] == [
        moved / "text_generation" / n for n in ("one", "two")
    ]
    (moved / ".multirun" / folder.name / "jobs.json").write_text('{"a": 1}')
    with pytest.raises(RunError, match=r"jobs\.json is damaged"):
        runs_of_multirun(moved / ".multirun" / folder.name)


def test_what_failed_once_and_not_again_counts_no_longer(tmp_path: Path) -> None:
    run = trained("one", (3.0, None))
    for last in (outcome(1, None, "seed=1", message="full disk"), *2 * (outcome(1, run, "seed=1"),)):
        write_jobs(tmp_path, jobs_of_outcomes([outcome(0, run, "seed=0"), last]))
    kept = [json.loads(line)["values"] for line in (tmp_path / METRICS).read_text().splitlines()]
    assert [(one["jobs/finished"], one["jobs/failed"]) for one in kept] == [(1, 1), (2, 0)]


def test_a_damaged_record_of_figures_is_no_reason_to_end(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_bytes(b"\xff\xff\n{}\n{")
    jobs = jobs_of_outcomes([outcome(0, trained("one", (3.0, None)), "seed=0")])
    write_jobs(tmp_path, jobs)
    assert "best/loss" in (tmp_path / METRICS).read_text(errors="replace")
