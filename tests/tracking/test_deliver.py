"""The process that delivers, on a database file: it outlives a killed run, and never holds a run up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tracking.mlflow_server import read_back, wait_until
from tracking.run_on_disk import RunOnDisk, training

from framework.tracking import follow
from framework.tracking.address import without_password

NewRun = Callable[..., RunOnDisk]

# A run that is killed while a process that it has forked holds on to everything that was open.
KILLED = """
import os, pickle, sys, time
from pathlib import Path
from framework.engine.run.lock import RunLock
from framework.engine.run.recorder import Recorder
from framework.tracking.follow import follow
folder = Path(sys.argv[1])
experiment = pickle.loads(bytes.fromhex(sys.argv[2]))
with RunLock(folder):
    follow(folder, experiment.tracking, print)
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    recorder = Recorder(folder / "metrics.jsonl")
    for step in range(1, 100000):
        recorder.record(step, step / 100, {"loss": 5.0 / step, "learning_rate": 1e-3})
        time.sleep(0.01)
"""


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


@pytest.mark.slow
def test_a_killed_run_is_killed_in_mlflow_and_gone_on_with_there(new_run: NewRun, tmp_path: Path) -> None:
    import pickle

    run = new_run()
    pickled = pickle.dumps(run.experiment).hex()
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(run.path), pickled], start_new_session=True)
    try:
        wait_until(lambda: (run.path / "tracking.json").is_file() and run.note().get("delivered", {}).get("metrics.jsonl", 0) > 0)
        store = client(f"sqlite:///{tmp_path / 'mlflow.db'}")
        run_id = run.note()["run_id"]
        assert store.get_run(run_id).info.status == "RUNNING"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_until(lambda: run.note().get("status") == "killed")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    killed = store.get_run(run_id)
    assert killed.info.status == "KILLED"
    run.recorder = type(run.recorder)(run.path / "metrics.jsonl")
    done = max(step for *_, step in run.recorded())
    assert done > 1
    warnings: list[str] = []
    with training(run, warnings.append) as tracked:
        run.measure(1, done + 50)
        wait_until(lambda: store.get_run(run_id).info.status == "RUNNING")
        tracked.finish()
    found = store.get_run(run_id)
    assert found.info.status == "FINISHED"
    assert found.info.end_time > killed.info.end_time
    assert read_back(store, run_id) == sorted([*run.recorded(), *run.recorded("system.jsonl")])
    assert len(store.search_runs([found.info.experiment_id])) == 1
    assert warnings == []
    assert not (run.path / follow.LOG).exists()


@pytest.mark.slow
def test_a_server_that_is_not_there_is_told_once_and_costs_little_time(new_run: NewRun) -> None:
    run = new_run("one", "tracking.uri=http://someone:secret@127.0.0.1:9", "tracking.timeout=1")
    warnings: list[str] = []
    with training(run, warnings.append) as tracked:
        run.measure(1, 10)
        wait_until(lambda: len(warnings) == 1)
        started = time.monotonic()
        tracked.finish()
        waited = time.monotonic() - started
    assert waited < 15
    assert len(warnings) == 2
    assert warnings[0].startswith("MLflow at http://127.0.0.1:9 does not take records (")
    assert warnings[0].endswith("); the run goes on, and its folder keeps them")
    assert warnings[1] == f"not everything is in MLflow yet; once http://127.0.0.1:9 answers: gatework sync {run.path}"
    assert json.loads((run.path / "run.json").read_text())["status"] == "finished"


def test_a_process_that_cannot_begin_is_told(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_START", "raise SystemExit('no such library')")
    run = new_run()
    warnings: list[str] = []
    with training(run, warnings.append) as tracked:
        wait_until(lambda: len(warnings) == 1)
        tracked.finish()
    assert "(no such library)" in warnings[0]
    assert len(warnings) == 2


def test_a_process_that_hangs_is_not_waited_for(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_START", "import time; print('{\"allow\": 1}', flush=True); time.sleep(600)")
    monkeypatch.setattr(follow, "_GRACE", 1.0)
    run = new_run()
    warnings: list[str] = []
    with training(run, warnings.append) as tracked:
        started = time.monotonic()
        tracked.finish()
    assert time.monotonic() - started < 5
    assert len(warnings) == 1


def test_without_mlflow_the_run_goes_on_and_says_how_to_get_it(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "mlflow_is_installed", lambda: False)
    run = new_run()
    warnings: list[str] = []
    with training(run, warnings.append) as tracked:
        tracked.finish()
    [warning] = warnings
    assert warning.startswith("MLflow is not installed")
    assert "pip install 'gatework[mlflow]'" in warning
    assert not (run.path / "tracking.json").exists()


def test_without_tracking_no_process_is_started(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow.subprocess, "Popen", lambda *words, **named: pytest.fail("a process was started"))
    run = new_run("one", "tracking=none")
    with training(run, pytest.fail) as tracked:
        tracked.finish()


def test_passwords_are_not_shown() -> None:
    assert without_password("https://me:secret@host:5000/a@b") == "https://host:5000/a@b"
    assert without_password("sqlite:////a/b.db") == "sqlite:////a/b.db"


@pytest.mark.slow
def test_eight_jobs_share_one_database(new_run: NewRun, tmp_path: Path) -> None:
    """A new database: all of them want to make it, and the experiment, and to write at once."""
    runs = [new_run(f"job-{number}") for number in range(8)]
    warnings: list[str] = []

    def train(run: RunOnDisk) -> None:
        with training(run, warnings.append) as tracked:
            for step in range(1, 401):
                run.measure(step, step)
                time.sleep(0.01)
            tracked.finish()

    threads = [threading.Thread(target=train, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings == []
    store = client(f"sqlite:///{tmp_path / 'mlflow.db'}")
    [experiment] = [one for one in store.search_experiments() if one.name == "text_generation"]
    assert len(store.search_runs([experiment.experiment_id])) == 8
    for run in runs:
        run_id = run.note()["run_id"]
        assert store.get_run(run_id).info.status == "FINISHED"
        assert read_back(store, run_id) == sorted([*run.recorded(), *run.recorded("system.jsonl")])
