"""`check` looks at the files of pairs, and leaves nothing in the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framework.data import look as looking
from framework.data.look import look
from framework.spec.experiment import PathsSpec
from framework.spec.parallel_text import ParallelTextDataSpec

from .conftest import numbered


@pytest.fixture
def told(tmp_path: Path) -> Any:
    def run(text: str, **settings: Any) -> str:
        (tmp_path / "pairs.tsv").write_text(text)
        spec = ParallelTextDataSpec.model_validate({"path": str(tmp_path / "pairs.tsv"), "batch_size": 4, **settings})
        problems = look(spec, PathsSpec(cache_dir=str(tmp_path / "cache")))
        assert not (tmp_path / "cache").exists()
        return "\n".join(map(str, problems))

    return run


@pytest.mark.parametrize("whole", [2**22, 100], ids=["whole", "some"])
def test_what_is_wrong_with_the_files(whole: int, told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_WHOLE", whole)
    good = "\n".join(numbered(20))
    assert told(good) == ""
    assert "line 1 (1 column)" in told("uno\n" * 20)
    assert "does not exist" in told(good, test={"path": "nowhere.tsv"})
    assert "unknown encoding" in told(good, encoding="utf-9")
    assert told("uno", source_path="a") == "", "rules between settings are told by themselves"


def test_small_files_are_prepared_whole(told: Any) -> None:
    assert "there are too few pairs to train on: 20" in told("\n".join(numbered(20)), batch_size=32)
    assert "the data's size 'source' is 34" in told("\n".join(numbered(20)), declared_sizes={"source": 3})
