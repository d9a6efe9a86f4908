"""The buffered shuffle mixes as ``tf.data``'s does."""

from __future__ import annotations

import numpy as np
import pytest

from framework.data.windows import buffered_order

tf = pytest.importorskip("tensorflow")

pytestmark = pytest.mark.tensorflow


def test_a_buffer_mixes_as_tensorflows_does() -> None:
    """The chance of each window at each place, counted over many shuffles of both."""
    count, buffer, times = 12, 5, 3000
    theirs = tf.data.Dataset.range(count).shuffle(buffer, seed=1).batch(count).repeat(times)
    found = np.zeros((2, count, count))
    generator = np.random.default_rng(2)
    for order in theirs.as_numpy_iterator():
        found[0, np.arange(count), order] += 1 / times
        found[1, np.arange(count), list(buffered_order(count, buffer, generator))] += 1 / times
    assert np.abs(found[0] - found[1]).max() < 5 * np.sqrt(2 * 0.25 / times)
    assert np.array_equal(found[0] == 0, found[1] == 0), "the same places are out of reach"
