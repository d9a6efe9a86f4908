"""What a run's folder holds reaches the store whole and once, whatever the store answers and whenever the sender is killed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tracking.fake_store import FakeRun, FakeStore, deliver, nothing_is_left
from tracking.run_on_disk import RunOnDisk

from framework.tracking import model, outbox
from framework.tracking.note import mark_losses
from framework.tracking.outbox import Outbox

NewRun = Callable[..., RunOnDisk]


@pytest.fixture(autouse=True)
def without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "_signature", lambda *words: None)
    monkeypatch.setattr(model, "_example", lambda *words: None)


def values(run: FakeRun) -> list[tuple[str, float, int, int]]:
    return sorted((value.name, value.value, value.time, value.step) for value in run.values)


def add_model(run: RunOnDisk, content: bytes = b"weights") -> None:
    folder = run.path / "model"
    folder.mkdir(exist_ok=True)
    (folder / "weights.safetensors").write_bytes(content)
    (folder / "spec.yaml").write_text("spec_version: 1\n")


# --- what is delivered ------------------------------------------------------------------------------------------------------------


def test_a_whole_run_is_delivered(new_run: NewRun) -> None:
    run = new_run("one", "tracking.tags.team=alpha", "tracking.register_as=speaker")
    run.measure(1, 30)
    run.sample(1)
    (run.path / "system.jsonl").write_text('{"step": 0, "time": 1.5, "values": {"system/cpu_utilization_percentage": 7.5}}\n')
    box, store = Outbox(run.path), FakeStore()
    box.begin(None)
    deliver(box, store)
    found = store.only_run()
    assert (found.name, found.started, found.status) == ("one", 1_700_000_000_500, "running")
    assert store.experiments == {"text_generation": "1"}
    assert values(found) == sorted([*run.recorded(), ("system/cpu_utilization_percentage", 7.5, 1500, 0)])
    assert found.parameters["model.layers.gru.units"] == "8"
    assert found.tags["team"] == "alpha"
    assert found.tags["gatework.data_digest"] == "e" * 64
    assert found.tags["gatework.overrides"] == "recipe=text_generation data=python_source debug=small model.layers.gru.units=8"
    assert found.data == {("python_source", "e" * 64, "corpus python_source")}
    assert found.files["samples/epoch-0001.txt"] == b"sample of epoch 1"
    assert set(found.files) == {"config/composed.yaml", "config/overrides.yaml", "config/resolved.yaml", "samples/epoch-0001.txt"}
    assert store.logged == {}  # not before the end
    assert nothing_is_left(box, store)
    add_model(run)
    run.update(steps=30)
    run.end(box, "finished", ended=1_700_000_009.25)
    deliver(box, store)
    assert (found.status, found.ended) == ("finished", 1_700_000_009_250)
    [logged] = store.logged.values()
    assert (logged["status"], logged["step"]) == ("READY", "30")
    assert store.versions == [("speaker", *store.logged)]
    assert nothing_is_left(box, store)
    assert len(store.all_runs) == len(store.logged) == len(store.versions) == 1


@pytest.mark.parametrize(("status", "error"), [("failed", "the loss is nan at step 3"), ("stopped", None), ("killed", "")])
def test_a_run_that_did_not_finish_has_no_model_but_its_error(status: str, error: str | None, new_run: NewRun) -> None:
    run, store = new_run(), FakeStore()
    add_model(run)
    box = Outbox(run.path)
    box.begin(None)
    run.end(box, status, error)
    deliver(box, store)
    assert store.only_run().status == status
    assert store.only_run().tags.get("gatework.error") == (error or None)
    assert store.logged == {}


def test_checkpoints_are_delivered_only_where_asked_for(new_run: NewRun) -> None:
    for name, overrides in (("one", ()), ("two", ("tracking.log_checkpoints=true",))):
        run, store = new_run(name, *overrides), FakeStore()
        for checkpoint in ("last", "best", "previous"):
            (run.path / "checkpoints" / checkpoint).mkdir(parents=True)
            (run.path / "checkpoints" / checkpoint / "state.safetensors").write_text(checkpoint)
        deliver(Outbox(run.path), store)
        uploaded = {file for file in store.only_run().files if file.startswith("checkpoints")}
        assert uploaded == ({"checkpoints/last/state.safetensors", "checkpoints/best/state.safetensors"} if overrides else set())


def test_a_checkpoint_that_is_replaced_meanwhile_comes_with_the_next_delivery(new_run: NewRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run, store = new_run("one", "tracking.log_checkpoints=true"), FakeStore()
    (run.path / "checkpoints" / "last").mkdir(parents=True)
    file = run.path / "checkpoints" / "last" / "state.safetensors"
    file.write_text("1")
    add = store.add_file

    def replaced(run_id: str, path: Path, folder: str) -> None:
        if path == file:
            raise FileNotFoundError(path)
        add(run_id, path, folder)

    monkeypatch.setattr(store, "add_file", replaced)
    box = Outbox(run.path)
    deliver(box, store)
    assert "checkpoints/last/state.safetensors" not in store.only_run().files
    monkeypatch.setattr(store, "add_file", add)
    deliver(box, store)
    assert store.only_run().files["checkpoints/last/state.safetensors"] == b"1"


def test_a_changed_file_is_delivered_again(new_run: NewRun) -> None:
    run, store = new_run(), FakeStore()
    (run.path / "report.md").write_text("first")
    box = Outbox(run.path)
    deliver(box, store)
    (run.path / "report.md").write_text("second, longer")
    (run.path / ".report.md.part").write_text("half")
    deliver(box, store)
    assert store.only_run().files["report.md"] == b"second, longer"
    assert box.delivered.files == 5


def test_a_line_still_being_written_waits_and_a_damaged_one_is_left_out(new_run: NewRun) -> None:
    run, store = new_run(), FakeStore()
    run.measure(1, 2)
    path = run.path / "metrics.jsonl"
    with path.open("a") as file:
        file.write('not json\n{"step": 3, "time": 2.0, "values": {"loss"')
    box = Outbox(run.path)
    deliver(box, store)
    assert {value.step for value in store.only_run().values} == {1, 2}
    with path.open("a") as file:
        file.write(": NaN}}\n")
    deliver(box, store)
    [last] = [value for value in store.only_run().values if value.step == 3]
    assert last.value != last.value
    assert nothing_is_left(box, store)


# --- going on ---------------------------------------------------------------------------------------------------------------------


def test_a_run_gone_on_with_is_the_same_run_and_running_again(new_run: NewRun) -> None:
    run, store = new_run(), FakeStore()
    run.measure(1, 10)
    box = Outbox(run.path)
    box.begin(None)
    run.end(box, "failed", "out of memory")
    deliver(box, store)
    run.measure(11, 20)
    again = Outbox(run.path)
    run.go_on(again)
    deliver(again, store)
    found = store.only_run()
    assert found.status == "running"
    assert "gatework.error" not in found.tags
    run.end(again, "finished")
    deliver(again, store)
    assert found.statuses == ["running", "failed", "running", "finished"]
    assert values(found) == run.recorded()


def test_changed_parameters_are_recorded_and_not_refused(new_run: NewRun) -> None:
    run, store = new_run(), FakeStore()
    deliver(Outbox(run.path), store)
    run.experiment = new_run("other", "trainer.max_epochs=7", "tracking.timeout=2").experiment
    run.write_config()
    again = Outbox(run.path)
    again.begin(None)
    deliver(again, store)
    found = store.only_run()
    assert found.parameters["trainer.max_epochs"] == "1"
    changed = {key: value for key, value in found.tags.items() if key.startswith("gatework.changed.")}
    assert changed == {"gatework.changed.trainer.max_epochs": "7", "gatework.changed.tracking.timeout": "2.0"}
    run.experiment = new_run("third", "tracking.timeout=2").experiment
    run.write_config()
    deliver(again, store)
    assert "gatework.changed.trainer.max_epochs" not in found.tags
    assert found.tags["gatework.changed.tracking.timeout"] == "2.0"


def test_a_longer_training_logs_its_model_as_well(new_run: NewRun) -> None:
    run, store = new_run(), FakeStore()
    add_model(run, b"first")
    box = Outbox(run.path)
    run.end(box, "finished")
    deliver(box, store)
    run.go_on(box)
    add_model(run, b"second!")
    run.end(box, "finished")
    deliver(box, store)
    assert len(store.logged) == 2


def test_another_store_gets_everything_and_the_first_one_is_gone_on_with(new_run: NewRun) -> None:
    run = new_run()
    run.measure(1, 5)
    first, second = FakeStore(), FakeStore()
    deliver(Outbox(run.path, "http://first"), first)
    run.measure(6, 8)
    deliver(Outbox(run.path, "http://second"), second)
    assert values(second.only_run()) == run.recorded()
    deliver(Outbox(run.path, "http://first"), first)
    assert values(first.only_run()) == run.recorded()


def test_a_run_that_somebody_deleted_is_recorded_anew(new_run: NewRun) -> None:
    run, store = new_run(), FakeStore()
    run.measure(1, 5)
    deliver(Outbox(run.path), store)
    store.only_run().deleted = True
    again = Outbox(run.path)
    again.verify(store)  # type: ignore[arg-type]
    deliver(again, store)
    assert len(store.all_runs) == 2
    assert values(store.only_run()) == run.recorded()


def test_values_lost_with_the_machine_are_not_delivered_twice(new_run: NewRun) -> None:
    """The end of metrics.jsonl was delivered, but never reached the disk; the steps are done and measured again."""
    run, store = new_run(), FakeStore()
    run.measure(1, 20)
    deliver(Outbox(run.path), store)
    before = list(store.only_run().values)
    path = run.path / "metrics.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:5]))
    run.recorder = type(run.recorder)(path)
    mark_losses(run.path)
    time.sleep(0.01)
    run.measure(6, 9)
    deliver(Outbox(run.path), store)
    assert store.only_run().values == before
    mark_losses(run.path)  # nothing new is lost
    run.measure(10, 25)
    deliver(Outbox(run.path), store)
    steps = sorted(value.step for value in store.only_run().values if value.name == "loss")
    assert steps == sorted(set(steps))


def test_a_run_that_a_slow_server_makes_twice_is_one_in_the_end(new_run: NewRun) -> None:
    """The first request is given up, asked again, and takes effect after all."""
    run, store = new_run(), FakeStore()
    run.measure(1, 5)
    late: list[tuple[str, str, int | None]] = []
    make = store.make_run

    def slow(experiment: str, key: str, name: str, started: int | None) -> str:
        if not late:
            late.append((key, name, started))
            raise TimeoutError("timed out")
        return make(experiment, key, name, started)

    store.make_run = slow  # type: ignore[method-assign]
    box = Outbox(run.path)
    with pytest.raises(TimeoutError):
        deliver(box, store)
    deliver(box, store)
    store.all_runs["late"] = FakeRun(late[0][1], late[0][0], late[0][2])
    run.end(box, "finished")
    deliver(box, store)
    assert values(store.only_run()) == run.recorded()
    assert store.all_runs["late"].deleted


# --- any store, any kill ----------------------------------------------------------------------------------------------------------


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=st.lists(st.sampled_from([None, None, None, "before", "after", "kill"]), max_size=60), number=st.integers(0, 10**9))
def test_whatever_fails_everything_arrives_once(answers: list[str | None], number: int, new_run: NewRun, monkeypatch: Any) -> None:
    """Each call of the store may fail before or after it took effect, and the sender may be killed at any."""
    monkeypatch.setattr(outbox, "_VALUES_AT_ONCE", 8)
    run = new_run(f"run-{number}-{len(answers)}-{time.monotonic_ns()}", "tracking.register_as=speaker")
    left = list(answers)

    def fails() -> str | None:
        answer = left.pop() if left else None
        if answer == "kill":
            raise KeyboardInterrupt
        return answer

    store = FakeStore(fails)
    box = Outbox(run.path)
    box.begin(None)
    for stretch in range(3):
        run.measure(10 * stretch + 1, 10 * stretch + 10)
        run.sample(stretch)
        if stretch == 2:
            add_model(run)
            run.update(steps=30)
            run.end(box, "finished", ended=1_700_000_099.0)
        while True:
            try:
                box.verify(store)  # type: ignore[arg-type]
                deliver(box, store)
            except ConnectionError:
                continue
            except KeyboardInterrupt:
                box = Outbox(run.path)
                continue
            break
    store.fails = lambda: None
    assert nothing_is_left(box, store)
    found = store.only_run()
    assert values(found) == run.recorded()
    assert (found.status, found.ended) == ("finished", 1_700_000_099_000)
    assert found.parameters["model.layers.gru.units"] == "8"
    assert sorted(file for file in found.files if file.startswith("samples")) == [f"samples/epoch-000{n}.txt" for n in range(3)]
    ready = [model for model, tags in store.logged.items() if tags["status"] == "READY"]
    assert len(ready) == 1
    assert store.versions == [("speaker", ready[0])]


# --- multiruns --------------------------------------------------------------------------------------------------------------------


def test_jobs_are_children_of_one_run(new_run: NewRun, tmp_path: Path) -> None:
    parent = tmp_path / "runs" / ".multirun" / "abcd"
    parent.mkdir(parents=True)
    record = {"title": "multirun units=1,2", "overrides": ["units=1,2"], "started": 1_700_000_000.0, "status": "running"}
    (parent / outbox.MULTIRUN).write_text(json.dumps(record))
    store = FakeStore()
    for name in ("one", "two"):
        box = Outbox(new_run(name).path, "http://server")
        box.begin(parent)
        deliver(box, store)
    [parent_id] = [run_id for run_id, run in store.all_runs.items() if run.name == "multirun units=1,2"]
    children = [run for run in store.all_runs.values() if run.tags.get("mlflow.parentRunId") == parent_id]
    assert [run.name for run in children] == ["one", "two"]
    assert len(store.all_runs) == 3
    assert store.all_runs[parent_id].tags["gatework.overrides"] == "units=1,2"
    (parent / "jobs.json").write_text("[]")
    box = Outbox(parent)
    assert box.uri == "http://server"
    (parent / outbox.MULTIRUN).write_text(json.dumps({**record, "status": "finished", "ended": 1_700_000_009.0}))
    box.settle()
    deliver(box, store)
    assert store.all_runs[parent_id].status == "finished"
    assert set(store.all_runs[parent_id].files) == {"jobs.json"}
