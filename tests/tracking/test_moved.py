"""A project that was moved or copied keeps its artifacts with it, and writes none to the old place."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from framework.tracking.moved import follow_move
from framework.tracking.store import KEY_TAG, MlflowStore

ROOT = Path(__file__).parents[2]
BEGIN = """
import sys
from pathlib import Path
from framework.tracking.store import KEY_TAG, MlflowStore
project = Path(sys.argv[1])
store = MlflowStore(f"sqlite:///{project / 'mlflow.db'}", project / "mlartifacts", timeout=30.0)
experiment = store.experiment("mine")
run = store.make_run(experiment, "key", "run", None)
store.add_file(run, project / "one.txt", "")
store.make_model(experiment, run, {KEY_TAG: "key"})
print(experiment, run, store.client.create_experiment("the user's", artifact_location=(project.parent / "mlartifacts").as_uri()))
"""
"""In a process of its own: MLflow remembers where it has put a run's artifacts."""


def opened(project: Path) -> MlflowStore:
    return MlflowStore(f"sqlite:///{project / 'mlflow.db'}", project / "mlartifacts", timeout=30.0)


def names_of(store: MlflowStore, run: str) -> list[str]:
    return sorted(file.path for file in store.client.list_artifacts(run))


@pytest.mark.slow
@pytest.mark.parametrize("way", [shutil.move, shutil.copytree], ids=["moved", "copied"])
def test_artifacts_follow_the_project(way: object, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    (before / "one.txt").write_text("one")
    done = subprocess.run([sys.executable, "-c", BEGIN, str(before)], cwd=ROOT, check=True, capture_output=True, text=True, timeout=300)
    experiment, run, elsewhere = done.stdout.split()
    way(before, after)  # type: ignore[operator]
    files = sorted(before.rglob("*"))
    (after / "two.txt").write_text("two")
    store = opened(after)
    assert store.experiment("mine") == experiment
    store.add_file(run, after / "two.txt", "")
    assert names_of(store, run) == ["one.txt", "two.txt"]
    assert Path(store.client.download_artifacts(run, "one.txt")).read_text() == "one"
    assert sorted(before.rglob("*")) == files, "nothing is written to the old place"
    with closing(sqlite3.connect(after / "mlflow.db")) as connection:
        dump = "\n".join(line for line in connection.iterdump() if "/mlruns/" not in line)  # of MLflow's experiment 'Default'
    assert (before / "mlartifacts").as_uri() not in dump
    assert store.client.get_experiment(elsewhere).artifact_location == (tmp_path / "mlartifacts").as_uri()


def test_a_file_that_is_no_database_of_mlflow_s_is_left_alone(tmp_path: Path) -> None:
    for content in (b"", b"no database"):
        (tmp_path / "mlflow.db").write_bytes(content)
        follow_move(tmp_path / "mlflow.db", tmp_path / "mlartifacts", KEY_TAG)
        assert (tmp_path / "mlflow.db").read_bytes() == content
    follow_move(tmp_path / "nothing.db", tmp_path / "mlartifacts", KEY_TAG)
    assert not (tmp_path / "nothing.db").exists()
