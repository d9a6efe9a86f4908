"""scripts/run and scripts/test: what they install and when, shown with a Python that only writes down what it is asked."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PYTEST = "-m pytest --numprocesses auto --dist worksteal"

ROOT = Path(__file__).parents[2]

# Stands for every Python: makes "environments" with itself in them, and notes each installation.
PYTHON = """#!/usr/bin/env bash
case "$*" in
    --version) echo "Python 3.11.0" ;;
    "-m venv --clear "*)
        for folder; do :; done
        rm -rf "$folder"; mkdir -p "$folder/bin"; cp "$0" "$folder/bin/python"; echo venv >>"$NOTES"
        says='"%s|%s%s\\n" "$PWD" "$*" "${PYTHONPYCACHEPREFIX:+|$PYTHONPYCACHEPREFIX}$PYTHONDONTWRITEBYTECODE"'
        printf '#!/usr/bin/env bash\\nprintf %s\\n' "$says" >"$folder/bin/gatework"; chmod +x "$folder/bin/gatework" ;;
    "-m pip install "*) for last; do :; done; echo "pip $last" >>"$NOTES"; sleep "${PIP_SECONDS:-0}"; exit "${PIP_STATUS:-0}" ;;
    "-c import sys, venv, "*) exit "${TOO_OLD:-0}" ;;
    "-m "*) echo "$*${GATEWORK_DATA:+ with $GATEWORK_DATA}"; [[ "$*" != $FAILING ]] ;;
