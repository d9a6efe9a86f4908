"""Hundreds of damaged and hostile run folders through every command that reads one: no traceback, and nothing outside is written."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fuzz.damage import damage
from fuzz.harness import MEGABYTES, ForkServer

NUMBER = int(os.environ.get("GATEWORK_FUZZ_NUMBER", "600"))
FIRST = int(os.environ.get("GATEWORK_FUZZ_FIRST", "0"))

RECIPE = """
    recipe=text_generation data=text data.path=my.txt name=one data.batch_size=4 data.sequence_length=8 data.validation_fraction=0.2
    model.layers.embedding.output_dim=6 model.layers.gru.units=10 trainer.limit_train_batches=6 trainer.limit_val_batches=2
    trainer.log_every_n_steps=1 trainer.checkpoint.every_n_steps=2 decoding.prompt=a decoding.sample_length=12
""".split()  # noqa: SIM905 - read as it is typed
RUN = "text_generation/one"

LIST = (("runs",), ("runs", "--json"), ("runs", "--prune", "--yes"))
USE = (
    ("generate", RUN, "--prompt", "a", "--length", "5"), ("generate", "last", "--length", "5"), ("evaluate", "one"),
    ("evaluate", RUN, "--split", "train", "--json"), ("convert", RUN, "--export", "exported.pt"),
    ("convert", RUN, "--export", "exported.safetensors"),
)  # fmt: skip
TRAIN = (
    ("train", *RECIPE, "trainer.max_epochs=3", "tracking=none"),
    ("train", *RECIPE, "trainer.max_epochs=2", "tracking=none"),
    ("train", *RECIPE, "trainer.max_epochs=3", "tracking=none", "resume=must"),
)
SYNC = (("sync", RUN),)
VERBS = (*LIST, *USE, *TRAIN, *SYNC)
READERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "tracking.json": (*SYNC, *SYNC, *LIST, *TRAIN),
    "metrics.jsonl": (*SYNC, *LIST, *TRAIN),
    "environment.json": SYNC,
    "system.jsonl": SYNC,
    "config": (*USE, *SYNC, *TRAIN),
    "checkpoints": (*USE, *TRAIN, LIST[2]),
    "model": (*USE, *USE, *TRAIN, *SYNC),
}
"""Which commands read a file or folder; all of them where it is not named here."""

PRELOAD = (
    "torch", "pytorch_lightning", "mlflow", "mlflow.store.tracking.sqlalchemy_store", "sqlalchemy", "matplotlib.figure",
    "matplotlib.backends.backend_agg", "framework.backends.torch.backend", "framework.engine.run.train", "framework.engine.model.evaluate",
    "framework.engine.model.opening", "framework.engine.model.export", "framework.engine.many.sync", "framework.engine.many.prune",
    "framework.cli.train",
    "framework.cli.generate", "framework.cli.evaluate", "framework.cli.runs", "framework.cli.sync", "framework.cli.convert",
)  # fmt: skip

MAY_APPEAR = ("mlflow.db", "mlflow.db.lock", "mlflow.db-journal", "mlartifacts", "exported.pt", "exported.safetensors")


@dataclass(frozen=True)
class Surroundings:
    """What all damaged runs share."""

    whole: Path
    server: ForkServer
    idle: float


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    whole = tmp_path_factory.mktemp("whole")
    words = ["gate ", "state ", "reset ", "update\n", "hidden, "]
    (whole / "my.txt").write_text("".join(random.Random(1).choices(words, k=700)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "framework", "train", *RECIPE, "trainer.max_epochs=2"]
    subprocess.run(line, cwd=whole, env=environment, check=True, capture_output=True)
    assert {path.name for path in (whole / "runs" / RUN).iterdir()} >= {
        "run.json",
        "tracking.json",
        "metrics.jsonl",
        "model",
        "checkpoints",
    }
    own = tmp_path_factory.mktemp("own")
    quiet = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLCONFIGDIR": str(own), "HOME": str(own), "GATEWORK_DATA": ""}
    with ForkServer(PRELOAD, environment=quiet, powerless=True) as server:
        yield Surroundings(whole, server, server.run(["--version"], own).megabytes)


@pytest.fixture
def place(surroundings: Surroundings, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(surroundings.whole, tmp_path / "work")
    outside = tmp_path / "work" / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    yield tmp_path / "work"
    subprocess.run(["chmod", "-R", "u+rwX", str(tmp_path)], check=True)
    subprocess.run(["rm", "-rf", str(tmp_path / "work")], check=True)  # however deep


def content(folder: Path) -> dict[str, object]:
    """Everything in a folder but the runs: content, and when it was changed."""
    found: dict[str, object] = {}
    for path in sorted(folder.iterdir()):
        if path.name == "runs" or path.name in MAY_APPEAR:
            continue
        for one in [path, *(path.rglob("*") if path.is_dir() else ())]:
            status = one.lstat()
            found[str(one.relative_to(folder))] = (
                status.st_mode,
                status.st_mtime_ns,
                one.read_bytes() if stat.S_ISREG(status.st_mode) else None,
            )
    return found


def make_unfinished(run: Path) -> None:
    """As after it was stopped, and nothing delivered: its model is that of its checkpoints."""
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "status": "stopped", "epochs": 1}))
    shutil.rmtree(run / "model")
    note = json.loads((run / "tracking.json").read_text())
    kept = {key: note[key] for key in ("key", "uri", "run_id", "experiment_id")}
    (run / "tracking.json").write_text(json.dumps(kept))


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("number", range(FIRST, FIRST + NUMBER))
def test_a_damaged_run_folder(number: int, surroundings: Surroundings, place: Path) -> None:
    source = random.Random(f"verb {number}")
    if source.random() < 0.5:
        make_unfinished(place / "runs" / RUN)
    part, what = damage(place / "runs" / RUN, place / "outside", number)
    verb = source.choice(READERS.get(part, VERBS))
    before, siblings = content(place), sorted((place / "runs" / "text_generation").iterdir())
    outcome = surroundings.server.run(verb, place)
    told = f"damage {number}: {what}\n{' '.join(verb)}\nended with {outcome.code}\n{outcome.out[-3000:]}\n{outcome.err[-3000:]}"
    assert outcome.faults(megabytes=surroundings.idle + MEGABYTES) == [], told
    assert content(place) == before, told
    assert sorted((place / "runs" / "text_generation").iterdir()) == siblings, told
    assert {path.name for path in (place / "runs").iterdir()} <= {"text_generation", "last"}, told


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: "-".join([verb[0], *verb[-2:]]))
def test_a_run_folder_without_damage(verb: tuple[str, ...], surroundings: Surroundings, place: Path) -> None:
    """Each command does its work here, so that what a damage hinders it from is seen."""
    outcome = surroundings.server.run(verb, place)
    assert (outcome.code, outcome.faults(megabytes=surroundings.idle + MEGABYTES)) == (0, []), outcome.out + outcome.err


@pytest.mark.slow
@pytest.mark.torch
def test_one_bad_folder_does_not_hide_the_others(surroundings: Surroundings, place: Path) -> None:
    for number in range(20):
        folder = place / "runs" / "text_generation" / f"bad-{number}"
        shutil.copytree(surroundings.whole / "runs" / RUN, folder)
        damage(folder, place / "outside", number)
    outcome = surroundings.server.run(["runs"], place)
    assert (outcome.code, outcome.faults(megabytes=surroundings.idle + MEGABYTES)) == (0, [])
    assert re.search(r"^(text_generation/|  )one ", outcome.out, re.MULTILINE)
    assert surroundings.server.run(["generate", "one", "--length", "5"], place).code == 0
