"""Real stores that refuse, and a server that never answers: the run ends, says once what is left, and can be interrupted."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tracking.mlflow_server import Server, wait_until
from tracking.proxy import Proxy
from tracking.run_on_disk import RunOnDisk

pytestmark = pytest.mark.slow

NewRun = Callable[..., RunOnDisk]

# A run that has ended, but for the delivery.
ENDED = """
import json, pickle, sys, time
from pathlib import Path
from framework.engine.run.lock import RunLock
from framework.tracking.follow import follow
folder = Path(sys.argv[1])
with RunLock(folder):
    follower = follow(folder, pickle.loads(bytes.fromhex(sys.argv[2])).tracking, lambda text: print("warning:", text))
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "status": "finished", "ended": time.time()}))
follower.wait()
"""


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    found = Proxy(server)
    yield found
    found.close()


def obey_permissions() -> None:
    """Takes from root what lets it write whatever it likes: CAP_DAC_OVERRIDE, from the program that starts next."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


def say(*words: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(
        [sys.executable, *words], env=environment, capture_output=True, text=True, timeout=150, preexec_fn=obey_permissions
    )
    return done.returncode, done.stdout + done.stderr


def end(run: RunOnDisk) -> tuple[int, list[str]]:
    """Delivers a run that has ended: the exit code and the warnings."""
    code, output = say("-c", ENDED, str(run.path), pickle.dumps(run.experiment).hex())
    return code, [line for line in output.splitlines() if line.startswith("warning:")]


def sync(run: RunOnDisk) -> tuple[int, str]:
    return say("-m", "framework", "sync", str(run.path), "--timeout", "2")


def client(run: RunOnDisk) -> object:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{run.path.parents[2] / 'mlflow.db'}")


def delivered(new_run: NewRun) -> RunOnDisk:
    """A run that is in MLflow, with something left to deliver."""
    run = new_run()
    run.measure(1, 5)
    assert end(run) == (0, [])
    run.measure(6, 9)
    run.sample(1)
    return run


def refused(run: RunOnDisk, reason: str) -> None:
    started = time.monotonic()
    code, [warning] = end(run)
    assert code == 0
    assert " refuses the records (" in warning
    assert reason in warning
    assert warning.endswith(f"once that is mended: gatework sync {run.path}")
    code, output = sync(run)
    assert code == 1
    assert "not everything could be delivered (" in output
    assert reason in output
    assert time.monotonic() - started < 120


def mended(run: RunOnDisk) -> None:
    code, output = sync(run)
    assert code == 0, output


def test_a_deleted_experiment(new_run: NewRun) -> None:
    run = delivered(new_run)
    store = client(run)
    [experiment] = [one for one in store.search_experiments() if one.name == "text_generation"]  # type: ignore[attr-defined]
    store.delete_experiment(experiment.experiment_id)  # type: ignore[attr-defined]
    refused(run, "the experiment 'text_generation' was deleted there; mlflow experiments restore --experiment-id")
    store.restore_experiment(experiment.experiment_id)  # type: ignore[attr-defined]
    mended(run)


def test_a_deleted_run_is_recorded_anew(new_run: NewRun) -> None:
    run = delivered(new_run)
    before = run.note()["run_id"]
    client(run).delete_run(before)  # type: ignore[attr-defined]
    assert end(run) == (0, [])
    assert run.note()["run_id"] != before


def test_a_read_only_database(new_run: NewRun) -> None:
    run = delivered(new_run)
    database = run.path.parents[2] / "mlflow.db"
    database.chmod(0o444)
    refused(run, "readonly database")
    database.chmod(0o644)
    mended(run)


def test_a_read_only_folder_of_artifacts(new_run: NewRun) -> None:
    run = delivered(new_run)
    folders = [path for path in (run.path.parents[2] / "mlartifacts").rglob("*") if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    refused(run, "Permission denied")
    for folder in folders:
        folder.chmod(0o755)
    mended(run)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses(status: int, proxy: Proxy, new_run: NewRun) -> None:
    run = new_run("one", f"tracking.uri={proxy.uri}", "tracking.timeout=2")
    proxy.answer = (status, b"<html>no</html>")
    refused(run, f"failed with error code {status}")
    proxy.answer = None
    mended(run)


def test_a_server_that_never_answers(proxy: Proxy, new_run: NewRun) -> None:
    run = new_run("one", f"tracking.uri={proxy.uri}", "tracking.timeout=1")
    run.measure(1, 5)
    proxy.delay = 600.0
    started = time.monotonic()
    code, warnings = end(run)
    assert code == 0
    assert [" does not take records (" in one for one in warnings] == [True, False]
    code, output = sync(run)
    assert (code, "not everything could be delivered (" in output) == (1, True)
    assert time.monotonic() - started < 120


@pytest.mark.torch
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_ends_the_waiting(number: signal.Signals, proxy: Proxy, tmp_path: Path) -> None:
    proxy.delay = 600.0
    words = ["recipe=text_generation", "data=python_source", "debug=small", "model.layers.gru.units=8", "name=one"]
    words += [f"tracking.uri={proxy.uri}", "tracking.timeout=300"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": "1"}
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "framework", "train", *words], cwd=tmp_path, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            wait_until(lambda: "finished " in log.read_text() or process.poll() is not None, 300)
            time.sleep(2)
            started = time.monotonic()
            process.send_signal(number)
            assert process.wait(60) == 130, log.read_text()
        finally:
            process.kill()
    assert time.monotonic() - started < 20
    said = log.read_text()
    folder = tmp_path / "runs" / "text_generation" / "one"
    assert f"not everything is in MLflow yet; once {proxy.uri} answers: gatework sync {folder}" in said
    assert said.rstrip().endswith("interrupted")
    proxy.delay = 0.0
    assert say("-m", "framework", "sync", str(folder))[0] == 0
