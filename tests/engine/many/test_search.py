"""Searches with Optuna: interrupted at any moment, they suggest the same; bad trials are pruned from inside; nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from framework.config.jobs import JobOutcome
from framework.config.search_space import Dimension
from framework.engine.many.jobs import jobs_of_search
from framework.engine.many.search import JOURNAL, SETTINGS, OptunaSearch, best_value, metric_of, pruning
from framework.engine.run.recorder import Recorder
from framework.errors import RunError
from framework.report.search import SearchTrial
from framework.spec.search import SearchSpec

SPACE = [Dimension("x", "float", low=-2.0, high=2.0), Dimension("++k", "int", low=1, high=9, step=2), Dimension("c", "choice", ("a", "b"))]


def measured(folder: Path, words: tuple[str, ...], epochs: int = 2) -> dict[str, str]:
    """A run's folder that a trial might have left; its loss is smallest at x = 1."""
    values = dict(word.lstrip("+").split("=") for word in words)
    run = folder / "runs" / "-".join(values.values())
    run.mkdir(parents=True)
    recorder = Recorder(run / "metrics.jsonl")
    for epoch in range(1, epochs + 1):
        recorder.record(epoch * 10, epoch, {"epoch/loss": (float(values["x"]) - 1) ** 2 + 1 / epoch, "epoch/val_loss": float(values["k"])})
    recorder.close()
    return {"run": str(run), "status": "finished"}


def run_all(folder: Path, spec: SearchSpec, restart_after: int | None = None) -> list[SearchTrial]:
    """Runs a search; where wanted, it is killed while every so many trials run, and begun again."""
    search, done = OptunaSearch(folder, spec, SPACE), 0
    while trials := search.ask(1):
        done += 1
        if restart_after is not None and done % restart_after == 0:
            search = OptunaSearch(folder, spec, SPACE)
            [again] = search.ask(1)
            assert again == trials[0]
        search.tell(JobOutcome(trials[0].number, (), trials[0].words, value=measured(folder, trials[0].words)))
    search.report()
    return search.trials()


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_an_interrupted_search_is_the_undisturbed_one(sampler: Any, tmp_path: Path) -> None:
    spec = SearchSpec(n_trials=12, sampler=sampler, n_startup_trials=4, metric="epoch/loss")
    expected = run_all(tmp_path / "one", spec)
    found = run_all(tmp_path / "two", spec, restart_after=2)
    assert [(trial.values, trial.value) for trial in found] == [(trial.values, trial.value) for trial in expected]
    assert len(found) == 12
    assert {trial.state for trial in found} == {"complete"}
    assert all(trial.run and Path(trial.run).is_dir() for trial in found)


def test_more_trials_go_on_and_a_finished_search_has_nothing_to_do(tmp_path: Path) -> None:
    run_all(tmp_path, SearchSpec(n_trials=3, metric="epoch/loss"))
    assert OptunaSearch(tmp_path, SearchSpec(n_trials=3, metric="epoch/loss"), SPACE).ask(4) == []
    assert [one.number for one in OptunaSearch(tmp_path, SearchSpec(n_trials=9, metric="epoch/loss"), SPACE).ask(4)] == [3, 4, 5, 6]


def test_tpe_finds_the_smallest_value(tmp_path: Path) -> None:
    spec = SearchSpec(n_trials=30, metric="epoch/loss")
    best = jobs_of_search(tmp_path, run_all(tmp_path, spec), spec).best
    assert best is not None
    assert best.value is not None and best.value < 0.6  # 0.5 at x = 1


def test_every_choice_of_a_grid_is_tried_once(tmp_path: Path) -> None:
    space = SPACE[1:]
    search = OptunaSearch(tmp_path, SearchSpec(n_trials=10, sampler="grid"), space)
    words = {one.words for one in search.ask(10)}
    assert words == {(f"++k={k}", f"c={c}") for k in (1, 3, 5, 7, 9) for c in "ab"}
    with pytest.raises(RunError, match="grid needs choices or ranges; x is an interval"):
        OptunaSearch(tmp_path / "other", SearchSpec(sampler="grid"), SPACE).ask(1)


def test_a_grid_ends_when_all_of_it_was_tried(tmp_path: Path) -> None:
    search, found = OptunaSearch(tmp_path, SearchSpec(n_trials=30, sampler="grid", metric="epoch/val_loss"), SPACE[1:]), []
    while trials := search.ask(3):
        for trial in trials:
            found.append(trial.words)
            search.tell(JobOutcome(trial.number, (), trial.words, value=measured(tmp_path, ("x=0", *trial.words))))
    assert len(found) == len(set(found)) == 10
    assert {one.state for one in search.trials()} == {"complete"}


