"""What is damaged in a run's folder is told in one line, or left out, and never delivered as something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from framework.errors import GateworkError, RunError
from framework.tracking import settings
from framework.tracking.note import NOTE, Note
from framework.tracking.outbox import Outbox, read_values

GOOD = {"step": 1, "time": 2.0, "values": {"loss": 3.0}}


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({**GOOD, "step": 10**30}),
        json.dumps({**GOOD, "step": -1}),
        json.dumps({**GOOD, "step": 1.5}),
        json.dumps({**GOOD, "time": 1e300}),
        json.dumps({**GOOD, "time": float("nan")}),
        json.dumps({**GOOD, "values": [1]}),
        json.dumps({**GOOD, "values": {"loss": "3"}}),
        "[" * 50_000,
        "3",
        "9" * 5000,
    ],
)
def test_a_damaged_line_holds_no_values_and_blocks_none(line: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join([json.dumps(GOOD), line, json.dumps({**GOOD, "step": 2}), ""]))
    found = [[value.step for value in values] for values, _ in read_values(path, 0)]
    assert found == [[1], [], [2]]


@pytest.mark.parametrize(
    "changes",
    [{"key": 3}, {"delivered": {"metrics.jsonl": -5}}, {"files": [1]}, {"ended": {"status": "finished"}}, {"model": {"state": "x"}}],
)
def test_a_note_with_a_value_of_a_wrong_type_begins_anew(changes: dict[str, Any], tmp_path: Path) -> None:
    Note(tmp_path).update(run_id="1")
    (tmp_path / NOTE).write_text(json.dumps({**json.loads((tmp_path / NOTE).read_text()), **changes}))
    assert set(Note(tmp_path).values) == {"key"}


def test_a_note_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / NOTE).mkdir()
    with pytest.raises(RunError, match=r"cannot write .*tracking\.json: Is a directory"):
        Note(tmp_path).update(run_id="1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"hardware": 3}', "'hardware' is 3; expected a mapping"),
        ('{"git": {"commit": 1, "dirty": false}}', "'git.commit' is 1; expected text"),
        ("[" * 50_000, "nested more than 200 levels deep"),
        ("\x00", "cannot read"),
    ],
)
def test_a_damaged_description_of_the_machine_is_named_in_a_tag_and_blocks_nothing(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text(text)
    tags = settings.tags_of(tmp_path, {"digest": "abc"}, {})
    assert tags["gatework.config_digest"] == "abc"
    assert str(tmp_path / "environment.json") in tags["gatework.damaged"]
    assert says in tags["gatework.damaged"]


def test_a_damaged_config_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "resolved.yaml").write_text("spec_version: 1\ntracking: 3\n")
    with pytest.raises(GateworkError, match=r"resolved\.yaml is damaged: 'tracking' is 3; expected a mapping$"):
        settings.read_resolved(tmp_path)


@pytest.mark.parametrize("text", ['{"status": "odd"}', '{"status": ', "[]", '{"ended": "now"}'])
def test_a_run_whose_record_is_damaged_is_not_called_killed(text: str, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "recipe" / "one"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json"):
        Outbox(folder).settle()
