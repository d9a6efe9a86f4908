"""What lies at the top of the checkout, and what people can start there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP_LEVEL = {"configs", "framework", "recipes", "scripts", "tests", ".ci"}


def tracked_files() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files belong to it is not known")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in listed.stdout.split("\0") if name]


def test_top_level_folders_are_those_of_the_design() -> None:
    assert {path.parts[0] for path in tracked_files() if len(path.parts) > 1} <= TOP_LEVEL


def test_no_module_is_a_drawer_for_anything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [path for path in tracked_files() if path.suffix == ".py" and drawers & set(path.with_suffix("").parts)] == []


def test_files_hold_at_most_400_lines() -> None:
    long = [path for path in tracked_files() if path.suffix == ".py" and (ROOT / path).exists()]
    assert [str(path) for path in long if len((ROOT / path).read_text(encoding="utf-8").splitlines()) > 400] == []


@pytest.mark.parametrize("script", ["scripts/run", "scripts/test", ".ci/run"])
def test_scripts_can_be_started(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/usr/bin/env bash\n")


@pytest.mark.parametrize("script", ["scripts/run", "scripts/test", "scripts/environment", "scripts/needed_extras", ".ci/run"])
def test_scripts_are_well_formed(script: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_every_dependency_is_pinned_for_the_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    requirements = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    names = {normal(re.split(r"[<>=!\[]", requirement)[0]) for requirement in requirements} - {"gatework", "setuptools"}
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", pin) for pin in pins), "exact versions, no build suffix, no address"
    assert sorted(names - {normal(pin.split("==")[0]) for pin in pins}) == []


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
