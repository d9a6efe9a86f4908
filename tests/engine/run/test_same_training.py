"""Processes that train together have the same data and config, or none of them trains."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import framework
from framework.backends.base.processes import Processes
from framework.engine.run.same_training import description, require_same
from framework.errors import RunError


class Told(Processes):
    """Process ``rank`` of three; the others give ``others``."""

    def __init__(self, rank: int, others: list[float]) -> None:
        super().__init__(rank, 3)
        self.others = others

    def add_up(self, values: Any) -> Any:
        return values + np.array(self.others)

    def leave(self) -> None:
        pass


def prepared(*words: str, digest: str = "a" * 64) -> Any:
    experiment = framework.load("text_generation_stateless", ["data.path=my.txt", "data=text", *words])
    return SimpleNamespace(experiment=experiment, data=SimpleNamespace(digest=digest))


def test_where_things_lie_may_differ() -> None:
    told = description(prepared())
    require_same(told, prepared("data.path=elsewhere/my.txt", "paths.runs_dir=there", "name=other", "tracking=none"), Told(1, [0, 0, 0]))


@pytest.mark.parametrize(
    ("words", "digest", "said"),
    [
        ((), "b" * 64, "data: digest aaaaaaaaaaaa… there, bbbbbbbbbbbb… here"),
        (("trainer.max_epochs=3",), "a" * 64, "trainer.max_epochs: "),
        (("data.batch_size=8",), "a" * 64, "data.batch_size: "),
    ],
)
def test_what_differs_is_told(words: tuple[str, ...], digest: str, said: str) -> None:
    with pytest.raises(RunError, match="process 1 of 3 is to train on something else than process 0") as error:
        require_same(description(prepared()), prepared(*words, digest=digest), Told(1, [0, 0, 0]))
    assert said in str(error.value)


def test_all_hear_of_another_one() -> None:
    with pytest.raises(RunError, match=r"is at: process 1, 2 of 3, which says what"):
        require_same(description(prepared()), prepared(), Told(0, [0, 1, 1]))
