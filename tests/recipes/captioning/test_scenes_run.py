"""The offline demonstration: drawn scenes are captioned right, by looking at what is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.cli.main import main
from framework.engine.compare.results import read_result


@pytest.mark.slow
@pytest.mark.torch
def test_scenes_are_captioned_right_by_looking_at_what_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["recipe=captioning_scenes", "tracking=none", "paths.cache_dir=cache", "paths.runs_dir=runs"]
    assert main(["reproduce", *words]) == 0
    assert "2 of 2 targets met" in capsys.readouterr().out
    [path] = Path("runs").glob("captioning_scenes/*/reproduction.json")
    figures = read_result(path).figures
    assert figures["test_exact"] >= 95
    assert figures["test_pointing"] >= 80
