"""A run that has finished is registered when its command is repeated with a name for the registry, and says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.cli.main import main

WORDS = ("recipe=text_generation", "data=text", "data.path=my.txt", "debug=small", "data.sequence_length=10", "decoding.prompt=a text")


@pytest.mark.slow
@pytest.mark.torch
def test_a_finished_run_is_registered_under_a_name_that_is_given_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.txt").write_text("a text of words that are learnt\n" * 40)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert main(["train", *WORDS]) == 0
    assert "registered" not in capsys.readouterr().out
    for _ in range(2):
        assert main(["train", *WORDS, "tracking.register_as=verse"]) == 0
        said = capsys.readouterr().out
        assert "is finished already" in said
        assert "registered: models:/verse/1\n" in said
        assert "gatework serve models:/verse/1\n" in said
    assert main(["train", *WORDS, "tracking.register_as=verse", "name=other"]) == 0
    assert "registered: models:/verse/2\n" in capsys.readouterr().out, "as soon as it has finished"
