"""Batches hold every pair once an epoch, padded and weighted, the same for the same seed, from any position on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from framework.data.batches import Batch
from framework.data.prepared import PreparedData
from framework.errors import DataError

from .conftest import Prepare, numbered

BUCKETS = {"order": "buckets", "batch_tokens": 60}


def pairs_of(data: PreparedData, batches: Sequence[Batch]) -> list[tuple[str, str]]:
    processor = data.processor
    return [
        (processor.source.decode(source), processor.decode_target(target))
        for batch in batches
        for source, target in zip(batch.inputs["source"], batch.targets, strict=True)
    ]


def equal(one: Batch, other: Batch) -> bool:
    arrays = [(one.targets, other.targets), (one.weights, other.weights), *((one.inputs[name], other.inputs[name]) for name in one.inputs)]
    return all(left is not None and right is not None and np.array_equal(left, right) for left, right in arrays)


def test_a_batch(prepare_pairs: Prepare) -> None:
    data = prepare_pairs(["a b\tx", "a\tx y z"], seed=None, batch_size=2)
    [batch] = data.train.epoch(0)
    assert batch.inputs["source"].tolist() == [[1, 4, 5, 2], [1, 4, 2, 0]]
    assert batch.inputs["target"].tolist() == [[1, 4, 2, 0], [1, 4, 5, 6]]
    assert batch.targets.tolist() == [[4, 2, 0, 0], [4, 5, 6, 2]]
    assert batch.weights is not None and batch.weights.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert {array.dtype for array in (*batch.inputs.values(), batch.targets)} == {np.dtype(np.int32)}
    assert batch.weights.dtype == np.float32 and batch.count == 6
    assert data.figures == {"source_length": 4.0, "target_length": 5.0} and data.tokens == 7


def test_batches_can_be_as_long_as_the_longest_sentence_of_all(prepare_pairs: Prepare) -> None:
    data = prepare_pairs(numbered(50), pad_to="longest", validation_fraction=0.2)
    shapes = {(batch.inputs["source"].shape[1], batch.targets.shape[1]) for split in data.splits.values() for batch in split.epoch(0)}
    assert shapes == {(13, 9)} and data.figures == {"source_length": 13.0, "target_length": 10.0}


def test_a_sentence_to_translate_is_padded_as_in_training(prepare_pairs: Prepare, tmp_path: Path) -> None:
    data = prepare_pairs(numbered(50), pad_to="longest", seed=None)
    batch = next(data.train.epoch(0))
    alone = [data.processor.encode_source([line.partition("\t")[0]])[0] for line in numbered(batch.rows)]
    assert_array_equal(np.stack(alone), batch.inputs["source"])
    assert data.processor.encode_source(["uno " * 30]).shape == (1, 32)
    data.processor.save(tmp_path / "saved")
    known = type(data.processor).load(tmp_path / "saved")
    assert prepare_pairs(numbered(50), pad_to="longest", processor=known).processor == data.processor
    assert prepare_pairs(numbered(20), pad_to="longest", processor=known).processor == data.processor
    # Where a batch is as long as its longest sentence, so is what is to be translated.
    assert prepare_pairs(numbered(50)).processor.encode_source(["uno"]).shape == (1, 3)


@pytest.mark.parametrize("how", [{}, {"order": "buckets"}, BUCKETS], ids=["shuffled", "buckets", "tokens"])
def test_every_pair_is_there_once_an_epoch(how: dict[str, Any], prepare_pairs: Prepare) -> None:
    lines = numbered(203)
    data = prepare_pairs(lines, **how)
    epochs = [list(data.train.epoch(epoch)) for epoch in (0, 1)]
    for batches in epochs:
        assert len(batches) == data.train.steps
        assert sorted(pairs_of(data, batches)) == sorted(tuple(line.split("\t")) for line in lines)
    assert pairs_of(data, epochs[0]) != pairs_of(data, epochs[1])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    how=st.sampled_from([{}, {"drop_remainder": True}, {"order": "buckets"}, BUCKETS]),
    count=st.sampled_from([17, 60]),
    seed=st.integers(0, 3),
    epoch=st.integers(0, 5),
    share=st.floats(0, 1),
)
def test_an_epoch_goes_on_from_any_position(
    how: dict[str, Any], count: int, seed: int, epoch: int, share: float, prepare_pairs: Prepare
) -> None:
    batches = prepare_pairs(numbered(count), seed=seed, **how).train
    start = round(share * batches.steps)
    whole, later = list(batches.epoch(epoch)), list(batches.epoch(epoch, start))
    assert len(whole) == batches.steps and len(later) == len(whole) - start
    assert all(map(equal, whole[start:], later))


def test_a_position_outside_the_epoch_is_refused(prepare_pairs: Prepare) -> None:
    batches = prepare_pairs(numbered(20)).train
    with pytest.raises(DataError, match="an epoch of 5 batches has no position 6"):
        batches.epoch(0, 6)


def test_the_seed_draws_the_order_and_the_members(prepare_pairs: Prepare) -> None:
    lines = numbered(60)
    for how in ({}, {"order": "buckets"}, BUCKETS):
        one, same, other = (prepare_pairs(lines, seed=seed, **how) for seed in (0, 0, 1))
        assert all(map(equal, one.train.epoch(2), same.train.epoch(2)))
        assert not all(map(equal, one.train.epoch(2), other.train.epoch(2)))
        assert one.digest == other.digest, "the seed is no part of the digest"


def test_members_of_buckets_are_fixed_and_of_like_length(prepare_pairs: Prepare) -> None:
    data = prepare_pairs(numbered(200), **BUCKETS)
    members = [{frozenset(pairs_of(data, [batch])) for batch in data.train.epoch(epoch)} for epoch in (0, 1)]
    assert members[0] == members[1]
    orders = [[pairs_of(data, [batch])[0] for batch in data.train.epoch(epoch)] for epoch in (0, 1)]
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])
    for batch in data.train.epoch(0):
        longest = max(batch.inputs["source"].shape[1], batch.targets.shape[1] + 1)
        assert batch.rows * longest <= 60
    assert data.train.batch_size == max(batch.rows for batch in data.train.epoch(0))
    kept = np.mean(np.concatenate([(batch.inputs["source"] != 0).ravel() for batch in data.train.epoch(0)]))
    assert kept > 0.9, "pairs of like length need little padding"


def test_a_sentence_longer_than_a_batch_is_a_batch_of_its_own(prepare_pairs: Prepare) -> None:
    data = prepare_pairs([*numbered(20), " ".join(["largo"] * 5000) + "\tlong"], **BUCKETS)
    batches = list(data.train.epoch(0))
    assert sum(batch.rows for batch in batches) == 21
    assert [batch.rows for batch in batches if batch.inputs["source"].shape[1] > 60] == [1]


def test_held_out_parts_come_in_order_and_whole(prepare_pairs: Prepare) -> None:
    lines = numbered(103)
    for how in ({}, BUCKETS):
        data = prepare_pairs(lines, validation_fraction=0.3, test_fraction=0.2, drop_remainder=True, **how)
        places = {tuple(line.split("\t")): place for place, line in enumerate(lines)}
        for part in ("validation", "test"):
            found = [places[pair] for pair in _raw(data, part)]
            assert found == sorted(found)
            assert sum(batch.rows for batch in data.splits[part].epoch(0)) == len(found)
        assert [len(_raw(data, part)) for part in ("train", "validation", "test")] == [51, 31, 21]
    assert sum(batch.rows for batch in prepare_pairs(lines, drop_remainder=True).train.epoch(0)) == 100


def _raw(data: PreparedData, part: str) -> list[tuple[str, str]]:
    return [(example.inputs["source"], example.references[0]) for example in data.examples[part]]


def test_no_pair_and_no_source_is_in_two_parts(prepare_pairs: Prepare) -> None:
    lines = [f"{'A' if row % 2 else 'a'} {row // 4}\tb {row % 8}" for row in range(400)] * 2
    for group, key in (("source", lambda pair: pair[0]), ("none", lambda pair: pair)):
        data = prepare_pairs(
            lines, validation_fraction=0.25, test_fraction=0.25, split={"group_by": group, "seed": 1}, vocabulary={"fit_on": "all"}
        )
        parts = [{key(pair) for pair in pairs_of(data, list(split.epoch(0)))} for split in data.splits.values()]
        assert len(parts) == 3 and len(set.union(*parts)) == sum(map(len, parts))
    sources = [{pair[0] for pair in pairs_of(data, list(split.epoch(0)))} for split in data.splits.values()]
    assert sources[0] & sources[1], "drawn pair by pair, sentences are known"


def test_long_pairs_are_left_out_of_the_training_alone(prepare_pairs: Prepare) -> None:
    data = prepare_pairs(numbered(200), max_length=5, validation_fraction=0.3)
    assert max(batch.inputs["source"].shape[1] for batch in data.train.epoch(0)) == 7
    assert max(batch.inputs["source"].shape[1] for batch in data.split("validation").epoch(0)) == 13


def test_one_batch_at_least(prepare_pairs: Prepare) -> None:
    with pytest.raises(DataError, match=r"data.batch_size: there are too few pairs to train on: 3, and a batch has 4"):
        prepare_pairs(numbered(3), drop_remainder=True)


def test_what_is_read_lies_on_the_disk(prepare_pairs: Prepare, tmp_path: Path) -> None:
    data = prepare_pairs(numbered(50))
    [store] = data.train.batch_of.args  # type: ignore[attr-defined]
    assert_array_equal(store.tokens("source"), np.fromfile(store.folder / "source.tokens", np.uint16))
    assert isinstance(store.tokens("source").base, np.memmap)
