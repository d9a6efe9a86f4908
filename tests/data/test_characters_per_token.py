"""How long a token is, for bits a character of word models."""

from __future__ import annotations

from pathlib import Path

import pytest

from framework.data.prepare import prepare
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec

TEXT = "the cat sat on the mat.\n" * 40


@pytest.mark.parametrize("level", ["word", "character"])
def test_tokens_times_their_length_is_the_text(tmp_path: Path, level: str) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    spec = TextDataSpec(path=str(tmp_path / "text.txt"), level=level, sequence_length=4, batch_size=2)  # type: ignore[arg-type]
    data = prepare(spec, PathsSpec(), 0)
    assert data.figures["characters_per_token"] * data.tokens == pytest.approx(len(TEXT))
    assert (data.figures["characters_per_token"] == 1.0) is (level == "character")
