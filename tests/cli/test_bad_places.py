"""Places that cannot be read, written or named: an error of the system is one message, never a traceback, and nothing is half there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.harness import ForkServer, Outcome

DATA = ("data=text", "data.path=my.txt", "tracking=none", "debug=small", "model.layers.gru.units=8")
OWN = ("recipe=text_generation", *DATA)
NO_HOME = """
import pwd
def nobody(*names):
    raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = nobody
"""
"""A user of whom the system knows nothing, as in a container that was started with another number."""


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer(["framework.cli.check", "framework.cli.new", "framework.cli.train", "framework.data.look"], powerless=True) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "my.txt").write_text("To be, or not to be.\n" * 400)
    yield tmp_path
    for path in [tmp_path, *tmp_path.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755)


def told(outcome: Outcome) -> str:
    assert outcome.faults() == []
    assert outcome.code == 2
    assert outcome.err.startswith("error: ")
    return outcome.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["new", "mine"], "Permission denied: configs"),
        (["schema", "--write", "out"], "Permission denied: out"),
        (["train", *OWN], "Permission denied"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_folder_that_may_not_be_written(server: ForkServer, folder: Path, words: list[str], says: str) -> None:
    folder.chmod(0o555)
    assert says in told(server.run(words, folder))
    assert sorted(path.name for path in folder.iterdir()) == ["my.txt"]


def test_light_verbs_need_no_folder_to_write_in(server: ForkServer, folder: Path) -> None:
    folder.chmod(0o555)
    for words in (["check", *OWN], ["explain", *OWN], ["why", "seed", *OWN], ["runs"], ["schema"]):
        outcome = server.run(words, folder)
        assert (outcome.code, outcome.err) == (0, "")


def test_files_that_may_not_be_read(server: ForkServer, folder: Path) -> None:
    (folder / "configs" / "recipe").mkdir(parents=True)
    path = folder / "configs" / "recipe" / "mine.yaml"
    path.write_text("# @package _global_\n")
    path.chmod(0)
    assert "the file cannot be read: Permission denied\n      set in: configs/recipe/mine.yaml:1" in told(
        server.run(["check", "recipe=mine"], folder)
    )
    (folder / "configs").chmod(0)
    assert "Permission denied" in told(server.run(["check", *OWN], folder))
    (folder / "configs").chmod(0o755)
    (folder / "my.txt").chmod(0)
    assert "data.path: 'my.txt' cannot be read: Permission denied" in told(server.run(["check", *OWN], folder))
    (folder / "texts").mkdir()
    (folder / "texts").chmod(0)
    assert "'texts' cannot be looked up: [Errno 13] Permission denied" in told(server.run(["check", *OWN, "data.path=texts"], folder))


def test_names_that_are_no_utf_8(server: ForkServer, folder: Path) -> None:
    strange = os.fsdecode(b"\xff")
    inner = folder / strange
    try:
        inner.mkdir()
    except OSError:
        pytest.skip("this file system has no such names")
    (inner / "my.txt").write_bytes((folder / "my.txt").read_bytes())
    assert server.run(["check", *OWN], inner).code == 0
    assert server.run(["new", "mine"], inner).code == 0
    assert "no recipe 'nothing'" in told(server.run(["check", "recipe=nothing"], inner))
    assert "no UTF-8 text" in told(server.run(["check", *OWN, f"data.path={strange}/my.txt"], folder))
    (inner / strange).write_text("text")
    for verb in ("check", "train"):
        assert "is no UTF-8" in told(server.run([verb, *OWN, "data.path=."], inner))
    assert not (inner / "runs").exists()
    for words in (
        ["new", strange],
        ["runs", strange],
        ["generate", strange],
        ["why", strange, *OWN],
        ["check", "--config-dir", strange + strange],
        [strange],
    ):
        told(server.run(words, folder))


def test_a_working_folder_that_is_gone(tmp_path: Path) -> None:
    code = "import os, sys; os.rmdir(os.getcwd()); from framework.cli.main import main; sys.exit(main(sys.argv[1:]))"
    (tmp_path / "gone").mkdir()
    words = [sys.executable, "-c", code, "check", "recipe=text_generation"]
    done = subprocess.run(words, cwd=tmp_path / "gone", capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the working folder cannot be used: No such file or directory; change to another one\n"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["check", *OWN], 0, ""),
        (["runs"], 0, ""),
        (["check", *OWN, "data.path=~/x"], 2, "Could not determine home directory"),
        (["train", *OWN, "paths.runs_dir=~/x"], 2, "there is no home folder: HOME is not set: ~/x"),
        (["train", "-m", *OWN, "seed=1,2", "paths.runs_dir=~/x"], 2, "there is no home folder"),
        (
            ["train", "recipe=text_generation", "tracking=none"],
            2,
            "paths.cache_dir: is missing, and there is no home folder to keep downloads in",
        ),
        (["runs", "--runs-dir", "~/x"], 2, "Could not determine home directory"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_a_user_without_home(folder: Path, words: list[str], code: int, says: str) -> None:
    program = f"{NO_HOME}\nimport sys\nfrom framework.cli.main import command\nsys.exit(command())"
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_CACHE_HOME", "GATEWORK_DATA")}
    done = subprocess.run([sys.executable, "-c", program, *words], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="limits of processes are a matter of POSIX")
@pytest.mark.parametrize("words", [["new", "mine"], ["schema", "--write", "out"]], ids=" ".join)
def test_a_full_disk_is_a_failure_and_no_wrong_input(folder: Path, words: list[str]) -> None:
    """A limit on the size of files fails their writing as a full disk does."""
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\nfrom framework.cli.main import command\n"
    program = f"import sys\n{code}sys.exit(command())"
    done = subprocess.run([sys.executable, "-c", program, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: File too large")
    assert "Traceback" not in done.stderr
