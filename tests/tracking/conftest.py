"""Run folders without training, and one MLflow server for all tests that need a real one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from tracking.mlflow_server import Server
from tracking.run_on_disk import RECIPE, RunOnDisk

import framework
from framework.spec.experiment import Experiment


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """What a test makes MLflow believe does not outlive it."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@cache
def loaded(overrides: tuple[str, ...]) -> Experiment:
    return framework.load("text_generation", overrides=[*RECIPE, *overrides])


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., RunOnDisk]:
    """Makes a run folder below `tmp_path/runs`."""

    def make(name: str = "one", *overrides: str) -> RunOnDisk:
        return RunOnDisk(tmp_path / "runs" / "text_generation" / name, loaded(overrides))

    return make


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests; one that stops it starts it again."""
    found = Server(tmp_path_factory.mktemp("mlflow"))
    found.start()
    try:
        yield found
    finally:
        found.stop()
