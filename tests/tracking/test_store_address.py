"""Where a run is tracked, and what its values become on the way there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tracking.fake_store import FakeStore
from tracking.run_on_disk import RunOnDisk

from framework.errors import InputError
from framework.tracking.address import artifacts_folder, store_uri
from framework.tracking.outbox import Outbox, is_tracked
from framework.tracking.store import Value

NewRun = Callable[..., RunOnDisk]


def test_the_store_is_beside_the_runs_unless_the_config_names_one(new_run: NewRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run()
    assert Outbox(run.path).uri == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert artifacts_folder(run.path, f"sqlite:///{tmp_path / 'mlflow.db'}") == tmp_path / "mlartifacts"
    assert artifacts_folder(run.path, "http://server") is None
    monkeypatch.chdir(tmp_path)
    named = new_run("two", "tracking.uri=sqlite:///own.db").experiment.tracking
    assert store_uri(run.path, named) == f"sqlite:///{tmp_path / 'own.db'}"


def test_a_path_that_mlflow_would_take_for_another_is_refused(new_run: NewRun, tmp_path: Path) -> None:
    tracking = new_run().experiment.tracking
    with pytest.raises(InputError, match=r"(?s)cannot keep its database at .*why\?/mlflow.db, with a '\?'.*tracking=none"):
        store_uri(tmp_path / "why?" / "runs" / "recipe" / "name", tracking)


def test_a_run_without_tracking_is_told_from_one_with(new_run: NewRun) -> None:
    assert is_tracked(new_run().path)
    untracked = new_run("two", "tracking=none")
    assert not is_tracked(untracked.path)
    Outbox(untracked.path, "http://server").deliver(FakeStore())  # type: ignore[arg-type]
    assert is_tracked(untracked.path)


def test_values_are_what_the_store_takes() -> None:
    assert Value("loss", 1.5, 2, 3) == Value("loss", 1.5, 2, 3)
