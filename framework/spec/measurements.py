"""What is kept of comparisons and benchmarks: the other files in ``recipes/NAME/results``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from framework.spec.base import Spec


class ParityRow(Spec):
    """One line of a comparison."""

    what: str
    """Kind of thing compared."""
    name: str
    """Which one."""
    difference: float
    """Largest difference, as a share of the largest absolute value; of gradients, of a hundredth of the model's largest at least."""
    tolerance: float
    """Largest difference allowed; 0 is equal to the bit."""
    ok: bool
    """Whether the two agree."""


class ParityResult(Spec):
    """What ``gatework parity --json`` prints."""

    format: Literal[1] = 1
    """Version of this file's format."""
    recipe: str
    """The config recipe."""
    steps: int
    """Optimizer steps compared."""
    ok: bool
    """Whether all rows agree."""
    config_digest: str
    """SHA-256 of the resolved config."""
    data_digest: str
    """SHA-256 of the prepared data."""
    versions: Mapping[str, str]
    """Of the libraries that compute."""
    hardware: Mapping[str, Any]
    """The machine."""
    measured: str
    """Day, UTC."""
    rows: list[ParityRow]
    """The table."""
    losses: Mapping[str, list[float]]
    """Of each step, by backend."""


class BenchmarkResult(Spec):
    """What ``scripts/benchmark.py --json`` writes."""

    subject: str
    """What was measured."""
    machine: str
    """Processor, threads and instruction set."""
    versions: Mapping[str, str]
    """Of the libraries measured."""
    measured: str
    """Day."""
    busy: str | None
    """What else the machine did, where it was measured all the same."""
    rows: list[Mapping[str, Any]]
    """The table: figures by column."""
