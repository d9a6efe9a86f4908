"""Dropout masks out of whole numbers: the function as it is written down, and that it is as good as random."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from framework.backends.base.dropout import dropout_seed
from framework.backends.torch.dropout_masks import dropout_masks

pytestmark = pytest.mark.torch

LIKE = torch.empty(0, dtype=torch.float64)


def word(value: int) -> int:
    """lowbias32 of Wellons 2018."""
    value = ((value ^ value >> 16) * 0x7FEB352D) % 2**32
    value = ((value ^ value >> 15) * 0x846CA68B) % 2**32
    return value ^ value >> 16


def kept(words: list[int], place: int, rate: float) -> bool:
    """Whether a value is kept, by the documented function in plain whole numbers; ``words`` end with gate and row."""
    one, two = 0x243F6A88, 0x85A308D3
    for each in words:
        one, two = word(((one ^ each) + 0x9E3779B1) % 2**32), word(((two ^ each) + 0x9E3779B1) % 2**32)
    value = place * 0x9E3779B1 % 2**32 ^ one
    value = ((value ^ value >> 16) * 0x7FEB352D) % 2**32
    value = (((value ^ value >> 15) + two) * 0x846CA68B) % 2**32
    value ^= value >> 16
    return (value - 2**32 if value >= 2**31 else value) >= round(rate * 2**32) - 2**31


@pytest.mark.parametrize(("rows", "width"), [(5, 7), (3, 1), (2, 70_000), (300, 1_000)])
def test_masks_are_the_documented_function(rows: int, width: int) -> None:
    random = np.random.default_rng(0)
    words = random.integers(0, 2**32, 5).tolist()
    masks = dropout_masks(words, 3, rows, width, 0.3, LIKE, first_row=11)
    for gate, row, place in zip(random.integers(0, 3, 60), random.integers(0, rows, 60), random.integers(0, width, 60), strict=True):
        expected = 1 / 0.7 if kept([*words, int(gate), 11 + int(row)], int(place), 0.3) else 0.0
        assert masks[gate][row, place].item() == pytest.approx(expected)


def test_rates_types_and_empty_masks() -> None:
    assert not dropout_masks([1], 1, 4, 5, 1.0, LIKE)[0].any()
    assert dropout_masks([1], 1, 4, 5, 1e-12, LIKE)[0].gt(0).all()
    assert dropout_masks([1], 2, 0, 5, 0.5, LIKE)[1].shape == (0, 5) and dropout_masks([1], 1, 3, 0, 0.5, LIKE)[0].shape == (3, 0)
    assert dropout_masks([1], 1, 2, 3, 0.5, torch.empty(0, dtype=torch.bfloat16))[0].dtype == torch.bfloat16


def test_processes_make_the_rows_of_the_whole_batch() -> None:
    whole = dropout_masks([1, 2], 1, 6, 50, 0.5, LIKE)[0]
    parts = [dropout_masks([1, 2], 1, 2, 50, 0.5, LIKE, first_row=first)[0] for first in (0, 2, 4)]
    assert torch.equal(torch.cat(parts), whole)


def signs() -> NDArray[np.float64]:
    """``(seeds, streams, steps, gates, rows, places)``: 1 where kept, -1 where dropped, at a rate of one half."""

    def of(seed: int, stream: int, step: int) -> NDArray[np.float64]:
        return np.stack([mask.numpy() for mask in dropout_masks([seed, 0, step, 0, stream], 3, 32, 64, 0.5, LIKE)])

    made = np.stack([of(*words) for words in product(range(4), range(3), range(20))])
    return (made > 0).reshape(4, 3, 20, 3, 32, 64) * 2.0 - 1


def test_every_half_is_a_half_and_no_two_masks_go_together() -> None:
    """Sums of independent signs are normal: five standard deviations are passed once in two million."""
    values = signs()
    for axes in ((), *((axis,) for axis in range(6)), (0, 5), (2, 4), (4, 5), (1, 3)):
        left = tuple(axis for axis in range(6) if axis not in axes)
        sums = values.sum(axis=left) / np.sqrt(np.prod([values.shape[axis] for axis in left]))
        assert np.abs(sums).max() < 5, axes
        assert sums.size < 60 or abs(np.square(sums).mean() - 1) < 5 * np.sqrt(2 / sums.size), axes
    for axis in range(6):
        for lag in range(1, min(17, values.shape[axis])):
            ends = np.take(values, range(lag, values.shape[axis]), axis) * np.take(values, range(values.shape[axis] - lag), axis)
            assert abs(ends.sum()) / np.sqrt(ends.size) < 5, (axis, lag)


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_counts_of_dropped_values_are_those_of_chance(rate: float) -> None:
    mask = dropout_masks([3, 1, 4], 1, 2_000, 500, rate, LIKE)[0].numpy() == 0
    for counts, number in ((mask.sum(0), 2_000), (mask.sum(1), 500)):
        deviations = (counts - number * rate) / np.sqrt(number * rate * (1 - rate))
        assert np.abs(deviations).max() < 5.5
        assert 0.8 < deviations.var() < 1.2


def test_patterns_of_neighbours_are_all_as_frequent() -> None:
    values = signs().reshape(-1, 64) > 0
    patterns = sum(values[:, place : 64 - 7 + place].astype(int) << place for place in range(8))
    counts = np.bincount(np.ravel(patterns), minlength=256)
    expected = counts.sum() / 256
    # Overlapping patterns are not independent; still each count alone is binomial.
    assert np.abs((counts - expected) / np.sqrt(expected)).max() < 6


def test_seeds_of_layers_are_their_own() -> None:
    seeds = [dropout_seed(seed, name) for seed in range(50) for name in ("gru", "drop", "gru/forward", "gru/backward")]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**32 for seed in seeds)
