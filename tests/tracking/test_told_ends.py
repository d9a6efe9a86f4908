"""How a run has ended is read from its folder, also where nobody told it, and told once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from tracking.fake_store import FakeStore, deliver, nothing_is_left
from tracking.run_on_disk import RunOnDisk

from framework.tracking.outbox import MULTIRUN, Outbox

NewRun = Callable[..., RunOnDisk]


def test_a_killed_run_is_settled_at_its_last_sign_of_life(new_run: NewRun) -> None:
    run, store = new_run(), FakeStore()
    run.measure(1, 3)
    for name in ("run.json", "metrics.jsonl"):
        os.utime(run.path / name, (1_700_000_100.0, 1_700_000_100.0 + (name == "metrics.jsonl")))
    box = Outbox(run.path)
    box.settle()
    deliver(box, store)
    assert (store.only_run().status, store.only_run().ended) == ("killed", 1_700_000_101_000)


def test_a_run_that_ended_in_order_is_settled_as_it_ended(new_run: NewRun) -> None:
    run, store = new_run(), FakeStore()
    run.update(status="failed", error="TrainingError: the loss is nan", ended=1_700_000_050.0)
    box = Outbox(run.path)
    box.settle()
    assert box.note.get("ended") == {"status": "failed", "error": "TrainingError: the loss is nan", "time": 1_700_000_050.0}
    deliver(box, store)
    box.settle()
    assert nothing_is_left(box, store)


def test_an_end_that_was_told_while_another_stretch_of_the_run_was_not_followed_is_told_again(new_run: NewRun) -> None:
    """As of a run that failed, and was gone on with where MLflow was not installed."""
    run, store = new_run(), FakeStore()
    box = Outbox(run.path)
    run.end(box, "failed", "the loss is nan", ended=1_700_000_050.0)
    deliver(box, store)
    run.update(status="finished", error=None, ended=1_700_000_060.0)
    again = Outbox(run.path)
    again.settle()
    deliver(again, store)
    found = store.only_run()
    assert (found.status, found.ended) == ("finished", 1_700_000_060_000)
    assert "gatework.error" not in found.tags


def test_what_a_version_before_was_told_is_not_told_again(new_run: NewRun, tmp_path: Path) -> None:
    """It noted an end a moment after the run's own record did, and that of a multirun nowhere else."""
    run, store = new_run(), FakeStore()
    run.measure(1, 5)
    run.update(status="finished", ended=1_700_000_050.0)
    box = Outbox(run.path)
    box.note.update(ended={"status": "finished", "error": None, "time": 1_700_000_050.25})
    deliver(box, store)
    box = Outbox(run.path)
    box.settle()
    assert nothing_is_left(box, store)
    assert store.only_run().statuses == ["running", "finished"]
    parent = tmp_path / "runs" / ".multirun" / "abcd"
    parent.mkdir(parents=True)
    (parent / MULTIRUN).write_text(json.dumps({"title": "multirun units=1,2", "started": 1_700_000_000.0, "status": "running"}))
    os.utime(parent / MULTIRUN, (1_700_000_000.0, 1_700_000_000.0))
    box = Outbox(parent, "http://server")
    box.note.update(ended={"status": "failed", "error": "1 of 2 jobs failed", "time": 1_700_000_050.0})
    box.settle()
    deliver(box, store)
    [found] = [one for one in store.all_runs.values() if one.name == "multirun units=1,2"]
    assert (found.status, found.ended) == ("failed", 1_700_000_050_000)
