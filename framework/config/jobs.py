"""How the jobs of a multirun end, whoever runs them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from framework.config.compose import Composed, compose
from framework.config.secret_values import hide_secrets
from framework.console import showing
from framework.errors import EXIT_DONE, EXIT_FAILED, GateworkError
from framework.secrets import concealed

Job = Callable[[Composed], object]
"""What is done with one composed config. A function at the top of a module, so that other processes can run it."""


@dataclass(frozen=True)
class JobOutcome:
    """How one job of a multirun ended.

    Attributes:
        number: position in the multirun, from 0.
        overrides: everything that set this job apart and what all have in common, as a user would write it.
        swept: those of them that differ from job to job.
        exit_code: what the job alone would have ended with.
        message: what went wrong; None when nothing did.
        value: what the job returned.
    """

    number: int
    overrides: tuple[str, ...]
    swept: tuple[str, ...]
    exit_code: int = EXIT_DONE
    message: str | None = None
    value: Any = None

    def __float__(self) -> float:
        """For sweepers that minimise what a job returns."""
        if self.message is not None:
            raise ValueError(self.message)
        return float(self.value)


@dataclass(frozen=True)
class JobRunner:
    """The function that Hydra calls for each job: composes the job's config anew and keeps its failure from the others.

    Attributes:
        job: what is done with each config.
        folders: searched before ``./configs`` and the shipped configs.
        written: what the user wrote for the keys that all jobs share, by the key in Hydra's grammar.
    """

    job: Job
    folders: tuple[Path, ...]
    written: Mapping[str, str]

    def __call__(self, config: DictConfig) -> JobOutcome:
        """Runs the job that Hydra has composed ``config`` for."""
        hide_secrets(config)  # launchers keep it with what the job returns
        hydra = HydraConfig.get()
        words, number = [str(word) for word in hydra.overrides.task], int(hydra.job.num)
        with showing(display=True):  # perhaps in a process of a launcher of Hydra's
            self.announce(words, number)
            return self.run(words, number)

    def announce(self, words: list[str], number: int) -> None:
        """Says which job begins."""
        line = f"job {number}: {concealed(' '.join(self._swept(words)))}\n"
        print(line, end="", flush=True)  # in one piece: launchers begin jobs on several threads

    def run(self, words: list[str], number: int) -> JobOutcome:
        """Runs one job.

        Args:
            words: its overrides in Hydra's grammar.
            number: its position in the multirun.
        """
        swept, overrides = self._swept(words), self._overrides(words)
        try:
            value = self.job(compose(overrides, self.folders, swept=swept, job=number))
        except GateworkError as error:
            return JobOutcome(number, overrides, swept, error.exit_code, str(error))
        except Exception:
            return JobOutcome(number, overrides, swept, EXIT_FAILED, concealed(traceback.format_exc()))
        return JobOutcome(number, overrides, swept, value=value)

    def failed(self, words: list[str], number: int, message: str) -> JobOutcome:
        """The outcome of a job that could not say how it ended."""
        swept, overrides = self._swept(words), self._overrides(words)
        return JobOutcome(number, overrides, swept, EXIT_FAILED, message)

    def _overrides(self, words: list[str]) -> tuple[str, ...]:
        return tuple(self.written.get(key_of(word), word.removeprefix("++")) for word in words)

    def _swept(self, words: list[str]) -> tuple[str, ...]:
        return tuple(word.removeprefix("++") for word in words if key_of(word) not in self.written)


def key_of(word: str) -> str:
    """The key of an override, with its sign."""
    return word.split("=", 1)[0]
