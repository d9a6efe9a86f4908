"""Small experiments that train in a second, on either backend: fixtures for the tests of runs and of parity."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import framework
from framework.spec.experiment import Experiment

SMALL = (
    "data=text",
    "data.batch_size=4",
    "data.sequence_length=8",
    "model.layers.embedding.output_dim=6",
    "model.layers.gru.units=10",
    "trainer.max_epochs=3",
    "trainer.limit_train_batches=6",
    "trainer.log_every_n_steps=1",
    "optimizer.learning_rate=0.02",
    "decoding.prompt=a",
    "decoding.sample_length=12",
    "tracking=none",
)

Small = Callable[..., Experiment]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A text of a few thousand characters with something to learn in it."""
    words = ["gate ", "state ", "reset ", "update\n", "hidden, "]
    source = random.Random(1)
    path = tmp_path / "my.txt"
    path.write_text("".join(source.choice(words) for _ in range(700)))
    return path


@pytest.fixture
def small(tmp_path: Path, text: Path) -> Small:
    """Loads ``text_generation`` made small, with further overrides; runs lie in the test's own folder."""

    def load(*overrides: str, base: Sequence[str] = SMALL) -> Experiment:
        where = [f"data.path={text}", f"paths.runs_dir={tmp_path / 'runs'}"]
        return framework.load("text_generation", [*base, *where, *overrides])

    return load
