"""Digests of configs: what makes two runs the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from framework.spec.experiment import Experiment

NOT_PART_OF_A_RUN = ("name", "resume", "paths", "tracking")
"""Settings that say where and how a run is kept, not what it computes."""

MAY_CHANGE = (*NOT_PART_OF_A_RUN, "trainer.max_epochs")
"""Keys that a run may be gone on with under another value."""


def resolved(experiment: Experiment) -> dict[str, Any]:
    """Every setting of an experiment with its default filled in, as plain data."""
    mapping: dict[str, Any] = experiment.model_dump(mode="json")
    return mapping


def config_digest(experiment: Experiment) -> str:
    """SHA-256 of what the run computes, as 64 hexadecimal digits."""
    mapping = {key: value for key, value in resolved(experiment).items() if key not in NOT_PART_OF_A_RUN}
    return hashlib.sha256(json.dumps(mapping, sort_keys=True).encode()).hexdigest()


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Keys whose values differ between two resolved configs: (dotted key, value before, value after)."""
    old, new = dict(leaves(before)), dict(leaves(after))
    missing = "(not set)"
    keys = [*old, *(key for key in new if key not in old)]
    return [(key, old.get(key, missing), new.get(key, missing)) for key in keys if old.get(key, missing) != new.get(key, missing)]


def may_change(key: str) -> bool:
    """Whether a run may go on although ``key`` has another value now."""
    return any(key == one or key.startswith(f"{one}.") for one in MAY_CHANGE)


def leaves(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a nested config with its dotted key."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
