"""A Hydra sweeper that asks a search which jobs to run next, and tells it how they ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from framework.config.jobs import JobOutcome
from framework.config.overrides import OverrideReader
from framework.config.search_space import Dimension, dimension_of
from framework.errors import InputError, Problem, SpecError
from framework.spec.search import SearchSpec, validate_search


@dataclass(frozen=True)
class Trial:
    """One job of a search: its number and its overrides."""

    number: int
    words: tuple[str, ...]


class Search(Protocol):
    """What chooses the jobs."""

    def ask(self, room: int) -> Sequence[Trial]:
        """The next trials, at most ``room``; none when the search has ended."""
        ...

    def tell(self, outcome: JobOutcome) -> None:
        """One of them has ended."""


OpenSearch = Callable[[SearchSpec, Sequence[Dimension]], Search]

_opening: ContextVar[tuple[OpenSearch, OverrideReader] | None] = ContextVar("opening", default=None)


@contextmanager
def searching(open_search: OpenSearch | None, reader: OverrideReader) -> Iterator[None]:
    """Gives the sweeper that Hydra makes meanwhile its search, and what reads its overrides."""
    token = _opening.set(None if open_search is None else (open_search, reader))
    try:
        yield
    finally:
        _opening.reset(token)


class SearchSweeper(Sweeper):
    """``hydra/sweeper=optuna``.

    Args:
        params: the search space by key, in Hydra's grammar of sweeps; overrides of the command line come on top.
        settings: fields of :class:`~framework.spec.search.SearchSpec`.
    """

    def __init__(self, params: Any = None, **settings: Any) -> None:
        self._params: dict[str, str] = {str(key): str(value) for key, value in (params or {}).items()}
        self._spec = validate_search(settings)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before :meth:`sweep`."""
        self._launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self._room = self._spec.n_jobs or _at_a_time(config)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Runs trials until the search has ended.

        Raises:
            SpecError: the search space is wrong.
        """
        opening = _opening.get()
        if opening is None:
            raise InputError("hydra/sweeper=optuna searches for gatework train alone")
        open_search, reader = opening
        fixed, space = self._read(arguments, reader)
        search = open_search(self._spec, space)
        returned: list[Sequence[JobReturn]] = []
        while trials := search.ask(self._room):
            for first, together in _runs_of_numbers(trials):
                results = self._launcher.launch([[*fixed, *trial.words] for trial in together], initial_job_idx=first)
                for result in results:
                    search.tell(result.return_value)
                returned.append(results)
        return returned

    def _read(self, arguments: Sequence[str], reader: OverrideReader) -> tuple[list[str], list[Dimension]]:
        """The overrides that all trials share, and what is chosen from; the command line wins over ``params``."""
        given = [one.parsed for one in reader.read(f"{key}={value}" for key, value in self._params.items())]
        given += reader.parse(arguments)
        last: dict[str, Override] = {str(override.key_or_group): override for override in given}
        fixed = [str(one.input_line) for one in last.values() if not one.is_sweep_override()]
        space = [dimension_of(one) for one in last.values() if one.is_sweep_override()]
        if not space:
            raise SpecError(
                [
                    Problem(
                        "hydra.sweeper.params",
                        "nothing to choose from",
                        expected="a sweep of some key, such as optimizer.learning_rate=tag(log,interval(1e-4,1e-2))",
                    )
                ]
            )
        return fixed, space


def _at_a_time(config: DictConfig) -> int:
    at_a_time = config.hydra.launcher.get("n_jobs")
    if not isinstance(at_a_time, int) or at_a_time == 0:
        return 1
    return at_a_time if at_a_time > 0 else os.cpu_count() or 1


def _runs_of_numbers(trials: Sequence[Trial]) -> Iterator[tuple[int, list[Trial]]]:
    """Trials with numbers one after the other, since a launcher counts its jobs from one number on."""
    for _, group in groupby(enumerate(sorted(trials, key=lambda trial: trial.number)), key=lambda pair: pair[1].number - pair[0]):
        together = [trial for _, trial in group]
        yield together[0].number, together
