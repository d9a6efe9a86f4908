"""A package of somebody else brings a task, a kind of data and a layer kind, and every command serves it as it serves our own.

The package lies beside this file, as its author would write it; it is installed into a folder that only these commands see.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from tracking.served_model import serving

PACKAGE = Path(__file__).parent / "tones"
COMMON = ("--config-dir", "configs", "recipe=tones", "trainer.max_epochs=3")


ALL_OF_THEM = """
import contextlib, io, json, sys
from framework.cli.main import main
for words in json.load(sys.stdin):
    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        code = main(words)
    print(json.dumps([code, said.getvalue(), complained.getvalue()]))
"""
"""Runs commands in one process: most of what a command takes is the import of a backend."""


class Stranger:
    """The author's folder with the package installed, and a shell in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        shutil.copytree(PACKAGE, self.folder)
        site = folder / "site"
        words = ["-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site), str(self.folder)]
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        self.environment = {**os.environ, "PYTHONPATH": str(site), "OMP_WAIT_POLICY": "passive"}

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "framework", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def types(self, *words: str, code: int = 0) -> str:
        """What a command prints."""
        process = self.start(*words)
        said, complained = process.communicate(timeout=300)
        assert process.returncode == code, complained
        return said if code == 0 else complained

    def types_all(self, *commands: list[str]) -> list[tuple[int, str]]:
        """The exit code of each command and what it prints, or complains of; in one process, another one than any before."""
        words = [sys.executable, "-c", ALL_OF_THEM]
        given = json.dumps(commands)
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, input=given, capture_output=True, text=True, check=True, timeout=300
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        return [(code, said if code == 0 else complained) for code, said, complained in answers]

    def weights(self, name: str) -> dict[str, bytes]:
        """Of a run's last checkpoint, by name."""
        file = self.folder / "runs" / "tones" / name / "checkpoints" / "last" / "state.safetensors"
        return {key: value.tobytes() for key, value in load_file(file).items() if not key.startswith("progress/seconds")}


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Stranger:
    return Stranger(tmp_path_factory.mktemp("stranger"))


@pytest.mark.slow
def test_light_commands_know_the_package_and_import_no_backend(stranger: Stranger) -> None:
    assert "the config is valid (4 layers" in stranger.types("check", *COMMON)
    explained = json.loads(stranger.types("explain", *COMMON, "--json"))
    assert explained["parameters"] == 5_635 and explained["decoding_obstacles"] is None
    wrong = stranger.types("check", *COMMON, "task.kind=sequence_clasifier", code=2)
    assert "unknown kind" in wrong and "did you mean: sequence_classifier" in wrong
    code = (
        "import sys, framework.plugin, framework.plugins as p; assert not p.load_plugins(); print({'torch', 'tensorflow'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], env=stranger.environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.torch
def test_a_run_is_trained_measured_and_asked(stranger: Stranger) -> None:
    said = stranger.types("train", *COMMON, "name=asked", "tracking=none")
    assert re.search(r"epoch 3/3: loss \d\.\d+, val_loss \d\.\d+, val_accuracy 0\.\d+", said)
    test, validation, predicted, misspelt, generated = stranger.types_all(
        ["evaluate", "asked", "--split", "test", "--json"],
        ["evaluate", "asked", "--split", "validation", "--json"],
        ["predict", "asked", "guten morgen", "buenos días"],
        ["evaluate", "asked", "--split", "tests"],
        ["generate", "asked", "--prompt", "a"],
    )
    assert [one[0] for one in (test, validation, predicted, misspelt, generated)] == [0, 0, 0, 2, 2]
    measured = json.loads(test[1])
    assert measured["batches"] == 4 and 0 < measured["accuracy"] < 1
    assert json.loads(validation[1])["loss"] != measured["loss"]
    assert [sorted(json.loads(line)) for line in predicted[1].splitlines()] == [["label", "probability"]] * 2
    assert "no part 'tests', only train, validation, test" in misspelt[1]
    assert "makes no running text; use gatework predict asked" in generated[1]


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.tensorflow
@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
def test_a_killed_run_ends_with_the_same_bits(backend: str, stranger: Stranger) -> None:
    words = ("train", *COMMON, f"backend={backend}", "tracking=none", "trainer.max_epochs=40", "trainer.checkpoint.every_n_steps=5")
    stranger.types(*words, f"name=whole-{backend}")
    process = stranger.start(*words, f"name=killed-{backend}")
    metrics = stranger.folder / "runs" / "tones" / f"killed-{backend}" / "metrics.jsonl"
    while process.poll() is None and not (metrics.is_file() and metrics.read_text().count("epoch/val_loss") >= 2):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    said = stranger.types(*words, f"name=killed-{backend}")
    assert "from checkpoint" in said
    assert stranger.weights(f"killed-{backend}") == stranger.weights(f"whole-{backend}")


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.tensorflow
def test_the_backends_agree_and_a_run_moves_between_them(stranger: Stranger) -> None:
    assert "17 of 17 agree" in stranger.types("parity", *COMMON)
    stranger.types("train", *COMMON, "name=keras", "backend=tensorflow", "tracking=none")
    stranger.types("convert", "keras", "--to", "torch", "--name", "moved")
    losses = [json.loads(stranger.types("evaluate", name, "--split", "test", "--json"))["loss"] for name in ("keras", "moved")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.slow
@pytest.mark.torch
def test_many_runs_and_a_served_model(stranger: Stranger) -> None:
    said = stranger.types("train", "-m", *COMMON, "model.layers.gru.units=8,12")
    assert len(re.findall(r"^finished ", said, re.MULTILINE)) == 2
    assert "2 jobs: 2 finished" in said
    [model, *_] = sorted((stranger.folder / "mlartifacts" / "models").iterdir())
    with serving(str(model / "artifacts"), stranger.folder, stranger.environment) as ask:
        status, answer = ask({"dataframe_records": [{"phrase": "guten morgen"}, {"phrase": "lunes"}]})
        assert status == 200
        assert [sorted(row) for row in answer["predictions"]] == [["label", "probability"]] * 2
