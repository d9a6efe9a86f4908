"""What every verb that reads a config shares: its arguments, and the way from words to a validated experiment."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from framework.config.compose import Composed, compose
from framework.spec.experiment import Experiment


@dataclass(frozen=True)
class Loaded:
    """A config with its validated experiment."""

    composed: Composed
    experiment: Experiment


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """``key=value …`` and ``--config-dir``."""
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="recipe=NAME, group choices and values, such as model.layers.gru.units=512"
    )
    parser.add_argument("--config-dir", action="append", default=[], type=Path, metavar="DIR", help="a folder of configs, before ./configs")


def load(overrides: list[str], config_dirs: list[Path]) -> Loaded:
    """Composes and validates.

    Raises:
        SpecError: with every problem found.
    """
    composed = compose(overrides, config_dirs)
    return Loaded(composed, composed.experiment())
