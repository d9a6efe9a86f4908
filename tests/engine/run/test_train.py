"""The life of a run on both backends: begun, recorded, stopped, gone on with to the same bits, finished."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import framework
from framework.backends.base.training import EpochResult, Position, StepResult
from framework.engine.model.run import Run
from framework.engine.run.checkpoint import CheckpointStore
from framework.engine.run.train import train
from framework.errors import RunError
from framework.report.progress import SilentReporter

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]


class Listener(SilentReporter):
    """Remembers what it is told; stops the process's training where asked."""

    def __init__(self, stop_at: int | None = None, epoch_too: bool = False) -> None:
        self.lines: list[str] = []
        self.steps: list[StepResult] = []
        self.epochs: list[EpochResult] = []
        self.stop_at = stop_at

    def message(self, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(f"warning: {text}")

    def step(self, result: StepResult) -> None:
        self.steps.append(result)
        if result.position.step == self.stop_at:
            raise Killed

    def epoch(self, result: EpochResult, metrics: dict[str, float], sample: str | None) -> None:
        self.epochs.append(result)


class Killed(BaseException):
    """Ends a process's work in the middle of a step, as SIGKILL does: nothing is caught, nothing more is written by the loop."""


def state_of(run: Run) -> dict[str, np.ndarray]:
    return CheckpointStore(run.folder.checkpoints).load("last").state  # type: ignore[return-value]


def assert_same_state(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert sorted(one) == sorted(other)
    for name in one.keys() - {"progress/seconds"}:  # the clock is nobody's to repeat
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_leaves_everything_behind(backend: str, small) -> None:  # type: ignore[no-untyped-def]
    listener = Listener()
    run = framework.train(small(f"backend={backend}", "data.validation_fraction=0.2"), reporter=listener)
    assert run.status == "finished"
    for file in ("config/composed.yaml", "config/resolved.yaml", "config/overrides.yaml", "metrics.jsonl", "report.md", "plots/loss.png"):
        assert (run.path / file).stat().st_size > 0, file
    for file in ("spec.yaml", "weights.safetensors", "vocabulary.json"):
        assert (run.path / "model" / file).is_file(), file
    assert len((run.path / "samples" / "epoch-0003.txt").read_text()) == 13
    metrics = run.metrics()
    assert [step for step, _ in metrics["loss"]] == list(range(1, 19))
    assert [step for step, _ in metrics["epoch/val_loss"]] == [6, 12, 18]
    losses = [loss for _, loss in metrics["loss"]]
    untrained = metrics["epoch/untrained_loss"][0][1]
    tokens = json.loads((run.path / "run.json").read_text())["sizes"]["tokens"]
    assert untrained == pytest.approx(math.log(tokens), abs=0.05)
    assert losses[-1] < untrained - 0.1
    for number, epoch in enumerate(listener.epochs):
        assert epoch.loss == pytest.approx(np.mean(losses[6 * number : 6 * number + 6]), rel=1e-5)
    assert not (run.path / "lock").exists()
    assert framework.open_run("last", str(run.path.parents[1])).path == run.path


@pytest.mark.parametrize(
    ("stop_at", "backend"),
    [
        pytest.param(9, "torch", marks=pytest.mark.torch),
        pytest.param(9, "tensorflow", marks=[pytest.mark.tensorflow, pytest.mark.slow]),
        pytest.param(3, "torch", marks=[pytest.mark.torch, pytest.mark.slow]),
        pytest.param(3, "tensorflow", marks=[pytest.mark.tensorflow, pytest.mark.slow]),
    ],
)
def test_a_killed_run_goes_on_to_the_same_bits(backend: str, stop_at: int, small) -> None:  # type: ignore[no-untyped-def]
    hard = (
        "data.validation_fraction=0.2",
        "model.layers.gru.dropout=0.2",
        "optimizer.schedule.kind=cosine",
        "trainer.checkpoint.every_n_steps=2",
    )
    whole = framework.train(small(f"backend={backend}", *hard, "name=whole"))
    with pytest.raises(Killed):
        framework.train(small(f"backend={backend}", *hard, "name=killed"), reporter=Listener(stop_at))
    listener = Listener()
    again = framework.train(small(f"backend={backend}", *hard, "name=killed"), reporter=listener)
    assert listener.steps[0].position.step == stop_at // 2 * 2 + 1 if stop_at < 6 else 9
    assert_same_state(state_of(again), state_of(whole))
    assert again.metrics()["loss"] == whole.metrics()["loss"]
    assert [loss for _, loss in again.metrics()["epoch/loss"]] == pytest.approx(
        [loss for _, loss in whole.metrics()["epoch/loss"]], rel=1e-6
    )


@pytest.mark.torch
def test_the_same_command_again_says_that_the_run_is_finished(small) -> None:  # type: ignore[no-untyped-def]
    run = framework.train(small())
    before = (run.path / "metrics.jsonl").read_text()
    listener = Listener()
    again = framework.train(small(), reporter=listener)
    assert again.path == run.path
    assert "is finished already" in listener.lines[0]
    assert not listener.steps
    assert (run.path / "metrics.jsonl").read_text() == before


@pytest.mark.torch
def test_the_last_run_is_the_latest_that_finished(small) -> None:  # type: ignore[no-untyped-def]
    finished = framework.train(small("name=finished", "trainer.max_epochs=1"))
    pruned = train(small("name=pruned"), prune=lambda epoch, values: True)
    assert pruned.status == "pruned"
    with pytest.raises(Killed):
        framework.train(small("name=killed"), reporter=Listener(stop_at=2))
    assert framework.open_run("last", str(finished.path.parents[1])).path == finished.path


@pytest.mark.torch
def test_more_epochs_go_on_with_a_named_run(small) -> None:  # type: ignore[no-untyped-def]
    framework.train(small("name=mine"))
    listener = Listener()
    run = framework.train(small("name=mine", "trainer.max_epochs=4"), reporter=listener)
    assert [one.position for one in listener.epochs] == [Position(epoch=4, batch=0, step=24)]
    assert run.record()["epochs"] == 4


@pytest.mark.torch
def test_another_config_in_a_named_run_is_a_conflict_that_lists_the_keys(small) -> None:  # type: ignore[no-untyped-def]
    framework.train(small("name=mine", "trainer.max_epochs=1"))
    with pytest.raises(RunError, match=r"another config.*\n.*seed: 0 in the run, 3 now\n.*resume=never"):
        framework.train(small("name=mine", "seed=3"))
    assert framework.train(small("name=mine", "seed=3", "resume=never", "trainer.max_epochs=1")).path.name == "mine-2"


@pytest.mark.torch
def test_other_data_in_a_run_is_refused(small, text: Path) -> None:  # type: ignore[no-untyped-def]
    framework.train(small("name=mine", "trainer.max_epochs=1"))
    text.write_text(text.read_text() + "more ")
    with pytest.raises(RunError, match="begun with other data"):
        framework.train(small("name=mine", "trainer.max_epochs=2"))


@pytest.mark.torch
def test_resume_must_needs_a_run(small) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RunError, match="there is no run to go on with"):
        framework.train(small("resume=must"))


@pytest.mark.torch
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(small) -> None:  # type: ignore[no-untyped-def]
    whole = framework.train(small("name=whole"))
    with pytest.raises(Killed):
        framework.train(small("name=killed"), reporter=Listener(stop_at=14))
    state = whole.path.parent / "killed" / "checkpoints" / "last" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-10])
    listener = Listener()
    again = framework.train(small("name=killed"), reporter=listener)
    assert any("state.safetensors" in line and "checkpoint before it" in line for line in listener.lines)
    assert listener.steps[0].position.step == 7
    assert_same_state(state_of(again), state_of(whole))


