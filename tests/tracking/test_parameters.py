"""Parameters: every leaf by its dotted key, nothing cut short."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import framework
from framework.engine.run.digest import resolved
from framework.tracking.settings import KEY_LENGTH, PARAMETER_LENGTH, flatten, whole

names = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | st.lists(st.integers(), max_size=3)
configs = st.dictionaries(names, st.recursive(leaves, lambda inner: st.dictionaries(names, inner, min_size=1, max_size=3)), max_size=4)


def at(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config


def count(config: Any) -> int:
    return sum(count(inner) for inner in config.values()) if isinstance(config, dict) and config else 1


@given(configs)
def test_each_leaf_is_found_under_its_key_and_reads_back(config: dict[str, Any]) -> None:
    flat = flatten(config) if config else {}
    assert len(flat) == (count(config) if config else 0)
    for key, text in flat.items():
        value = at(config, key)
        assert text == value if isinstance(value, str) else json.loads(text) == value


def test_a_whole_config_is_flattened() -> None:
    flat = flatten(resolved(framework.load("text_generation", overrides=["model.layers.gru.units=7"])))
    assert flat["model.layers.gru.units"] == "7"
    assert flat["optimizer.kind"] == "adam"
    assert flat["name"] == "null"
    assert flat["trainer.max_epochs"] == "10"


def test_what_is_too_long_is_named_and_not_cut_short() -> None:
    assert flatten({"a": "x" * PARAMETER_LENGTH}) == {"a": "x" * PARAMETER_LENGTH}
    assert flatten({"a": "x" * (PARAMETER_LENGTH + 1)}) == {"a": "(6,001 characters: see config/resolved.yaml)"}
    assert flatten({"k" * (KEY_LENGTH + 1): 1, "k": 2}) == {"k": "2"}
    assert whole("abc", 3, "there") == "abc"
