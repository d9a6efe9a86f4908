"""Delivery ends, whatever the store answers, and says once what is left and how to deliver it later."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import ErrorCode, MlflowException
from tracking.fake_store import FakeStore
from tracking.run_on_disk import RunOnDisk, training

from framework.cli.main import main
from framework.engine.many.sync import sync_alone
from framework.engine.run.lock import RunLock
from framework.errors import RunError
from framework.file_lock import file_lock
from framework.tracking import follow, store
from framework.tracking.outbox import LOCK, Outbox
from framework.tracking.store import MlflowStore
from framework.tracking.sync import Synced, sync

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


def followed(
    run: RunOnDisk, store: FakeStore, monkeypatch: pytest.MonkeyPatch, wait: float = 0.0
) -> tuple[Synced, list[tuple[Exception, bool]]]:
    """What comes of following a run that ends after some seconds, and the trouble that is told meanwhile."""
    monkeypatch.setattr(Outbox, "open_store", lambda *words: store)
    troubles: list[tuple[Exception, bool]] = []

    def train() -> None:
        with RunLock(run.path):
            held.set()
            time.sleep(wait)
            run.update(status="finished", ended=time.time())

    held = threading.Event()
    threading.Thread(target=train, daemon=True).start()
    held.wait()
    done = in_time(lambda: sync(run.path, "http://server", 1.0, follow=True, trouble=lambda *trouble: troubles.append(trouble)))
    return done, troubles


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
    done, troubles = followed(run, store, monkeypatch)
    assert time.monotonic() - started < 5
    assert troubles == [(REFUSALS[why], True)]
    assert (done.trouble, done.refused) == (str(REFUSALS[why]), True)


def test_a_refusal_while_the_run_goes_on_is_told_once(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where somebody deletes the run while it trains; it is not asked for every second from then on."""
    run, store = new_run(), FakeStore()
    run.measure(1, 5)
    asked: list[float] = []

    def refuse(*words: Any) -> Any:
        asked.append(time.monotonic())
        raise REFUSALS["deleted run"]

    monkeypatch.setattr(store, "set_tags", refuse)
    _, troubles = followed(run, store, monkeypatch, wait=4.0)
    assert len(troubles) == 1
    assert len(asked) == 2, "once, and once more when the run had ended"


def test_a_store_that_takes_it_after_all_has_everything(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody has mended it meanwhile."""
    run, answers = new_run(), [REFUSALS["403"]]
    run.measure(1, 5)
    store = FakeStore(lambda: answers.pop() if answers else None)
    done, troubles = followed(run, store, monkeypatch, wait=2.0)
    assert len(troubles) == 1
    assert done.trouble is None
    assert store.only_run().status == "finished"


@pytest.mark.parametrize(
    "call", ["add_values", *(pytest.param(call, marks=pytest.mark.slow) for call in ("make_run", "runs", "set_tags", "set_status"))]
)
def test_what_never_answers_is_asked_for_a_while(call: str, new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run, store = new_run(), FakeStore()
    run.measure(1, 5)

    def never(*words: Any) -> Any:
        time.sleep(0.5)
        raise TimeoutError("timed out")

    monkeypatch.setattr(store, call, never)
    started = time.monotonic()
    done, troubles = followed(run, store, monkeypatch)
    assert time.monotonic() - started < 10
    assert [refused for _, refused in troubles] == [False]
    assert (done.trouble, done.refused) == ("timed out", False)


@pytest.mark.parametrize("error", [*REFUSALS.values(), TimeoutError("timed out")], ids=[*REFUSALS, "no answer"])
@pytest.mark.parametrize("call", ["make_run", "has_run", "set_tags", "add_values", "set_status"])
def test_sync_ends_too_and_says_why(
    error: Exception, call: str, new_run: NewRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, store = new_run(), FakeStore()
    monkeypatch.setattr(Outbox, "open_store", lambda *words: store)
    if call == "has_run":
        sync_alone(run.path, "http://server")
    run.measure(1, 5)

    def fail(*words: Any) -> Any:
        raise error

    monkeypatch.setattr(store, call, fail)
    code = in_time(lambda: main(["sync", str(run.path), "--uri", "http://server", "--timeout", "1"]))
    assert code == 1
    out = capsys.readouterr().out
    assert f"not everything could be delivered ({error})" in out


@pytest.mark.slow
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
    monkeypatch.setattr(follow, "_GRACE", 2.0)
    with file_lock(run.path / LOCK), training(run, warnings.append) as tracked:
        in_time(tracked.finish)
    assert len(warnings) == 1
    assert warnings[0].endswith(f"gatework sync {run.path}")


def test_a_database_that_is_never_let_go_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_LOCAL_PATIENCE", 0.2)
    with file_lock(tmp_path / "mlflow.db.lock"), pytest.raises(TimeoutError, match=r"another process has held .*mlflow\.db\.lock"):
        in_time(lambda: MlflowStore(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path, 5.0))
