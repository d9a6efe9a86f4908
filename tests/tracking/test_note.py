"""What was delivered is kept for each store by itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from framework.tracking.note import NOTE, Note


def test_a_note_is_read_back_with_the_same_key(tmp_path: Path) -> None:
    note = Note(tmp_path)
    note.use_store("sqlite:///a")
    note.update(run_id="1", delivered={"metrics.jsonl": 5})
    again = Note(tmp_path)
    assert again.get("key") == note.get("key")
    assert (again.get("run_id"), again.get("delivered")) == ("1", {"metrics.jsonl": 5})
    note.update(run_id=None)
    assert "run_id" not in json.loads((tmp_path / NOTE).read_text())


def test_each_store_has_its_own_state_and_gets_it_back(tmp_path: Path) -> None:
    note = Note(tmp_path)
    note.use_store("http://a")
    note.update(run_id="in a", delivered={"metrics.jsonl": 5}, ended={"status": "finished", "time": 1.0})
    note.use_store("http://b")
    assert note.get("run_id") is None
    assert note.get("delivered") is None
    assert note.get("ended") == {"status": "finished", "time": 1.0}  # how the run ended does not depend on the store
    note.update(run_id="in b")
    note = Note(tmp_path)
    note.use_store("http://a")
    assert (note.get("run_id"), note.get("delivered")) == ("in a", {"metrics.jsonl": 5})
    note.use_store("http://b")
    assert note.get("run_id") == "in b"
    note.forget_store()
    assert (note.get("run_id"), note.get("uri")) == (None, "http://b")
    note.use_store("http://a")
    assert note.get("run_id") == "in a"


def test_a_damaged_note_begins_anew(tmp_path: Path) -> None:
    (tmp_path / NOTE).write_text('{"key": "k", "run')
    assert set(Note(tmp_path).values) == {"key"}


def test_a_note_follows_its_project(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    run = before / "runs" / "mine" / "one"
    run.mkdir(parents=True)
    Note(run).update(uri=f"sqlite:///{before}/mlflow.db", parent=f"{before}/runs/.multirun/abc", stores={f"sqlite:///{before}/old.db": {}})
    shutil.copytree(before, after)
    assert Note(run).get("uri") == f"sqlite:///{before}/mlflow.db"
    copied = Note(after / "runs" / "mine" / "one")
    assert copied.get("uri") == f"sqlite:///{after}/mlflow.db"
    assert copied.get("parent") == f"{after}/runs/.multirun/abc"
    assert list(copied.get("stores")) == [f"sqlite:///{after}/old.db"]


@pytest.mark.parametrize("uri", ["http://host:5000", "sqlite:////other/place/mlflow.db", "postgresql://host/db"])
def test_a_store_elsewhere_stays_where_it_is(uri: str, tmp_path: Path) -> None:
    run = tmp_path / "before" / "runs" / "mine" / "one"
    run.mkdir(parents=True)
    Note(run).update(uri=uri)
    shutil.move(tmp_path / "before", tmp_path / "after")
    assert Note(tmp_path / "after" / "runs" / "mine" / "one").get("uri") == uri


def test_a_note_of_a_version_before_follows_the_database_beside_it(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "mine" / "one"
    run.mkdir(parents=True)
    (run / "tracking.json").write_text('{"key": "k", "uri": "sqlite:////gone/away/mlflow.db"}')
    assert Note(run).get("uri") == "sqlite:////gone/away/mlflow.db"
    (tmp_path / "mlflow.db").touch()
    assert Note(run).get("uri") == f"sqlite:///{tmp_path}/mlflow.db"
