"""Runs are found again by what a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from framework.engine.run.folder import RunFolder, find_run, next_free, remember_begun, remember_last
from framework.errors import RunError
from framework.spec.run_files import FORMAT


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for recipe, name, run_id in [("text", "torch-1a", "abc"), ("text", "torch-2b", "def"), ("other", "torch-2b", "ghi")]:
        RunFolder(tmp_path / recipe / name).update_record(status="finished")
        (tmp_path / recipe / name / "tracking.json").write_text(json.dumps({"run_id": run_id}))
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "found"), [("torch-1a", "text/torch-1a"), ("other/torch-2b", "other/torch-2b"), ("def", "text/torch-2b")]
)
def test_a_run_is_found_by_name_path_and_mlflow_id(runs: Path, asked: str, found: str) -> None:
    assert find_run(asked, str(runs)).path == (runs / found).resolve()


def test_a_run_is_found_by_its_folder(runs: Path) -> None:
    assert find_run(str(runs / "text" / "torch-1a"), "elsewhere").name == "torch-1a"


def test_a_run_that_has_only_begun_does_not_take_the_place_of_one_that_finished(runs: Path) -> None:
    first, second = (RunFolder(runs.resolve() / "text" / name) for name in ("torch-1a", "torch-2b"))
    first.update_record(status="pruned")
    second.update_record(status="failed")
    remember_begun(first, str(runs))
    assert find_run("last", str(runs)) == first, "where none has finished, it is the latest"
    remember_begun(second, str(runs))
    assert find_run("last", str(runs)) == second
    second.update_record(status="finished")
    remember_begun(first, str(runs))
    assert find_run("last", str(runs)) == second
    (runs / "last").write_text("text/gone\n")
    remember_begun(first, str(runs))
    assert find_run("last", str(runs)) == first


def test_the_last_run(runs: Path) -> None:
    remember_last(RunFolder(runs.resolve() / "text" / "torch-2b"), str(runs))
    assert (runs / "last").read_text() == "text/torch-2b\n"
    assert find_run("last", str(runs)).name == "torch-2b"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("torch-2b", "several runs are called 'torch-2b': other/torch-2b, text/torch-2b"),
        ("torch-1b", "no run 'torch-1b'.*did you mean torch-"),
        ("last", "no run yet"),
    ],
)
def test_what_is_not_found_is_named(runs: Path, asked: str, says: str) -> None:
    with pytest.raises(RunError, match=says):
        find_run(asked, str(runs))


def test_no_runs_at_all(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there are no runs yet"):
        find_run("x", str(tmp_path))


def test_a_run_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.update_record(format=FORMAT + 1)
    with pytest.raises(RunError, match="newer Gatework"):
        folder.read_record()


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"cannot read .*run\.json"):
        RunFolder(tmp_path).read_record()


def test_the_next_free_name(tmp_path: Path) -> None:
    for name in ("a", "a-2"):
        (tmp_path / name).mkdir()
    assert next_free(RunFolder(tmp_path / "a")).name == "a-3"
