"""Search spaces in Hydra's grammar of sweeps, and the sweeper that asks a search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from framework.config.compose import Composed
from framework.config.jobs import JobOutcome
from framework.config.launch import multirun
from framework.config.location import SearchPath
from framework.config.overrides import OverrideReader
from framework.config.search_space import Dimension, dimension_of
from framework.config.sweeper import Trial
from framework.errors import GateworkError, SpecError
from framework.spec.search import SearchSpec, validate_search


def dimension(word: str) -> Dimension:
    [override] = OverrideReader(SearchPath.of([]), multirun=True).parse([word])
    return dimension_of(override)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a=choice(1,x,'b c')", Dimension("a", "choice", ("1", "x", r"b\ c"))),
        ("++a=1,2", Dimension("++a", "choice", ("1", "2"))),
        ("a=range(1,10,3)", Dimension("a", "int", low=1, high=7, step=3)),
        ("a=range(0,1000000000000,7)", Dimension("a", "int", low=0, high=999999999999, step=7)),
        ("a=range(9,1,-4)", Dimension("a", "int", low=5, high=9, step=4)),
        ("a=range(0,1,0.25)", Dimension("a", "choice", ("0.0", "0.25", "0.5", "0.75"))),
        ("a=interval(0.1,2)", Dimension("a", "float", low=0.1, high=2)),
        ("a=int(interval(1,9))", Dimension("a", "int", low=1, high=9)),
        ("a=tag(log,interval(1e-4,1e-2))", Dimension("a", "float", low=1e-4, high=1e-2, log=True)),
    ],
)
def test_sweeps_are_read(word: str, expected: Dimension) -> None:
    assert dimension(word) == expected


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("a=glob(*)", r"a: a search cannot choose from this\n +value: glob\(\*\)\n +expected: choice\(a,b\), range"),
        ("a=range(0,1,1e-9)", r"a: a range of too many values\n +value: .*\n +expected: a range of at most 10,000 values"),
        ("a=range(5,1)", "a: an empty range"),
        ("a=range(1,5,0)", "a: an empty range"),
        ("a=range(5,5)", "a: an empty range"),
        ("a=interval(2,1)", "a: an empty interval"),
        ("a=tag(log,interval(0,1))", "a: a logarithm needs limits above 0"),
    ],
)
def test_what_cannot_be_searched(word: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        dimension(word)


def test_the_word_of_a_value_keeps_every_digit() -> None:
    value = 0.1 + 0.2
    assert dimension("a.b=interval(0,1)").word(value) == f"a.b={value!r}"
    assert dimension("a.b=choice('x y',2)").word("'x y'") == "a.b='x y'"


class Fixed:
    """A search of two batches."""

    def __init__(self, spec: SearchSpec, space: Sequence[Dimension]) -> None:
        self.spec, self.space = spec, space
        self.left = [[Trial(2, ("++model.layers.gru.units=7",)), Trial(0, ("++model.layers.gru.units=5",))], [Trial(3, ("optimizer=sgd",))]]
        self.rooms: list[int] = []
        self.told: list[JobOutcome] = []

    def ask(self, room: int) -> list[Trial]:
        self.rooms.append(room)
        return self.left.pop(0) if self.left else []

    def tell(self, outcome: JobOutcome) -> None:
        self.told.append(outcome)


def units_of(composed: Composed) -> object:
    return composed.mapping["model"]["layers"]["gru"]["units"]


def search(words: list[str]) -> tuple[Fixed, list[JobOutcome]]:
    opened: list[Fixed] = []

    def around(runs_dir: Path, job: Any, run_jobs: Any) -> Any:
        def open_search(spec: SearchSpec, space: Sequence[Dimension]) -> Fixed:
            opened.append(Fixed(spec, space))
            return opened[-1]

        return run_jobs(job, open_search)

    outcomes = multirun(["recipe=text_generation", "sweep=optuna", "hydra/launcher=basic", *words], [], units_of, around)
    return opened[0], outcomes


def test_a_search_is_asked_told_and_numbered(folder: Path) -> None:
    words = ["seed=3", "model.layers.gru.units=choice(5,7)", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2"]
    found, outcomes = search(["model.layers.gru.units=3", *words])  # what stands later counts
    assert found.spec.n_trials == 4
    assert [one.name for one in found.space] == ["optimizer.learning_rate", "model.layers.gru.units"]
    assert found.rooms == [2, 2, 2]
    assert [(one.number, one.value) for one in outcomes] == [(0, 5), (2, 7), (3, 1024)]
    assert outcomes[0].overrides == ("recipe=text_generation", "sweep=optuna", "seed=3", "model.layers.gru.units=5")
    assert [one.number for one in found.told] == [0, 2, 3]


def test_the_command_line_wins_over_the_shipped_space(folder: Path) -> None:
    found, _ = search(["optimizer.learning_rate=0.1", "seed=choice(1,2)"])
    assert [one.name for one in found.space] == ["seed"]


def test_a_search_over_nothing(folder: Path) -> None:
    with pytest.raises(SpecError, match="nothing to choose from"):
        search(["optimizer.learning_rate=0.1"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_trails": 3}, "did you mean: n_trials"),
        ({"n_trials": 0}, "n_trials"),
        ({"sampler": "tpee"}, "sampler"),
        ({"pruner": "median", "direction": "down"}, "direction"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        validate_search(settings)


def test_wrong_settings_on_the_command_line(folder: Path) -> None:
    with pytest.raises(GateworkError, match="sampler"):
        search(["hydra.sweeper.sampler=tpee"])
