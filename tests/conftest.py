"""What all tests share: a quiet, repeatable surrounding, and the published data sets where there are any."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Before anything imports a backend.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# Several test processes share the processors: threads that wait must not hold one.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# What is measured depends on what else the machine does.
os.environ.setdefault("GATEWORK_TUNE", "0")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest

from framework import secrets

# No deadline: the machine may be busy. Without a database: what fails here fails everywhere.
hypothesis.settings.register_profile("gatework", deadline=None, database=None, print_blob=True)
hypothesis.settings.load_profile("gatework")


@pytest.fixture(autouse=True)
def forgotten_secrets() -> Iterator[None]:
    """Secrets of a test, which may be words of another one's messages, are forgotten with it."""
    kept = (secrets._addresses, secrets._places, secrets._texts)
    before = [one.copy() for one in kept]
    yield
    for one, was in zip(kept, before, strict=True):
        one.clear()
        one.update(was)


@pytest.fixture(scope="session")
def published_data() -> Path:
    """The folder that `GATEWORK_DATA` names; tests of the published data sets are left out without it."""
    if not os.environ.get("GATEWORK_DATA"):
        pytest.skip("GATEWORK_DATA is not set: the published data sets are not at hand")
    return Path(os.environ["GATEWORK_DATA"])


@pytest.fixture(scope="session")
def shakespeare(published_data: Path) -> Path:
    """The text of the text generation tutorial."""
    path = published_data / "text_generation" / "shakespeare.txt"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    return path
