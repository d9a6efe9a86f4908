"""The wheel works outside the checkout, and puts one name into site-packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"framework": "framework", "configs": "framework/configs", "recipes": "framework/recipes"}


def shipped_files() -> Iterator[str]:
    """Where each file that a user needs must lie in the wheel."""
    for folder, installed in FOLDERS.items():
        for pattern in ("*.py", "*.yaml", "README.md", "results/*.json", "results/*/*.json", "py.typed"):
            for path in (ROOT / folder).rglob(pattern):
                yield f"{installed}/{path.relative_to(ROOT / folder).as_posix()}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left behind in the checkout and nothing of it that git ignores gets in."""
    copy = tmp_path_factory.mktemp("checkout")
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.is_file() and not path.name.startswith("."):
            shutil.copy(path, copy)
    built = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built), str(copy))
    (path,) = built.glob("*.whl")
    return path


def pip(*arguments: str) -> None:
    finished = subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


@dataclass(frozen=True)
class Installation:
    """An environment with the wheel in it, and an empty folder to work in."""

    environment: Path
    folder: Path

    def start(self, program: str, *arguments: str) -> str:
        variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "GATEWORK_DATA")}
        finished = subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.folder,
            env=variables | {"PYTHONNOUSERSITE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert finished.returncode == 0, f"{program} {' '.join(arguments)} gave {finished.returncode}\n{finished.stdout}\n{finished.stderr}"
        return finished.stdout.strip()


@pytest.fixture(scope="module")
def installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """The wheel alone is installed; third-party packages come from the environment of the tests, behind its own.

    A folder named in a .pth file does not have its own .pth files read, so the checkout's editable installation is not seen.
    """
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    own = sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)})
    libraries = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    Path(own, "libraries_of_the_tests.pth").write_text("\n".join(libraries) + "\n")
    installed = Installation(environment, tmp_path_factory.mktemp("empty folder"))
    location = installed.start("python", "-c", "import framework; print(framework.__file__)")
    assert Path(location).is_relative_to(environment), "the wheel is not what is imported"
    return installed


def test_wheel_puts_one_name_into_site_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/")[0] for name in archive.namelist()}
    assert names == {"framework", "gatework-0.1.0.dist-info"}


def test_wheel_holds_every_module_and_every_config(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    shipped = {name for name in shipped_files() if "__pycache__" not in name}
    assert "framework/py.typed" in shipped
    assert any(name.startswith("framework/configs/recipe/") for name in shipped)
    assert sorted(shipped - names) == [], "a folder without __init__.py, or a kind of file that package-data does not name"


def test_wheel_says_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read("gatework-0.1.0.dist-info/METADATA").decode()
        entry_points = archive.read("gatework-0.1.0.dist-info/entry_points.txt").decode()
    assert "Requires-Python: >=3.11" in metadata
    assert "License-Expression: MIT" in metadata
    assert "gatework = framework.cli.main:command" in entry_points
    plugins = entry_points.partition("[gatework.plugins]\n")[2].split("\n")
    for recipe in ("captioning", "text_generation", "translation"):
        assert f"{recipe} = framework.recipes.{recipe}.dataset" in plugins
    core = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ") and "extra ==" not in line]
    assert not [line for line in core if any(name in line for name in ("torch", "tensorflow", "keras", "mlflow"))]


def test_installed_configs_are_files_in_the_package(installation: Installation) -> None:
    code = "from importlib.resources import files; print(files('framework.configs') / 'recipe' / 'text_generation.yaml')"
    path = Path(installation.start("python", "-c", code))
    assert path.is_relative_to(installation.environment)
    assert path.read_bytes() == (ROOT / "configs" / "recipe" / "text_generation.yaml").read_bytes()


def test_both_commands_are_the_same(installation: Installation) -> None:
    help_text = installation.start("gatework", "--help")
    assert "train" in help_text
    assert installation.start("python", "-m", "framework", "--help") == help_text


def test_installed_command_checks(installation: Installation) -> None:
    installation.start("gatework", "check", "recipe=text_generation", "data=python_source")
    assert not list(installation.folder.glob("runs/*"))


@pytest.mark.slow
@pytest.mark.torch
def test_installed_command_trains(installation: Installation) -> None:
    installation.start("gatework", "train", "recipe=text_generation", "data=python_source", "debug=small", "tracking=none")
    runs = installation.folder / "runs"
    run = runs / (runs / "last").read_text().strip()
    assert (run / "config" / "resolved.yaml").is_file()
    assert (run / "model" / "weights.safetensors").is_file()
