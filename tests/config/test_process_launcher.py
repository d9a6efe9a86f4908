"""Jobs in processes of their own: what they print, how they fail, how they are stopped."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from framework.config.launch import multirun
from framework.config.process_launcher import ProcessLauncher
from framework.config.sweeper import SearchSweeper
from framework.errors import InputError, SpecError

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = textwrap.dedent("""
    import argparse, os, signal, sys, time
    from pathlib import Path
    from framework.config.launch import add_launch_arguments, launch

    def job(composed):
        units = composed.mapping["model"]["layers"]["gru"]["units"]
        if units == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        if units == 7:
            os._exit(3)
        if units == 8:
            asked = []
            signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
            Path("begun.txt").write_text(str(os.getpid()))
            while not asked:
                time.sleep(0.02)
            Path("stopped.txt").write_text("in order")
            raise KeyboardInterrupt
        Path(f"{units}.txt").write_text(str(composed.job))

    if __name__ == "__main__":
        parser = argparse.ArgumentParser()
        add_launch_arguments(parser)
        sys.exit(launch(parser.parse_intermixed_args(), job))
""")


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    (folder / "jobs.py").write_text(SCRIPT)
    command = [sys.executable, "jobs.py", "-m", "recipe=text_generation", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_job_whose_process_dies_does_not_stop_the_others(tmp_path: Path) -> None:
    process = start(tmp_path, "model.layers.gru.units=5,6,7,9", "hydra.launcher.n_jobs=2")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    assert [(tmp_path / f"{units}.txt").read_text() for units in (5, 9)] == ["0", "3"]
    assert sorted(out.splitlines()) == [f"job {number}: model.layers.gru.units={units}" for number, units in enumerate((5, 6, 7, 9))]
    assert err.startswith("2 of 4 jobs failed\n")
    assert "its process was ended by SIGKILL; the system does that where memory runs out: run fewer at a time" in err
    assert "its process ended with exit code 3" in err


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGINT, signal.SIGKILL))]
)
def test_a_stopped_launcher_stops_its_jobs_in_order(number: signal.Signals, tmp_path: Path) -> None:
    """Killed, it can tell them nothing; they see that it is gone."""
    process = start(tmp_path, "model.layers.gru.units=8,9")
    wait_for(tmp_path / "begun.txt")
    process.send_signal(number)
    wait_for(tmp_path / "stopped.txt")
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (tmp_path / "9.txt").exists()
    if number != signal.SIGKILL:
        assert err.rstrip().endswith("KeyboardInterrupt")


@pytest.mark.parametrize("count", [0, -1, True, "two", 1.5])
def test_a_wrong_number_of_jobs(count: Any) -> None:
    with pytest.raises(InputError, match=r"hydra\.launcher\.n_jobs is .*; expected a whole number from 1 on"):
        ProcessLauncher(count)


def test_a_wrong_number_of_jobs_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((InputError, SpecError), match=r"(?s)n_jobs: value not accepted.*value: 0.*a whole number above 0"):
        multirun(["recipe=text_generation", "seed=1,2", "hydra.launcher.n_jobs=0"], [], print)


def test_hydra_finds_it_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No module is made up for it, while Hydra looks for it or afterwards: it can be sent to another process."""
    monkeypatch.chdir(tmp_path)
    found: list[set[str]] = []

    def setup(launcher: ProcessLauncher, **words: Any) -> None:
        found.append({name for name in sys.modules if name.startswith("hydra_plugins") and "gatework" in name})

    monkeypatch.setattr(ProcessLauncher, "setup", setup)
    monkeypatch.setattr(ProcessLauncher, "launch", lambda *words, **named: [])
    assert multirun(["recipe=text_generation", "seed=1,2"], [], print) == []
    assert found == [set()]
    for plugin in (ProcessLauncher, SearchSweeper):
        assert pickle.loads(pickle.dumps(plugin)) is plugin
