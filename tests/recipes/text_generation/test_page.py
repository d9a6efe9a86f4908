"""The page "A GRU that writes" prints what stands in it, and the tool that runs pages tells where one does not."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "recipes" / "text_generation" / "a_gru_that_writes.md"
TOOL = ROOT / "scripts" / "run_page"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("run_page", str(TOOL))
    spec = importlib.util.spec_from_loader("run_page", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the outputs in the page are those of Python 3.11's documentation")
def test_every_output_is_what_is_printed() -> None:
    done = subprocess.run([sys.executable, str(TOOL), "--check", str(PAGE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_output_is_missing(tool: ModuleType) -> None:
    pieces = list(tool._PIECE.finditer(PAGE.read_text(encoding="utf-8")))
    assert len(pieces) > 8
    assert all(piece["output"] for piece in pieces)


def test_outputs_are_written_below_their_pieces_which_share_their_names(tool: ModuleType) -> None:
    page = "a\n\n```python\nx = 2\n```\n\nb\n\n```python\nprint(x + 1)\n```\n\n```text\nold\n```\n\n```python\nprint(x)\n```\n"
    after = tool.with_outputs(page)
    assert after == page.replace("old", "3") + "\n```text\n2\n```\n"
    assert tool.with_outputs(after) == after
    assert list(tool.changed(page, after)) == [("old\n", "3\n"), ("nothing\n", "2\n")]


def test_what_may_vary_is_written_and_not_compared(tool: ModuleType) -> None:
    page = "```python\nprint(1)\n```\n\n```text varies\n5\n```\n"
    assert tool.with_outputs(page) == page.replace("5", "1")
    assert tool.with_outputs(page, keep_varying=True) == page


def test_another_output_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint('new')\n```\n\n```text\nold\n```\n")
    done = subprocess.run([sys.executable, str(TOOL), "--check", str(page)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "page.md has:\nold\nand now prints:\nnew\n\n")
    assert "old" in page.read_text()
    assert subprocess.run([sys.executable, str(TOOL), str(page)], check=False).returncode == 0
    assert "new\n```" in page.read_text()
