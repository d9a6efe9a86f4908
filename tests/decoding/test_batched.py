"""Batches of like lengths, results in their own order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from framework.decoding.batched import by_length


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 7))
def test_results_come_in_order_from_batches_of_like_lengths(lengths: list[int], batch_size: int) -> None:
    batches: list[list[int]] = []

    def work(batch: list[int]) -> list[tuple[int, int]]:
        batches.append(batch)
        return [(number, lengths[number]) for number in batch]

    assert by_length(lengths, batch_size, work) == list(enumerate(lengths))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    worked_on = [lengths[number] for batch in batches for number in batch]
    assert worked_on == sorted(lengths, reverse=True)
