"""What was delivered is kept for each store by itself."""

from __future__ import annotations

import json
from pathlib import Path

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
