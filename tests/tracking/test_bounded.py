"""Delivery ends, whatever the store answers, and says once what is left and how to deliver it later."""

from __future__ import annotations

import errno
import io
import json
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import ErrorCode, MlflowException
from tracking.fake_store import FakeStore
from tracking.mlflow_server import wait_until
from tracking.run_on_disk import RunOnDisk

from framework.cli.main import main
from framework.engine.many.sync import sync
from framework.errors import RunError
from framework.tracking import courier, store
from framework.tracking.deliver import Delivery
from framework.tracking.file_lock import file_lock
from framework.tracking.outbox import LOCK, Outbox
from framework.tracking.store import MlflowStore
from framework.tracking.tracker import open_tracker

NewRun = Callable[..., RunOnDisk]

LONGEST = 30.0
"""Seconds that a delivery may take here, of a run whose store is given one second for an answer."""


def named(code: str) -> Exception:
    return MlflowException(f"{code}: no", error_code=ErrorCode.Value(code))


REFUSALS = {
    "deleted experiment": RunError("the experiment 'text_generation' was deleted there"),
    "deleted run": named("INVALID_PARAMETER_VALUE"),
    "401": named("UNAUTHENTICATED"),
    "403": named("PERMISSION_DENIED"),
    "404": named("RESOURCE_DOES_NOT_EXIST"),
    "read-only": PermissionError(errno.EACCES, "Permission denied"),
    "full": OSError(errno.ENOSPC, "No space left on device"),
}


def in_time(work: Callable[[], Any]) -> Any:
    """What `work` gives back, or raises, in time."""
    found: Future[Any] = Future()

    def run() -> None:
        try:
            found.set_result(work())
        except BaseException as error:
            found.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return found.result(LONGEST)


def delivered(run: RunOnDisk, store: FakeStore, monkeypatch: pytest.MonkeyPatch, wait: float = 0.0) -> list[dict[str, Any]]:
    """What the process that delivers says of a run that ends after some seconds."""
    monkeypatch.setattr(Outbox, "open_store", lambda *words: store)
    orders: queue.Queue[dict[str, Any] | None] = queue.Queue()
    threading.Timer(wait, lambda: orders.put({"status": "finished"})).start()
    output = io.StringIO()
    options = {"timeout": 1.0, "uri": "http://server", "parent": None, "system_metrics": False}
    in_time(Delivery(run.path, options, orders, output).work)
    return [json.loads(line) for line in output.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeStore, "wait_for", lambda *words: None, raising=False)


@pytest.mark.parametrize("call", ["make_run", "experiment", "set_tags", "add_values", "add_file", "set_status"])
@pytest.mark.parametrize("why", REFUSALS)
def test_a_refusal_ends_it_at_once(why: str, call: str, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run, store = new_run(), FakeStore()
    run.measure(1, 5)
    run.sample(1)

    def refuse(*words: Any, **named: Any) -> Any:
        raise REFUSALS[why]

    monkeypatch.setattr(store, call, refuse)
    started = time.monotonic()
    said = delivered(run, store, monkeypatch)
    assert time.monotonic() - started < 5
    troubles = [one for one in said if "trouble" in one]
    assert troubles == [{"trouble": str(REFUSALS[why]), "refused": True}]
    assert said[-1] == {"rest": True}


def test_a_refusal_while_the_run_goes_on_is_told_once(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where somebody deletes the run while it trains; it is not asked for every second from then on."""
    run, store = new_run(), FakeStore()
    run.measure(1, 5)
    asked: list[float] = []

    def refuse(*words: Any) -> Any:
        asked.append(time.monotonic())
        raise REFUSALS["deleted run"]

    monkeypatch.setattr(store, "set_tags", refuse)
    said = delivered(run, store, monkeypatch, wait=4.0)
    assert len([one for one in said if "trouble" in one]) == 1
    assert len(asked) == 2, "once, and once more when the run had ended"


def test_a_store_that_takes_it_after_all_has_everything(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has mended it meanwhile."""
    run, answers = new_run(), [REFUSALS["403"]]
    run.measure(1, 5)
    store = FakeStore(lambda: answers.pop() if answers else None)
    said = delivered(run, store, monkeypatch, wait=2.0)
    assert len([one for one in said if "trouble" in one]) == 1
    assert said[-1] == {"rest": False}
    assert store.only_run().status == "finished"


@pytest.mark.parametrize("call", ["make_run", "runs", "set_tags", "add_values", "set_status"])
def test_what_never_answers_is_asked_for_a_while(call: str, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run, store = new_run(), FakeStore()
    run.measure(1, 5)

    def never(*words: Any) -> Any:
        time.sleep(0.5)
        raise TimeoutError("timed out")

    monkeypatch.setattr(store, call, never)
    started = time.monotonic()
    said = delivered(run, store, monkeypatch)
    assert time.monotonic() - started < 10
    assert len([one for one in said if "trouble" in one]) == 1
    assert said[-1] == {"rest": True}


@pytest.mark.parametrize("error", [*REFUSALS.values(), TimeoutError("timed out")], ids=[*REFUSALS, "no answer"])
@pytest.mark.parametrize("call", ["make_run", "has_run", "set_tags", "add_values", "set_status"])
def test_sync_ends_too_and_says_why(
    error: Exception, call: str, new_run: NewRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, store = new_run(), FakeStore()
    monkeypatch.setattr(Outbox, "open_store", lambda *words: store)
    if call == "has_run":
        sync(run.path, "http://server")
    run.measure(1, 5)

    def fail(*words: Any) -> Any:
        raise error

    monkeypatch.setattr(store, call, fail)
    code = in_time(lambda: main(["sync", str(run.path), "--uri", "http://server", "--timeout", "1"]))
    assert code == 1
    out = capsys.readouterr().out
    assert f"not everything could be delivered ({error})" in out


def test_an_experiment_that_was_deleted_is_named(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    opened = MlflowStore(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path, 5.0)
    found = opened.experiment("mine")
    MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").delete_experiment(found)
    with pytest.raises(RunError, match=rf"'mine' was deleted there; mlflow experiments restore --experiment-id {found} brings it back"):
        opened.experiment("mine")


def test_a_lock_that_is_never_let_go_is_not_waited_for(new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a process that was stopped while it delivered."""
    run = new_run()
    warnings: list[str] = []
    monkeypatch.setattr(courier, "_GRACE", 2.0)
    with file_lock(run.path / LOCK), open_tracker(run.path, run.experiment, warnings.append) as tracker:
        wait_until(lambda: tracker._deadline < time.monotonic() + 5)  # type: ignore[attr-defined]  # it waits for the lock
        in_time(lambda: tracker.finish("finished"))
    assert len(warnings) == 1
    assert warnings[0].endswith(f"gatework sync {run.path}")


def test_a_database_that_is_never_let_go_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_LOCAL_PATIENCE", 0.2)
    with file_lock(tmp_path / "mlflow.db.lock"), pytest.raises(TimeoutError, match=r"another process has held .*mlflow\.db\.lock"):
        in_time(lambda: MlflowStore(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path, 5.0))
