"""Batches of like lengths, results in their own order."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from framework.decoding.batched import by_length


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 7), st.integers(1, 40))
def test_results_come_in_order_from_batches_of_like_lengths(lengths: list[int], rows: int, places: int) -> None:
    batches: list[list[int]] = []

    def work(batch: list[int]) -> list[tuple[int, int]]:
        batches.append(batch)
        return [(number, lengths[number]) for number in batch]

    assert by_length(lengths, rows, places, work) == list(enumerate(lengths))
    worked_on = [lengths[number] for batch in batches for number in batch]
    assert worked_on == sorted(lengths, reverse=True)
    for batch in batches:
        assert len(batch) <= rows
        assert len(batch) == 1 or len(batch) * lengths[batch[0]] <= places
    for batch, after in pairwise(batches):
        room = (len(batch) + 1) * max(1, lengths[batch[0]]) <= places
        assert len(batch) == rows or not room, f"{after} might have begun in {batch}"