def test_trials_that_fail_or_measure_nothing_are_failed_trials(tmp_path: Path) -> None:
    search = OptunaSearch(tmp_path, SearchSpec(n_trials=3), SPACE)
    failing, empty, good = search.ask(3)
    search.tell(JobOutcome(failing.number, (), failing.words, 1, "the loss is nan"))
    search.tell(JobOutcome(empty.number, (), empty.words, value={"run": str(tmp_path / "nothing"), "status": "finished"}))
    search.tell(JobOutcome(good.number, (), good.words, value=measured(tmp_path, good.words)))
    search.report()
    trials = json.loads((tmp_path / "trials.json").read_text())
    assert [(one["state"], one["error"]) for one in trials] == [("fail", "the loss is nan"), ("fail", None), ("complete", None)]
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {"history.png", "parallel.png"}


def test_a_line_cut_short_by_a_kill_is_taken_off(tmp_path: Path) -> None:
    spec = SearchSpec(n_trials=4, metric="epoch/loss")
    run_all(tmp_path, spec)
    journal = tmp_path / JOURNAL
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines()[-1][:17])
    assert len(OptunaSearch(tmp_path, spec, SPACE).trials()) == 4
    assert journal.read_bytes().startswith(whole)
    assert all(json.loads(line) for line in journal.read_bytes().splitlines())


def test_another_space_or_metric_is_refused(tmp_path: Path) -> None:
    OptunaSearch(tmp_path, SearchSpec(), SPACE)
    with pytest.raises(RunError, match="a search with another the search space; remove that folder"):
        OptunaSearch(tmp_path, SearchSpec(), SPACE[:2])
    with pytest.raises(RunError, match="a search with another metric and direction"):
        OptunaSearch(tmp_path, SearchSpec(metric="epoch/loss", direction="maximize"), SPACE)


def test_a_trial_worse_than_the_others_is_pruned(tmp_path: Path) -> None:
    spec = SearchSpec(n_trials=4, pruner="median", pruner_startup_trials=2, pruner_warmup_epochs=1)
    search = OptunaSearch(tmp_path, spec, SPACE)
    for trial in search.ask(2):
        prune = pruning(tmp_path, trial.number)
        assert prune is not None
        assert not any(prune(epoch, {"epoch/loss": 2.0 - epoch / 10}) for epoch in range(1, 4))
        search.tell(JobOutcome(trial.number, (), trial.words, value=measured(tmp_path, trial.words)))
    bad, good = search.ask(2)
    prune = pruning(tmp_path, bad.number)
    assert prune is not None
    assert [prune(1, {"epoch/loss": 9.0}), prune(2, {"epoch/loss": 9.0})] == [False, True]  # none in the first epoch
    again = pruning(tmp_path, bad.number)
    assert again is not None
    assert again(2, {"epoch/loss": 9.0}), "told twice, as a run that was gone on with does"
    search.tell(JobOutcome(bad.number, (), bad.words, value={**measured(tmp_path, bad.words), "status": "pruned"}))
    keep = pruning(tmp_path, good.number)
    assert keep is not None
    assert not any(keep(epoch, {"epoch/loss": 0.1}) for epoch in (1, 2))
    assert [trial.state for trial in search.trials()] == ["complete", "complete", "pruned", "running"]
    assert search.trials()[2].epochs == 2


def test_outside_a_search_nothing_is_pruned(tmp_path: Path) -> None:
    assert pruning(tmp_path, 0) is None
    search = OptunaSearch(tmp_path, SearchSpec(pruner="none"), SPACE)
    assert pruning(tmp_path, search.ask(1)[0].number) is None


def test_the_value_that_is_sought_for() -> None:
    assert metric_of({"epoch/loss": 1.0, "epoch/val_loss": 2.0}, "auto") == 2.0
    assert metric_of({"epoch/loss": 1.0}, "auto") == 1.0
    assert metric_of({"epoch/loss": 1.0}, "epoch/bits_per_character") is None


def test_the_best_value_of_a_run(tmp_path: Path) -> None:
    run = Path(measured(tmp_path, ("x=1", "k=3", "c=a"), epochs=4)["run"])
    assert best_value(run, SearchSpec(metric="epoch/loss")) == 0.25
    assert best_value(run, SearchSpec(metric="epoch/loss", direction="maximize")) == 1.0
    assert best_value(run, SearchSpec(metric="epoch/nothing")) is None


def test_the_trials_come_out_as_the_search_saw_them(tmp_path: Path) -> None:
    good = measured(tmp_path, ("x=1", "k=3", "c=a"), epochs=4)["run"]
    trials = [
        SearchTrial(0, {"a": "1"}, "complete", 3.0),
        SearchTrial(1, {"a": "2"}, "pruned", run=measured(tmp_path, ("x=0", "k=5", "c=b"))["run"]),
        SearchTrial(2, {"a": "3"}, "complete", 0.25, run=good),
        SearchTrial(3, {"a": "4"}, "fail", error="the loss is nan"),
        SearchTrial(4, {"a": "5"}, "running"),
    ]
    jobs = jobs_of_search(tmp_path, trials, SearchSpec(metric="epoch/loss"))
    assert [row.job for row in jobs.ranked] == [2, 0, 1, 3, 4]
    assert [row.status for row in jobs.rows] == ["finished", "pruned", "finished", "failed", "unfinished"]
    assert jobs.best_text == "trial 2, a=3: loss 0.2500 at epoch 4"
    assert (jobs.rows[1].value, jobs.rows[3].error) == (1.5, "the loss is nan"), "of a pruned one, what it had reached"
    highest = jobs_of_search(tmp_path, trials, SearchSpec(metric="epoch/loss", direction="maximize"))
    assert highest.best is not None and highest.best.job == 0
    assert jobs_of_search(tmp_path, trials, SearchSpec()).metric == "val_loss"


