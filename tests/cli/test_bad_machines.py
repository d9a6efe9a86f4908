"""What goes wrong with a machine, and what a user sees then: full disks, damaged files, two starts, no memory, numbers that explode."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from framework.cli import main as command
from framework.cli.main import main

pytestmark = pytest.mark.torch

WORDS = ("recipe=text_generation", "data=python_source", "debug=small", "model.layers.gru.units=8", "tracking=none", "name=one")


def train(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "framework", "train", *WORDS, *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, check=False, **options)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "text_generation" / "one"


def end_of(run: Path) -> bytes:
    return (run / "model" / "weights.safetensors").read_bytes()


@pytest.mark.slow
def test_a_full_disk_loses_nothing(own_folder: Path) -> None:
    """A limit on the size of files, which a checkpoint exceeds, fails its writing as a full disk does."""
    assert main(["train", *WORDS, "name=whole", "trainer.max_epochs=2"]) == 0
    assert main(["train", *WORDS]) == 0
    before = {path.name: path.read_bytes() for path in (own_folder / "checkpoints" / "last").iterdir()}

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = train("trainer.max_epochs=2", preexec_fn=limit)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"error: cannot write a checkpoint to {own_folder / 'checkpoints'}: " in done.stderr
    assert "the one before is kept" in done.stderr
    assert {path.name: path.read_bytes() for path in (own_folder / "checkpoints" / "last").iterdir()} == before
    assert json.loads((own_folder / "run.json").read_text())["status"] == "failed"
    assert main(["train", *WORDS, "trainer.max_epochs=2"]) == 0
    assert end_of(own_folder) == end_of(own_folder.parent / "whole")


@pytest.mark.parametrize("damage", ["cut", "altered"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(damage: str, own_folder: Path, capsys: Any) -> None:
    words = [*WORDS, "trainer.checkpoint.every_n_steps=2"]
    assert main(["train", *words, "name=whole", "trainer.max_epochs=2"]) == 0
    assert main(["train", *words]) == 0
    state = own_folder / "checkpoints" / "last" / "state.safetensors"
    content = state.read_bytes()
    state.unlink()  # it may be the same file as best's
    state.write_bytes(content[:-100] if damage == "cut" else content[:-100] + bytes(100))
    capsys.readouterr()
    assert main(["train", *words, "trainer.max_epochs=2"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "going on from the checkpoint before it" in out
    assert "from checkpoint 'previous': epoch 0, step 4" in out
    assert end_of(own_folder) == end_of(own_folder.parent / "whole")
    for name in ("last", "previous"):
        path = own_folder / "checkpoints" / name / "state.safetensors"
        path.unlink()
        path.write_bytes(b"nothing")
    assert main(["train", *words, "trainer.max_epochs=3"]) == 1
    err = capsys.readouterr().err
    assert str(own_folder / "checkpoints" / "last") in err
    assert "start again with resume=never" in err


def test_a_run_of_a_newer_version_is_refused(own_folder: Path, capsys: Any) -> None:
    assert main(["train", *WORDS]) == 0
    spec = own_folder / "model" / "spec.yaml"
    spec.write_text(spec.read_text().replace("spec_version: 1", "spec_version: 99"))
    capsys.readouterr()
    assert main(["evaluate", "last"]) == 2
    assert "model/spec.yaml was written by a newer Gatework" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_two_starts_of_one_run(own_folder: Path, capsys: Any) -> None:
    words = [*WORDS, "trainer.max_epochs=100000", "trainer.sample_every_n_epochs=null"]
    first = subprocess.Popen(
        [sys.executable, "-m", "framework", "train", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 120
    while not (own_folder / "metrics.jsonl").is_file():
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    assert main(["train", *words]) == 2
    assert f"{own_folder} is in use by process {first.pid}" in capsys.readouterr().err
    first.send_signal(signal.SIGTERM)
    out, _ = first.communicate(timeout=120)
    assert first.returncode == 130
    assert "the same command goes on from there" in out
    assert json.loads((own_folder / "run.json").read_text())["status"] == "stopped"


def test_numbers_that_explode_stop_the_run_at_the_last_good_checkpoint(own_folder: Path, capsys: Any) -> None:
    assert (
        main(
            ["train", *WORDS, "model.layers.embedding.output_dim=256", "optimizer.learning_rate=1e30", "trainer.checkpoint.every_n_steps=1"]
        )
        == 1
    )
    err = capsys.readouterr().err
    assert "error: the loss is " in err
    assert " at step " in err
    assert f"the last good checkpoint is {own_folder / 'checkpoints' / 'last'}" in " ".join(err.split())
    assert "a lower optimizer.learning_rate" in err


def test_no_memory_is_named_with_what_would_help(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def no_memory(words: list[str]) -> int:
        raise MemoryError("Unable to allocate 3.00 TiB for an array")

    monkeypatch.setattr(command, "_run", no_memory)
    assert main(["train", *WORDS]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: memory does not suffice: Unable to allocate 3.00 TiB")
    assert "hint: a smaller data.batch_size" in err


def test_a_model_that_no_machine_holds(capsys: Any) -> None:
    """A recurrent kernel of more bytes than an address has room for."""
    assert main(["train", *WORDS, "model.layers.gru.units=3000000000"]) in (1, 2)
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "memory" in err
    assert "Traceback" not in err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(own_folder: Path, tmp_path: Path, capsys: Any) -> None:
    tmp_path.chmod(0o500)
    try:
        assert main(["train", *WORDS]) == 2
    finally:
        tmp_path.chmod(0o700)
    assert "Permission denied" in capsys.readouterr().err