esac
"""


@dataclass
class Checkout:
    """A folder with the scripts, the files an installation is made from, and a Python that writes down what it is asked."""

    root: Path
    variables: dict[str, str]

    def start(self, script: str, *arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.root / "scripts" / script), *arguments]
        return subprocess.run(
            command, cwd=cwd or self.root, env=self.variables | variables, capture_output=True, text=True, timeout=30, check=False
        )

    def run(self, *arguments: str, **variables: str) -> None:
        finished = self.start("run", *arguments, **variables)
        assert finished.returncode == 0, finished.stderr

    def notes(self) -> list[str]:
        """What was asked of the Python since the last look."""
        path = Path(self.variables["NOTES"])
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def pip_was_asked(self) -> bool:
        path = Path(self.variables["NOTES"])
        return path.exists() and "pip" in path.read_text()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / "check out"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for name in ("pyproject.toml", "setup.py", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    python = tmp_path / "names" / "python3.13"
    python.parent.mkdir()
    python.write_text(PYTHON)
    python.chmod(0o755)
    variables = {"PATH": f"{python.parent}:{os.environ['PATH']}", "NOTES": str(tmp_path / "notes"), "FAILING": "nothing"}
    return Checkout(root, variables)


def test_first_start_installs_and_the_second_does_not(checkout: Checkout) -> None:
    checkout.run("check")
    assert checkout.notes() == ["venv", "pip ."]
    checkout.run("check")
    assert checkout.notes() == []


def test_a_start_takes_next_to_no_time_once_installed(checkout: Checkout) -> None:
    checkout.run("train")
    began = time.perf_counter()
    checkout.run("train")
    assert time.perf_counter() - began < 1


def test_run_keeps_the_folder_the_arguments_and_a_clean_output(checkout: Checkout, tmp_path: Path) -> None:
    finished = checkout.start("run", "generate", "last", "--prompt", "two words", cwd=tmp_path)
    assert finished.stdout == f"{tmp_path}|generate last --prompt two words\n"
    assert "installing gatework" in finished.stderr


def test_bytecode_is_kept_where_the_surroundings_forbid_it_beside_the_sources(checkout: Checkout, tmp_path: Path) -> None:
    started = checkout.start("run", "check", PYTHONDONTWRITEBYTECODE="1")
    assert started.stdout == f"{checkout.root}|check|{checkout.root}/.venv/bytecode\n"
    given = checkout.start("run", "check", PYTHONDONTWRITEBYTECODE="1", PYTHONPYCACHEPREFIX=str(tmp_path))
    assert given.stdout == f"{checkout.root}|check|{tmp_path}\n"


def test_further_extras_are_installed_beside_those_that_a_command_needs(checkout: Checkout) -> None:
    checkout.run("train", "backend=tensorflow", "tracking=none", GATEWORK_EXTRAS="tensorflow-cuda")
    assert checkout.notes() == ["venv", "pip .[tensorflow,tensorflow-cuda]"]
    checkout.run("check")
    checkout.run("check", GATEWORK_EXTRAS="tensorflow-cuda")
    assert checkout.notes() == []


def test_extras_accumulate(checkout: Checkout) -> None:
    checkout.run("train", "tracking=none")
    checkout.run("train", "backend=tensorflow", "tracking=none")
    assert checkout.notes() == ["venv", "pip .[torch]", "pip .[tensorflow,torch]"]
    checkout.run("train", "tracking=none")
    checkout.run("check")
    assert checkout.notes() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.py", "constraints.txt"])
def test_a_changed_file_installs_again_in_place(checkout: Checkout, name: str) -> None:
    checkout.run("train", "tracking=none")
    checkout.notes()
    checkout.write(name, "changed\n")
    checkout.run("check")
    assert checkout.notes() == ["pip .[torch]"]


def test_a_failed_installation_is_tried_again_and_leaves_what_worked(checkout: Checkout) -> None:
    checkout.run("train", "tracking=none")
    failed = checkout.start("run", "train", "backend=tensorflow", PIP_STATUS="1")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert re.search(r"the installation failed after \d+ s; pip says above why", failed.stderr)
    checkout.notes()
    checkout.run("train", "tracking=none")
    assert checkout.notes() == []
    checkout.run("train", "backend=tensorflow", "tracking=none")
    assert checkout.notes() == ["pip .[tensorflow,torch]"]


def test_an_installation_that_was_cut_off_is_begun_anew(checkout: Checkout) -> None:
    checkout.run("train", "tracking=none")
    checkout.notes()
    with subprocess.Popen(
        [checkout.root / "scripts" / "run", "train", "backend=tensorflow"],
        env=checkout.variables | {"PIP_SECONDS": "30"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as cut_off:
        wait_until(checkout.pip_was_asked)
        os.killpg(cut_off.pid, signal.SIGKILL)
    checkout.notes()
    again = checkout.start("run", "check")
    assert "an earlier installation was cut off: beginning anew" in again.stderr
    assert checkout.notes() == ["venv", "pip .[torch]"]


def test_a_start_that_is_interrupted_says_so_and_runs_nothing(checkout: Checkout) -> None:
    with subprocess.Popen(
        [checkout.root / "scripts" / "run", "train"],
        env=checkout.variables | {"PIP_SECONDS": "30"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as interrupted:
        wait_until(checkout.pip_was_asked)
        os.killpg(interrupted.pid, signal.SIGINT)
        output, said = interrupted.communicate(timeout=10)
    assert interrupted.returncode == 130
    assert output == ""
    assert "interrupted; the next start begins the installation anew" in said


@pytest.mark.skipif(shutil.which("flock") is None, reason="flock is not installed: starts at the same time are not held apart")
def test_starts_at_the_same_time_install_once(checkout: Checkout) -> None:
    starts = [
        subprocess.Popen(
            [checkout.root / "scripts" / "run", "check"],
            env=checkout.variables | {"PIP_SECONDS": "0.5"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    said = [start.communicate(timeout=30)[1] for start in starts]
    assert [start.returncode for start in starts] == [0, 0, 0]
    assert sorted("another start is installing; waiting for it" in text for text in said) == [False, True, True]
    assert checkout.notes() == ["venv", "pip ."]


def test_a_checkout_that_was_moved_gets_a_new_environment(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("train", "tracking=none")
    checkout.notes()
    moved = Checkout(tmp_path / "moved", checkout.variables)
    checkout.root.rename(moved.root)
    moved.run("check")
    assert moved.notes() == ["venv", "pip .[torch]"]


def test_without_a_python_that_is_new_enough_it_says_what_to_do(checkout: Checkout, tmp_path: Path) -> None:
    for name in ("python3.12", "python3.11", "python3"):
        shutil.copy(tmp_path / "names" / "python3.13", tmp_path / "names" / name)
    finished = checkout.start("run", "check", TOO_OLD="1")
    assert finished.returncode == 1
    assert "found no Python 3.11 or newer" in finished.stderr
    assert "GATEWORK_PYTHON=" in finished.stderr
    assert not (checkout.root / ".venv").exists()


def test_the_python_that_was_named_is_the_one_or_none(checkout: Checkout, tmp_path: Path) -> None:
    finished = checkout.start("run", "check", GATEWORK_PYTHON="no-such-python")
    assert finished.returncode == 1
    assert "GATEWORK_PYTHON=no-such-python is no Python 3.11 or newer" in finished.stderr
    own = tmp_path / "own"
    shutil.copy(tmp_path / "names" / "python3.13", own)
    checkout.run("check", GATEWORK_PYTHON=str(own))
    assert checkout.notes() == ["venv", "pip ."]


def test_the_test_script_installs_everything_and_runs_all_even_if_one_fails(checkout: Checkout) -> None:
    finished = checkout.start("test", "-k", "one", FAILING="*@(format|mypy)*")
    assert finished.returncode == 1
    assert finished.stdout.splitlines() == ["-m ruff check .", "-m ruff format --check .", "-m mypy", f"{PYTEST} -k one"]
    assert "failed: ruff format, mypy\n" in finished.stderr
    assert checkout.notes() == ["venv", "pip .[captioning,dev,efficientnet,export,mlflow,sweep,tensorflow,torch,translation]"]
    assert checkout.start("test").returncode == 0


@pytest.mark.parametrize("given", ["", "/elsewhere"])
def test_ci_finds_the_published_data_beside_the_checkout(checkout: Checkout, tmp_path: Path, given: str) -> None:
    shutil.copytree(ROOT / ".ci", checkout.root / ".ci")
    data = tmp_path / "shared" / "data"
    data.mkdir(parents=True)
    finished = checkout.start("../.ci/run", cwd=tmp_path, **({"GATEWORK_DATA": given} if given else {}))
    assert finished.returncode == 0
    assert finished.stdout.splitlines()[-1] == f"{PYTEST} with {given or data}"


def test_ci_does_without_the_published_data(checkout: Checkout) -> None:
    shutil.copytree(ROOT / ".ci", checkout.root / ".ci")
    finished = checkout.start("../.ci/run")
    assert finished.stdout.splitlines()[-1] == PYTEST


def test_everything_is_what_the_project_calls_all() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed = subprocess.run(
        ["bash", "-c", 'source "$1"/environment; echo $every_extra', "-", str(ROOT / "scripts")], capture_output=True, text=True, check=True
    ).stdout.split()
    assert sorted(extras) == sorted([*listed, "all", "dev", "tensorflow-cuda"])
    assert extras["all"] == ["gatework[torch,tensorflow,mlflow,translation,captioning,efficientnet,export,sweep]"]


@pytest.mark.parametrize(
    ("line", "extras"),
    [
        ("", ""),
        ("--help", ""),
        ("train --help", ""),
        ("train --cfg job recipe=text_generation", ""),
        ("check recipe=text_generation backend=torch", ""),
        ("explain recipe=translation", ""),
        ("why model.layers.gru.units recipe=text_generation", ""),
        ("new mine --from text_generation", ""),
        ("runs", ""),
        ("train recipe=text_generation", "mlflow torch"),
        ("train backend=tensorflow recipe=text_generation", "mlflow tensorflow"),
        ("train ++backend=tensorflow", "mlflow tensorflow"),
        ("train backend.name=tensorflow tracking=none", "tensorflow"),
        ("train -m backend=torch,tensorflow tracking=none", "tensorflow torch"),
        ("train sweep=optuna tracking=none", "sweep torch"),
        ("train -m hydra/launcher=joblib tracking=none", "sweep torch"),
        ("train sweep=learning_rate tracking=none", "torch"),
        ("--config-dir conf train recipe=text_generation tracking=none", "torch"),
        ("train recipe=translation tracking=none", "torch translation"),
        ("reproduce recipe=captioning", "captioning mlflow torch"),
        ("reproduce recipe=captioning --variant held_out --seeds 3 backend=tensorflow", "captioning mlflow tensorflow"),
        ("reproduce recipe=captioning --from-results", ""),
        ("parity recipe=text_generation tracking=none", "tensorflow torch"),
        ("train recipe=mine tracking=none", "tensorflow"),
        ("train recipe=pairs tracking=none", "torch translation"),
        ("evaluate third", "torch translation"),
        ("predict third", "torch translation"),
        ("features data=scenes", "captioning"),
        ("features data=photos", "captioning efficientnet"),
        ("train recipe=captioning data=photos tracking=none", "captioning efficientnet torch"),
        ("train recipe=photos tracking=none backend=tensorflow", "captioning efficientnet tensorflow"),
        ("caption fourth", "captioning efficientnet torch"),
        ("generate last --prompt torch", "tensorflow"),
        ("generate --prompt torch last", "tensorflow"),
        ("evaluate first", "torch translation"),
        ("evaluate runs/other/first", "torch translation"),
        ("evaluate second paths.runs_dir=elsewhere", "tensorflow"),
        ("convert last --to torch", "tensorflow torch"),
        ("convert last --to=torch", "tensorflow torch"),
        ("generate 0123abcd", "mlflow torch"),
        ("translate 0123abcd", "mlflow torch translation"),
        ("sync last", "mlflow"),
        ("import w.safetensors --recipe pairs", "torch translation"),
        ("import model.keras --recipe=text_generation", "tensorflow torch"),
        ("import w.pt recipe=text_generation backend=tensorflow", "tensorflow torch"),
        ("convert first --export w.keras", "tensorflow torch translation"),
        ("convert last --export=w.pt", "tensorflow torch"),
        ("export last --format onnx", "export tensorflow"),
        ("export last --format=torch_export", "tensorflow torch"),
        ("export first --format saved_model", "tensorflow torch translation"),
    ],
)
def test_extras_that_a_command_needs(checkout: Checkout, line: str, extras: str) -> None:
    checkout.write("runs/last", "runs/text_generation/tensorflow-01234567\n")
    checkout.write(
        "runs/text_generation/tensorflow-01234567/config/resolved.yaml",
        "seed: 0\nbackend:\n  device: cpu\n  name: tensorflow\nname: torch\n",
    )
    checkout.write("runs/other/first/config/resolved.yaml", "recipe: translation\nbackend: {device: cpu, name: torch}\n")
    checkout.write("elsewhere/other/second/config/resolved.yaml", "recipe: other\nbackend:\n  name: tensorflow\n")
    kind = "task:\n  normalization: per_token\n  kind: translation\n"
    checkout.write("runs/pairs/third/config/resolved.yaml", f"recipe: pairs\nbackend: {{name: torch}}\n{kind}")
    seen = "  features:\n    kind: efficientnet_lite0\n"
    checkout.write("runs/photos/fourth/config/resolved.yaml", f"recipe: photos\nbackend: {{name: torch}}\ndata:\n  kind: captions\n{seen}")
    checkout.write("configs/data/photos.yaml", "kind: captions\nfeatures:\n  kind: efficientnet_lite0  # a network\n")
    checkout.write("configs/recipe/photos.yaml", "defaults:\n  - override /data: photos\ntask: {kind: captioning}\n")
    checkout.write("configs/recipe/pairs.yaml", "recipe: pairs\ntask: {kind: translation}  # of pairs\n")
    checkout.write("configs/recipe/mine.yaml", "defaults:\n  - text_generation\n  - override /backend: tensorflow\n")
    assert needed_extras(checkout, line) == extras


def test_a_run_that_is_not_found_keeps_to_the_backend_at_hand(checkout: Checkout) -> None:
    checkout.run("train", "backend=tensorflow")
    assert needed_extras(checkout, "generate 0123abcd") == "mlflow tensorflow"


def needed_extras(checkout: Checkout, line: str) -> str:
    script = 'set -euo pipefail; source "$0/scripts/environment"; source "$0/scripts/needed_extras"; needed_extras "$@"'
    return subprocess.run(
        ["bash", "-c", script, str(checkout.root), *line.split()], cwd=checkout.root, capture_output=True, text=True, check=True
    ).stdout.strip()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited for ten seconds"
        time.sleep(0.02)
