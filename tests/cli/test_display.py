"""Nothing that befalls the display of a training touches the training: pipes, full disks, closed streams, encodings, terminals."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

WORDS = "recipe=text_generation data=python_source debug=small model.layers.gru.units=8 tracking=none trainer.max_epochs=2"
BACKENDS = [
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("tensorflow", marks=[pytest.mark.tensorflow, pytest.mark.slow]),
]
LOST = [
    pytest.param("gatework train {} 2>&1 | head -1", id="a reader that goes away", marks=pytest.mark.slow),
    pytest.param("gatework train {} <&- >&- 2>&-", id="closed streams", marks=pytest.mark.slow),
    pytest.param("gatework train {} > /dev/full 2> /dev/full", id="a full disk", marks=pytest.mark.slow),
    pytest.param("gatework train {} | true", id="nobody at all", marks=pytest.mark.slow),
    pytest.param("PYTHONIOENCODING=ascii gatework train {} > out.txt", id="only ASCII", marks=pytest.mark.slow),
]


def gatework(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a line of shell in which ``gatework`` is the command; its exit code is the command's."""
    begin = f'set -o pipefail; gatework() {{ "{sys.executable}" -m framework "$@"; }}; '
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(
        ["bash", "-c", begin + line], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def whole(run: Path) -> None:
    """The run is finished, with everything that it leaves behind."""
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["epochs"], record.get("error")) == ("finished", 2, None)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line["values"]] == list(range(1, 11))
    for file in (
        "model/weights.safetensors",
        "checkpoints/last/state.safetensors",
        "samples/epoch-0002.txt",
        "report.md",
        "plots/loss.png",
    ):
        assert (run / file).stat().st_size > 0, file
    assert "loss" in (run / "report.md").read_text()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lost", LOST)
def test_a_training_goes_on_unseen(lost: str, backend: str, tmp_path: Path) -> None:
    done = gatework(lost.format(f"{WORDS} name=one backend={backend}"), tmp_path)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    whole(tmp_path / "runs" / "text_generation" / "one")


@pytest.mark.torch
@pytest.mark.slow
def test_ascii_output_is_readable(tmp_path: Path) -> None:
    assert (
        gatework(
            f"PYTHONIOENCODING=ascii gatework train {WORDS} decoding.prompt='\u00bb ' data.unknown=replace > out.txt", tmp_path
        ).returncode
        == 0
    )
    out = (tmp_path / "out.txt").read_bytes()
    assert b"epoch 2/2: loss" in out
    assert b"  ? " in out, "what stands before each line of a sample is replaced"


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.parametrize(
    "words", ["-m seed=1,2", "-m seed=1,2 hydra/launcher=joblib", "sweep=optuna hydra.sweeper.n_trials=2 'seed=choice(1,2)'"]
)
def test_jobs_of_a_multirun_go_on_unseen(words: str, tmp_path: Path) -> None:
    done = gatework(f"gatework train {words} {WORDS} 2>&1 | head -1", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    runs = [path.parent for path in (tmp_path / "runs").glob("*/*/run.json")]
    assert len(runs) == 2
    for run in runs:
        whole(run)


LONG = [*WORDS.split(), "trainer.max_epochs=100000", "trainer.sample_every_n_epochs=null", "name=one"]


def started(run: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 200
    while not (run / "checkpoints" / "last").is_dir():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def stopped_with_a_checkpoint(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    last = json.loads((run / "checkpoints" / "last" / "checkpoint.json").read_text())
    assert record["status"] == "stopped"
    assert record["steps"] == last["position"]["step"] > 0


@pytest.mark.slow
@pytest.mark.torch
def test_hanging_up_saves_the_run(tmp_path: Path) -> None:
    """A terminal that is closed: its processes get SIGHUP, and can write to it no more."""
    run = tmp_path / "runs" / "text_generation" / "one"
    master, slave = pty.openpty()
    line = [
        sys.executable,
        "-c",
        "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from framework.cli.main import command; sys.exit(command())",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [*line, "train", *LONG], cwd=tmp_path, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    os.set_blocking(master, False)
    deadline = time.monotonic() + 200
    while not (run / "checkpoints" / "last").is_dir():
        assert process.poll() is None and time.monotonic() < deadline
        try:
            os.read(master, 1 << 16)
        except BlockingIOError:
            time.sleep(0.05)
    os.close(master)
    assert process.wait(timeout=120) == 130
    stopped_with_a_checkpoint(run)


@pytest.mark.torch
@pytest.mark.slow
def test_a_run_under_nohup_is_not_hung_up(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "text_generation" / "one"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with (tmp_path / "out.txt").open("wb") as out:
        process = subprocess.Popen(
            ["nohup", sys.executable, "-m", "framework", "train", *LONG], cwd=tmp_path, env=environment, stdout=out, stderr=out
        )
    started(run, process)
    process.send_signal(signal.SIGHUP)
    time.sleep(2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 130
    stopped_with_a_checkpoint(run)


@pytest.mark.torch
@pytest.mark.slow
def test_hanging_up_a_multirun_saves_its_jobs(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "text_generation" / "one"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    line = [sys.executable, "-m", "framework", "train", "-m", *LONG]
    process = subprocess.Popen(line, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started(run, process)
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=120) == 130
    stopped_with_a_checkpoint(run)
    [multirun] = (tmp_path / "runs" / ".multirun").glob("*/multirun.json")
    assert json.loads(multirun.read_text())["status"] == "killed"