def gatework(folder: Path, *words: str) -> subprocess.Popen[str]:
    overrides = ["recipe=text_generation", "data=python_source", "debug=small", "model.layers.gru.units=8", "trainer.max_epochs=3"]
    overrides += ["data.validation_fraction=0.1", "tracking=none", "sweep=optuna", "hydra.sweeper.n_trials=3", *words]
    command = [sys.executable, "-m", "framework", "train", *overrides]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
@pytest.mark.torch
def test_a_search_that_prunes_as_a_user_starts_it(tmp_path: Path) -> None:
    """The pruner waits for one trial; a learning rate of nothing is worse than that one from the second epoch on."""
    words = ["optimizer.learning_rate=choice(0.01,1e-9)", "hydra.sweeper.sampler=grid", "hydra.sweeper.n_trials=2"]
    words += ["hydra.sweeper.pruner_startup_trials=1"]
    out, _ = gatework(tmp_path, *words).communicate(timeout=300)
    [folder] = (tmp_path / "runs" / ".multirun").iterdir()
    trials = {one["values"]["optimizer.learning_rate"]: one for one in json.loads((folder / "trials.json").read_text())}
    assert trials["0.01"]["state"] == "complete", out
    if trials["0.01"]["number"] == 0:
        assert trials["1e-09"]["state"] == "pruned"
        assert "pruned after epoch 2: other trials were better by then" in out
    assert "Best: trial" in (folder / "report.md").read_text()
    assert f"best: trial {trials['0.01']['number']}, learning_rate=0.01: val_loss" in out
    assert (tmp_path / "runs" / "last").read_text().strip() == "/".join(Path(trials["0.01"]["run"]).parts[-2:])
    run = json.loads((Path(trials["0.01"]["run"]) / "run.json").read_text())
    assert trials["0.01"]["value"] == run["best"]


@pytest.mark.slow
@pytest.mark.torch
def test_a_killed_search_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    out, _ = gatework(tmp_path / "whole").communicate(timeout=600)
    for moment in (6.0, 11.0, 17.0):
        process = gatework(tmp_path / "killed")
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        time.sleep(3.0)  # the job sees that its launcher is gone, and stops
    out, _ = gatework(tmp_path / "killed").communicate(timeout=600)
    found = {}
    for name in ("whole", "killed"):
        [folder] = (tmp_path / name / "runs" / ".multirun").iterdir()
        found[name] = [(one["values"], one["state"], one["value"]) for one in json.loads((folder / "trials.json").read_text())]
    assert found["killed"] == found["whole"], out
    assert len(found["whole"]) == 3


HOLDING = """
import os, signal, sys
from pathlib import Path
from framework.config.search_space import Dimension
from framework.engine.many.jobs import jobs_of_search
from framework.engine.many.search import OptunaSearch
from framework.spec.search import SearchSpec
search = OptunaSearch(Path(sys.argv[1]), SearchSpec(n_trials=3), [Dimension("x", "float", low=-2.0, high=2.0)])
search._study._storage._backend._lock.acquire()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_within_the_journal_makes_nobody_wait_and_leaves_no_link(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", HOLDING, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    started = time.monotonic()
    search = OptunaSearch(tmp_path, SearchSpec(n_trials=3), [Dimension("x", "float", low=-2.0, high=2.0)])
    assert len(search.ask(1)) == 1
    assert time.monotonic() - started < 15
    assert not [path for path in tmp_path.iterdir() if path.is_symlink()]


@pytest.mark.parametrize("content", [b"[]", b'{"spec": 3}', b'{"spec": {"metric": 1}}', b"\xff", b"[" * 50_000])
def test_damaged_settings_are_named(content: bytes, tmp_path: Path) -> None:
    run_all(tmp_path, SearchSpec(n_trials=1))
    (tmp_path / SETTINGS).write_bytes(content)
    with pytest.raises(RunError, match=r"search\.json"):
        OptunaSearch(tmp_path, SearchSpec(n_trials=2), SPACE)
    with pytest.raises(RunError, match=r"search\.json"):
        pruning(tmp_path, 0)


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    run_all(tmp_path, SearchSpec(n_trials=1))
    (tmp_path / JOURNAL).write_bytes(b'{"op_code": "x"}\n')
    with pytest.raises(RunError, match=r"cannot read .*study\.journal.*remove .* to begin the search anew"):
        OptunaSearch(tmp_path, SearchSpec(n_trials=2), SPACE)
