"""A multirun is one run with a child for each job, whichever launcher runs the jobs."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tracking.fake_store import FakeStore
from tracking.run_on_disk import RunOnDisk

from framework.cli.train import job_title
from framework.config.compose import compose
from framework.config.jobs import Job, JobOutcome
from framework.engine.many.multirun import record_multirun
from framework.errors import RunError
from framework.tracking import follow
from framework.tracking.note import Note
from framework.tracking.outbox import MULTIRUN, Outbox
from framework.tracking.sync import PARENT, sync

OVERRIDES = ["recipe=text_generation", "seed=1,2"]


def job(composed: Any) -> str | None:
    return os.environ.get(PARENT)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """What MLflow would be told of the end of multiruns."""
    found: list[tuple[str, str | None]] = []

    def follower(folder: Path, *words: Any) -> Any:
        box = Outbox(folder)
        assert not box.is_trained
        box.settle()
        found.append((box.note.get("ended")["status"], box.note.get("ended").get("error")))
        return SimpleNamespace(wait=lambda: None)

    monkeypatch.setattr(follow, "Follower", follower)
    return found


def run(runs_dir: Path, run_jobs: Callable[[Job], list[JobOutcome]], recorded: bool = True) -> list[JobOutcome]:
    def with_a_recorded_job(work: Job, open_search: object) -> list[JobOutcome]:
        if recorded:
            [folder] = (runs_dir / ".multirun").iterdir()
            Note(folder).update(uri="http://server", run_id="1", status="running")
        return run_jobs(work)

    return record_multirun(runs_dir, OVERRIDES, job, with_a_recorded_job, pytest.fail)


def test_every_job_knows_its_multirun_also_in_another_process(tmp_path: Path, ends: list[tuple[str, str | None]]) -> None:
    parents: list[object] = []

    def run_jobs(work: Job) -> list[JobOutcome]:
        parents.extend([work(None), pickle.loads(pickle.dumps(work))(None)])  # type: ignore[arg-type]
        return [JobOutcome(0, (), ("seed=1",)), JobOutcome(1, (), ("seed=2",))]

    run(tmp_path, run_jobs)
    [folder] = (tmp_path / ".multirun").iterdir()
    assert parents == [str(folder)] * 2
    assert PARENT not in os.environ
    assert json.loads((folder / MULTIRUN).read_text())["title"] == "multirun seed=1,2"
    assert [row["overrides"] for row in json.loads((folder / "jobs.json").read_text())] == [["seed=1"], ["seed=2"]]
    assert "| 1 | `seed=2` |  |  | finished |" in (folder / "report.md").read_text()
    assert ends == [("finished", None)]
    run(tmp_path, run_jobs)  # the same again goes on with the same one
    assert list((tmp_path / ".multirun").iterdir()) == [folder]
    assert Note(folder).get("ended")["status"] == "finished"


def test_its_end_says_how_the_jobs_ended(tmp_path: Path, ends: list[tuple[str, str | None]]) -> None:
    def one_fails(work: Job) -> list[JobOutcome]:
        return [JobOutcome(0, (), ("seed=1",), 1, "the loss is nan"), JobOutcome(1, (), ("seed=2",))]

    def interrupted(work: Job) -> list[JobOutcome]:
        raise KeyboardInterrupt

    def broken(work: Job) -> list[JobOutcome]:
        raise RunError("no launcher")

    run(tmp_path, one_fails)
    [folder] = (tmp_path / ".multirun").iterdir()
    record = json.loads((folder / MULTIRUN).read_text())
    assert (record["status"], record["jobs"]) == ("finished", {"failed": 1, "finished": 1})
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, interrupted)
    with pytest.raises(RunError):
        run(tmp_path, broken)
    assert ends == [("finished", "1 of 2 jobs failed"), ("killed", "KeyboardInterrupt: "), ("failed", "RunError: no launcher")]


def test_its_title_is_whole_and_no_longer_than_a_store_keeps(tmp_path: Path, ends: list[tuple[str, str | None]]) -> None:
    def title(*overrides: str) -> str:
        record_multirun(tmp_path / str(len(overrides)), overrides, job, lambda work, open_search: [], pytest.fail)
        [record] = (tmp_path / str(len(overrides)) / ".multirun").glob(f"*/{MULTIRUN}")
        return str(json.loads(record.read_text())["title"])

    long = "model.layers.a_layer_with_a_name.units=" + ",".join(map(str, range(1000, 1020)))
    assert len(long) > 100
    assert title("recipe=text_generation", long) == f"multirun {long}"
    assert title("recipe=text_generation", long, f"{long},1") == ("multirun units=" + ",".join(map(str, range(1000, 1020))) + ",1"), (
        "of a key given twice the last word counts"
    )
    many = [f"model.layers.layer_{number}.recurrent_initializer=zeros,ones" for number in range(9)]
    assert len(found := title(*many)) <= 250
    assert found.startswith("multirun layer_0.recurrent_initializer=zeros,ones, layer_1.") and found.endswith(" …")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("model.layers.gru.units=8", "optimizer.learning_rate=0.0034127881"), "units=8, learning_rate=0.003413"),
        (("model.layers.gru.units=8", "model.layers.embedding.output_dim=4", "backend=torch"), "units=8, output_dim=4, backend=torch"),
        (("model.layers.gru.dropout=0.5", "model.layers.gru.recurrent_dropout=0"), "dropout=0.5, recurrent_dropout=0"),
        (("model.layers.gru.trainable=true", "model.layers.embedding.trainable=false"), "gru.trainable=true, embedding.trainable=false"),
    ],
)
def test_a_job_is_named_by_what_sets_it_apart(words: tuple[str, ...], name: str) -> None:
    overrides = ("recipe=text_generation", "seed=3")
    assert job_title(compose([*overrides, *words], swept=words, job=0)) == name
    assert job_title(compose([*overrides, *words])) is None


def test_where_no_job_is_recorded_nothing_is_delivered(tmp_path: Path, ends: list[tuple[str, str | None]]) -> None:
    run(tmp_path, lambda work: [], recorded=False)
    assert ends == []


def test_the_same_multirun_does_not_run_twice_at_a_time(tmp_path: Path, ends: list[tuple[str, str | None]]) -> None:
    def again(work: Job) -> list[JobOutcome]:
        with pytest.raises(RunError, match="this multirun is running already"):
            run(tmp_path, lambda work: [])
        return []

    run(tmp_path, again)


def test_a_job_that_ends_before_its_follower_has_begun_is_a_child_all_the_same(
    new_run: Callable[..., RunOnDisk], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, store = tmp_path / "runs" / ".multirun" / "abcd", FakeStore()
    parent.mkdir(parents=True)
    (parent / MULTIRUN).write_text('{"title": "multirun seed=1,2", "status": "running"}')
    monkeypatch.setenv(PARENT, str(parent))
    monkeypatch.setattr(Outbox, "open_store", lambda *words: store)
    job = new_run()
    job.update(status="failed", error="the loss is nan", ended=1_700_000_050.0, title="seed=1")
    job.recorder.record(9, 1, {"epoch/perplexity": 3.0, "epoch/val_perplexity": 4.0})
    job.recorder.close()
    done = sync(job.path, "http://server", follow=True)
    assert (done.trouble, done.status) == (None, "failed")
    [parent_id] = [name for name, one in store.all_runs.items() if one.name == "multirun seed=1,2"]
    [child] = [one for one in store.all_runs.values() if one.tags.get("mlflow.parentRunId") == parent_id]
    assert child.name == "seed=1", "what sets it apart from the other jobs"
    assert {value.name: value.value for value in child.values if value.name.startswith("epoch/")} == {
        "epoch/perplexity": 3.0,
        "epoch/val_perplexity": 4.0,
    }
    assert store.all_runs[parent_id].status == "running"


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("launcher", ["basic", "process", "joblib"])
def test_parent_and_children_with_a_real_launcher(launcher: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    words = ["train", "-m", "recipe=text_generation", "data=python_source", "debug=small", f"hydra/launcher={launcher}"]
    words += ["model.layers.gru.units=8,16", "trainer.max_epochs=1", "tracking.tags.team=alpha"]
    words += ["hydra.launcher.n_jobs=2"] if launcher != "basic" else []
    command = [sys.executable, "-m", "framework", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout
    store = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = store.get_experiment_by_name("text_generation")
    runs = store.search_runs([experiment.experiment_id])
    assert len(runs) == 3
    assert {one.info.status for one in runs} == {"FINISHED"}
    [parent] = [one for one in runs if one.info.run_name.startswith("multirun ")]
    children = [one for one in runs if one.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert sorted(one.data.params["model.layers.gru.units"] for one in children) == ["16", "8"]
    assert sorted(one.info.run_name for one in children) == ["units=16", "units=8"]
    assert parent.data.metrics["jobs/finished"] == 2
    assert parent.data.metrics["best/loss"] == min(one.data.metrics["epoch/loss"] for one in children)
    assert {info.path for info in store.list_artifacts(parent.info.run_id)} == {"jobs.json", "report.md"}
    [folder] = (tmp_path / "runs" / ".multirun").iterdir()
    jobs = json.loads((folder / "jobs.json").read_text())
    assert {job["mlflow_run"] for job in jobs} == {one.info.run_id for one in children}
    for one in children:
        [losses] = [job["loss"] for job in jobs if job["mlflow_run"] == one.info.run_id]
        assert one.data.metrics["epoch/loss"] == losses
