"""Digests of configs: what makes two runs the same run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from framework.errors import GateworkError
from framework.secrets import conceal
from framework.spec.experiment import Experiment
from framework.spec.validate import validate_experiment

NOT_PART_OF_A_RUN = ("name", "resume", "paths", "tracking")
"""Settings that say where and how a run is kept, not what it computes."""

MAY_CHANGE = (
    *NOT_PART_OF_A_RUN,
    "trainer.max_epochs",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "backend.device",
    "backend.tune",
    "data.declared_lengths",
)
"""Keys that a run may be gone on with under another value, beside those that say where its data lies."""

ONLY_TOLD = ("data.declared_lengths",)
"""Settings that say what is true of the data anyway, or nothing is computed: they never count."""

ADDED_LATER: dict[str, Any] = {
    "data.shuffle_buffer": None,
    "decoding.beam_width": 5,
    "decoding.n_best": 1,
    "decoding.length_penalty": 0.6,
    "decoding.coverage_penalty": 0.0,
    "decoding.max_length": None,
    "decoding.replace_unknown": False,
    "trainer.limit_scored_examples": 1000,
    "data.features.position_scale": 1.0,
    "model.layers.*.doubly_stochastic": 0.0,
    "backend.tune": True,
    "trainer.devices": 1,
    "trainer.num_nodes": 1,
    "trainer.strategy": "auto",
}
"""Settings that earlier versions did not have, with the value that computes what those did: at that value they do not count. A star is
any name."""

FORMER_DEFAULTS: dict[str, Any] = {"decoding.prompt": "\n"}
"""Settings that are null where nothing is said of them, with what earlier versions had there: both count as that, so that a run which was
begun by one of those goes on."""


def resolved(experiment: Experiment) -> dict[str, Any]:
    """Every setting of an experiment with its default filled in, as plain data."""
    mapping: dict[str, Any] = experiment.model_dump(mode="json")
    return mapping


def config_digest(experiment: Experiment) -> str:
    """SHA-256 of what the run computes, as 64 hexadecimal digits; passwords do not count."""
    mapping = {key: value for key, value in _counted(experiment).items() if key not in NOT_PART_OF_A_RUN}
    return hashlib.sha256(json.dumps(mapping, sort_keys=True).encode()).hexdigest()


def run_digest(experiment: Experiment, data_digest: str, apart: Collection[str] = ()) -> str:
    """SHA-256 of what a run is, as 64 hexadecimal digits: its config without what it may be gone on with, and its data.

    Args:
        experiment: the config.
        data_digest: of the prepared data; where it lies does not count.
        apart: keys that count although a run may be gone on with another value of theirs, such as those that a sweep varies.
    """
    values = {key: value for key, value in leaves(_counted(experiment)) if key in apart or not may_change(key, experiment)}
    return hashlib.sha256(json.dumps([values, data_digest], sort_keys=True).encode()).hexdigest()


def _counted(experiment: Experiment) -> dict[str, Any]:
    """Every setting without its passwords, and without what came later and changes nothing."""
    mapping: dict[str, Any] = conceal(resolved(experiment))
    for path in (*ONLY_TOLD, *ADDED_LATER):
        _leave_out(mapping, path.split("."), path)
    for path, former in FORMER_DEFAULTS.items():
        section, _, key = path.rpartition(".")
        if mapping.get(section, {}).get(key, former) is None:
            mapping[section][key] = former
    return mapping


def _leave_out(mapping: Any, keys: list[str], path: str) -> None:
    """Takes a setting out of a nested config where it does not count; ``path`` is its whole path."""
    first, *rest = keys
    for key in list(mapping) if first == "*" else [first]:
        if not isinstance(mapping, dict) or key not in mapping:
            continue
        if rest:
            _leave_out(mapping[key], rest, path)
        elif not counts(path, mapping[key]):
            del mapping[key]


def counts(path: str, value: object) -> bool:
    """Whether a setting is part of what a run computes: not where it is only told, nor where versions without it computed the same."""
    return path not in ONLY_TOLD and (path not in ADDED_LATER or value != ADDED_LATER[path])


def of_this_version(settings: object) -> Mapping[str, Any]:
    """The settings that a run was begun with, in the form of this version: what it did not know yet has its default."""
    try:
        return resolved(validate_experiment(settings if isinstance(settings, Mapping) else {}))
    except GateworkError:
        return settings if isinstance(settings, Mapping) else {}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Keys whose values differ between two resolved configs, passwords aside: (dotted key, value before, value after)."""
    old, new = dict(leaves(conceal(before))), dict(leaves(conceal(after)))
    for key, former in FORMER_DEFAULTS.items():
        if {old.get(key, former), new.get(key, former)} <= {None, former}:
            old.pop(key, None)
            new.pop(key, None)
    missing = "(not set)"
    keys = [*old, *(key for key in new if key not in old)]
    return [(key, old.get(key, missing), new.get(key, missing)) for key in keys if old.get(key, missing) != new.get(key, missing)]


def may_change(key: str, experiment: Experiment) -> bool:
    """Whether the run of an experiment may go on although ``key`` has another value now."""
    free = (*MAY_CHANGE, *(f"data.{place}" for place in experiment.data.places))
    return any(key == one or key.startswith(f"{one}.") for one in free)


def leaves(value: object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a nested config with its dotted key."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value
