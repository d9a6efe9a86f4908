"""An epoch's figures: over all of its batches, whenever they are read and however often the training is taken up again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import Listener

from framework.backends.base.ledger import Ledger
from framework.backends.base.objective import Totals
from framework.backends.base.training import EpochResult, Position
from framework.errors import CheckpointError, TrainingError

STEPS = st.lists(st.tuples(st.floats(0, 10, width=32), st.integers(1, 99)), min_size=1, max_size=8)


def epoch_of(steps: list[tuple[float, int]], stops: set[int] = frozenset(), read_every: int = 1) -> EpochResult:  # type: ignore[assignment]
    """The epoch's figures, the ledger saved and restored after each of ``stops``."""
    ledger, listener = Ledger(), Listener()
    ledger.begin(listener, Position(), len(steps), read_every)
    ledger.begin_epoch()
    for number, (loss, tokens) in enumerate(steps, 1):
        ledger.add(np.float32(loss), tokens, 1, 0.1)
        if number in stops:
            position, kept = ledger.position, ledger.arrays()
            ledger = Ledger()
            ledger.restore(kept)
            ledger.begin(listener, position, len(steps), read_every)
            ledger.begin_epoch()
    ledger.end_epoch(None)
    return listener.epochs[-1]


@given(STEPS, st.sets(st.integers(1, 8)), st.integers(1, 9))
def test_neither_interruptions_nor_late_reading_change_a_bit(steps: list[tuple[float, int]], stops: set[int], read_every: int) -> None:
    whole, parts = epoch_of(steps), epoch_of(steps, stops, read_every)
    assert (whole.loss, whole.training.count, whole.position) == (parts.loss, parts.training.count, parts.position)
    assert whole.loss == pytest.approx(np.average([loss for loss, _ in steps], weights=[tokens for _, tokens in steps]))
    assert whole.training.count == sum(tokens for _, tokens in steps)


def test_losses_are_read_when_due_and_at_the_epochs_last_step() -> None:
    ledger, listener = Ledger(), Listener()
    ledger.begin(listener, Position(), 5, read_every=3)
    assert ledger.begin_epoch()
    for loss in range(5):
        ledger.add(float(loss), 1, 1, 0.1)
    assert [one.loss for one in listener.steps] == [None, None, 2.0, None, 4.0]
    assert ledger.epoch_complete


def test_the_first_loss_that_is_not_finite_is_named_also_when_it_is_read_late() -> None:
    ledger = Ledger()
    ledger.begin(Listener(), Position(4, 0, 40), 10, read_every=100)
    ledger.begin_epoch()
    for loss in (1.0, math.nan, math.inf):
        ledger.add(loss, 1, 1, 0.1)
    with pytest.raises(TrainingError, match="the loss is nan at step 42"):
        ledger.arrays()


def test_what_was_restored_counts_only_within_its_epoch() -> None:
    kept: dict[str, Any] = {"loss": np.array(50.0), "count": np.array(10), "seconds": np.array(7.0)}
    for start, loss, tokens in [(Position(1, 1, 9), 52.0 / 12, 12), (Position(1, 0, 8), 1.0, 2)]:
        ledger, listener = Ledger(), Listener()
        ledger.restore(kept)
        ledger.begin(listener, start, 2)
        assert ledger.begin_epoch() == (start.batch == 0)
        ledger.add(1.0, 2, 1, 0.1)
        ledger.end_epoch(Totals({"loss": 1.0}, 2.0, 1))
        (epoch,) = listener.epochs
        assert (epoch.loss, epoch.training.count, epoch.val_loss) == (pytest.approx(loss), tokens, 0.5)
        assert (epoch.seconds > 7.0) == (start.batch == 1)


def test_an_older_state_has_no_seconds_and_claims_none() -> None:
    ledger, listener = Ledger(), Listener()
    ledger.restore({"loss": np.array(6.0), "count": np.array(3)})
    ledger.begin(listener, Position(0, 1, 1), 1)
    ledger.begin_epoch()
    ledger.end_epoch(None)
    assert listener.epochs[0].loss == 2.0 and math.isnan(listener.epochs[0].seconds)


@pytest.mark.parametrize("kept", [{"loss": np.array(1.0)}, {"loss": np.array(1.0), "count": np.array(1), "sum": np.array(1)}])
def test_what_is_no_ledgers_is_refused_by_name(kept: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match=r"progress/(count|sum)'"):
        Ledger().restore(kept)
