from __future__ import annotations

from framework.config.fill import fill_sizes


def test_sizes_are_filled_in_at_any_depth():
    value = {"a": "${size:tokens}", "b": [{"c": "${size:source}"}, 3, None], "d": ("x", 1.5)}
    assert fill_sizes(value, {"tokens": 65, "source": 7}) == {"a": 65, "b": [{"c": 7}, 3, None], "d": ["x", 1.5]}


def test_unknown_sizes_and_other_interpolations_stay():
    value = {"a": "${size:target}", "b": "${data.batch_size}", "c": "size:tokens"}
    assert fill_sizes(value, {"tokens": 65}) == value


def test_a_size_within_a_text():
    assert fill_sizes("run-${size:tokens}-${size:x}", {"tokens": 65}) == "run-65-${size:x}"


def test_the_given_value_is_left_alone():
    value = {"a": ["${size:tokens}"]}
    fill_sizes(value, {"tokens": 65})
    assert value == {"a": ["${size:tokens}"]}