@pytest.mark.torch
def test_early_stopping_ends_a_run(small) -> None:  # type: ignore[no-untyped-def]
    stopping = ("trainer.early_stopping.monitor=loss", "trainer.early_stopping.patience=0", "trainer.early_stopping.min_delta=100")
    run = framework.train(small(*stopping, "trainer.max_epochs=9"))
    assert run.record()["epochs"] == 2
    assert run.record()["stopped_early"] is True
    assert run.status == "finished"


@pytest.mark.torch
def test_contiguous_batches_begin_each_epoch_from_zeros(small) -> None:  # type: ignore[no-untyped-def]
    run = framework.train(small("data.order=contiguous", "trainer.max_epochs=2"))
    assert run.status == "finished"


@pytest.mark.parametrize("backend", BACKENDS)
def test_generation_from_python(backend: str, small) -> None:  # type: ignore[no-untyped-def]
    run = framework.train(small(f"backend={backend}", "trainer.max_epochs=1"))
    text = run.generate("gate ", length=30, seed=3)
    assert text.startswith("gate ")
    assert len(text) == 35
    assert run.generate("gate ", length=30, seed=3) == text
    assert run.generate("gate ", length=30, seed=4) != text


@pytest.mark.torch
@pytest.mark.tensorflow
def test_both_backends_train_alike_and_write_alike(small) -> None:  # type: ignore[no-untyped-def]
    runs = {
        backend: framework.train(small(f"backend={backend}", "model.layers.gru.recurrent_dropout=0")) for backend in ("torch", "tensorflow")
    }
    losses = {backend: [loss for _, loss in run.metrics()["loss"]] for backend, run in runs.items()}
    np.testing.assert_allclose(losses["torch"], losses["tensorflow"], rtol=1e-4)
    assert runs["torch"].generate("gate ", length=60, seed=1) == runs["tensorflow"].generate("gate ", length=60, seed=1)
