"""The harness sees what it is there to see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.harness import ForkServer

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer(seconds=5) as server:
        yield server


def test_an_answer_comes_with_its_code_and_its_words(server: ForkServer, tmp_path: Path) -> None:
    done = server.run(["--version"], tmp_path)
    assert (done.code, done.out.split()[0], done.err, done.faults()) == (0, "gatework", "", [])
    wrong = server.run(["chekc"], tmp_path)
    assert (wrong.code, wrong.out, wrong.faults()) == (2, "", [])
    assert "did you mean check?" in wrong.err


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("raise ValueError('x')", "printed a traceback"),
        ("raise SystemExit(7)", "ended with 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with -11"),
        ("import time; time.sleep(60)", "took 2.0 s"),
        ("held = bytearray(600 * 2**20); held[::4096] = b'x' * len(held[::4096])", "took 6"),
        ("raise SystemExit(2)", "failed without a word"),
    ],
)
def test_each_fault_is_seen(body: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "stand_in.py").write_text(
        f"import framework.cli.main as cli\ndef main(words):\n    {body}\n    return 0\ncli.main = main\n"
    )
    with ForkServer(preload=["stand_in"], environment={"PYTHONPATH": f"{tmp_path}:{ROOT}"}, seconds=2) as server:
        assert any(one.startswith(fault) for one in server.run(["--version"], tmp_path).faults())
