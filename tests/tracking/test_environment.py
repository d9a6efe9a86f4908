"""Code, libraries and machine of a run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from framework.tracking.environment import describe_environment, git_state


def git(folder: Path, *words: str) -> str:
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_state_of_a_checkout_is_told(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "sub").mkdir()
    (tmp_path / "runs.txt").write_text("not tracked")
    assert git_state(tmp_path / "sub") == {"commit": commit, "branch": "trunk", "dirty": False}
    (tmp_path / "code.py").write_text("2")
    assert git_state(tmp_path) == {"commit": commit, "branch": "trunk", "dirty": True}


def test_outside_of_a_checkout_nothing_is_said_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = describe_environment(tmp_path)
    assert "git" not in found
    assert found["python"] == platform.python_version()
    assert found["libraries"]["numpy"] == version("numpy")
    assert found["hardware"]["processors"] == os.cpu_count()
    assert json.loads(json.dumps(found)) == found


def test_a_missing_git_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None


def test_gpus_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'Some GPU, 81559 MiB, 550.54'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert describe_environment(tmp_path)["hardware"]["gpus"] == ["Some GPU, 81559 MiB, 550.54"]
