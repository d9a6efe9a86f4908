"""A real MLflow server: what it has of a run is what the run's folder has, whatever happened to the server meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tracking.mlflow_server import Server, read_back, wait_until
from tracking.proxy import Proxy
from tracking.run_on_disk import RunOnDisk, training

import framework
from framework.cli.main import main
from framework.engine.run.recorder import read_records
from framework.tracking.settings import flatten

NewRun = Callable[..., RunOnDisk]


class Told:
    """A reporter that keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *words, **named: None


@pytest.fixture
def client(server: Server) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=server.uri)


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    found = Proxy(server)
    yield found
    found.close()


def folder_values(folder: Path) -> list[tuple[str, float, int, int]]:
    found = []
    for file in ("metrics.jsonl", "system.jsonl"):
        for line in (folder / file).read_text().splitlines():
            record = json.loads(line)
            found += [(name, value, round(record["time"] * 1000), record["step"]) for name, value in record["values"].items()]
    return sorted(found)


def artifacts(client: Any, run_id: str, path: str | None = None) -> dict[str, int]:
    """Files of a run with their sizes, as the server lists them."""
    found: dict[str, int] = {}
    for info in client.list_artifacts(run_id, path):
        found.update(artifacts(client, run_id, info.path) if info.is_dir else {info.path: info.file_size})
    return found


@pytest.mark.slow
@pytest.mark.torch
def test_a_whole_run_is_read_back_value_by_value(server: Server, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    import mlflow

    mlflow.set_tracking_uri(None)  # which another test's delivery in this process may have set
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)  # for the reading back; the run has its address from its config
    overrides = ["data=python_source", "debug=small", "model.layers.gru.units=8", "data.validation_fraction=0.1", "trainer.max_epochs=2"]
    overrides += [f"tracking.uri={server.uri}", "tracking.register_as=speaker", "tracking.tags.team=alpha", "name=whole"]
    overrides += ["tracking.timeout=60"]  # on a busy machine a server takes its time
    told = Told()
    from framework.engine.model.run import Run
    from framework.engine.run.train import train

    run = Run(train(framework.load("text_generation", overrides=overrides), overrides=overrides, reporter=told))
    assert told.warnings == []
    note = json.loads((run.path / "tracking.json").read_text())
    found = client.get_run(note["run_id"])

    assert (found.info.run_name, found.info.status) == ("whole", "FINISHED")
    record = run.record()
    assert abs(found.info.start_time / 1000 - record["started"]) < 0.01
    assert abs(found.info.end_time / 1000 - record["ended"]) < 5
    assert client.get_experiment(found.info.experiment_id).name == "text_generation"

    saved = yaml.safe_load((run.path / "config" / "resolved.yaml").read_text())
    assert found.data.params == flatten(saved)
    assert int(found.data.params["model.layers.embedding.input_dim"]) == record["sizes"]["tokens"]  # filled in from the data

    values = read_back(client, note["run_id"])
    assert values == folder_values(run.path)
    names = {name for name, *_ in values}
    assert {"loss", "learning_rate", "epoch/loss", "epoch/val_loss", "epoch/untrained_loss", "epoch/val_perplexity"} <= names
    assert "system/cpu_utilization_percentage" in names
    assert {step for name, _, _, step in values if name == "loss"} == set(range(1, 11))
    assert len(list(read_records(run.path / "metrics.jsonl"))) > 10

    tags = found.data.tags
    environment = json.loads((run.path / "environment.json").read_text())
    expected = {
        "team": "alpha",
        "gatework.backend": "torch",
        "gatework.config_digest": record["digest"],
        "gatework.data_digest": record["data_digest"],
        "gatework.data_source": record["data_source"],
        "gatework.parameters": str(record["parameters"]),
        "gatework.overrides": " ".join(overrides),
        "gatework.version.torch": record["versions"]["torch"],
        "gatework.python": environment["python"],
        "gatework.folder": str(run.path),
    }
    assert {key: tags.get(key) for key in expected} == expected
    [data] = found.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("python_source", record["data_digest"][:36])

    uploaded = artifacts(client, note["run_id"])
    local = ["config/composed.yaml", "config/overrides.yaml", "config/resolved.yaml", "environment.json", "plots/loss.png", "report.md"]
    local += ["samples/epoch-0001.txt", "samples/epoch-0002.txt"]
    assert uploaded == {name: (run.path / name).stat().st_size for name in local}

    [model] = client.search_logged_models([found.info.experiment_id], filter_string=f"source_run_id = '{note['run_id']}'")
    assert str(model.status.value) == "READY"
    assert {metric.key: metric.value for metric in model.metrics}["epoch/val_loss"] == run.metrics()["epoch/val_loss"][-1][1]
    [version] = client.search_model_versions("name = 'speaker'")
    assert version.source == f"models:/{model.model_id}"
    assert "MLmodel" in {info.path for info in client.list_logged_model_artifacts(model.model_id)}
    from mlflow.artifacts import download_artifacts

    fetched = Path(download_artifacts(f"models:/{model.model_id}", dst_path=str(tmp_path / "fetched"), tracking_uri=server.uri))
    assert (fetched / "artifacts/model/weights.safetensors").read_bytes() == (run.path / "model/weights.safetensors").read_bytes()
    assert not [file for file in fetched.rglob("*") if file.suffix in (".pkl", ".pickle", ".pt", ".pth")]


@pytest.mark.slow
def test_a_server_that_is_away_for_a_part_of_the_run_has_all_of_it_in_the_end(server: Server, client: Any, new_run: NewRun) -> None:
    run = new_run("away", f"tracking.uri={server.uri}")
    warnings: list[str] = []
    with training(run, warnings.append) as tracked:
        run.measure(1, 100)
        wait_until(lambda: run.note().get("delivered", {}).get("metrics.jsonl", 0) > 0)
        server.stop()
        run.measure(101, 300)
        run.sample(1)
        wait_until(lambda: len(warnings) == 1)
        server.start()
        run.measure(301, 400)
        tracked.finish()
    assert len(warnings) == 1
    found = client.get_run(run.note()["run_id"])
    assert found.info.status == "FINISHED"
    assert read_back(client, run.note()["run_id"]) == folder_values(run.path)
    assert "samples/epoch-0001.txt" in artifacts(client, run.note()["run_id"])


@pytest.mark.slow
def test_a_server_that_is_away_all_along_gets_the_run_by_sync(
    server: Server, client: Any, new_run: NewRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run("late", f"tracking.uri={server.uri}", "tracking.timeout=1")
    server.stop()
    try:
        warnings: list[str] = []
        with training(run, warnings.append) as tracked:
            run.measure(1, 50)
            tracked.finish()
        assert len(warnings) == 2
        assert main(["sync", str(run.path), "--timeout", "2"]) == 1
        assert "not everything could be delivered (" in capsys.readouterr().out
    finally:
        server.start()
    assert main(["sync", str(run.path)]) == 0
    out = capsys.readouterr().out
    assert f"text_generation/late: delivered {len(folder_values(run.path))} values, " in out
    assert out.rstrip().endswith(f"run {run.note()['run_id']} at {server.uri}, finished")
    assert read_back(client, run.note()["run_id"]) == folder_values(run.path)
    assert client.get_run(run.note()["run_id"]).info.status == "FINISHED"
    assert main(["sync", str(run.path)]) == 0
    assert "nothing was left to deliver" in capsys.readouterr().out
    assert read_back(client, run.note()["run_id"]) == folder_values(run.path)


@pytest.mark.slow
def test_a_server_that_answers_errors_and_breaks_off_has_everything_once(proxy: Proxy, client: Any, new_run: NewRun) -> None:
    run = new_run("faulty", f"tracking.uri={proxy.uri}", "tracking.register_as=faulty")
    proxy.errors = proxy.breaks = 0.15
    (run.path / "model").mkdir()
    (run.path / "model" / "weights.safetensors").write_bytes(b"weights" * 1000)
    warnings: list[str] = []
    with training(run, warnings.append) as tracked:
        for step in range(1, 601):
            run.measure(step, step)
            time.sleep(0.02)
        run.sample(1)
        run.update(steps=600)
        proxy.errors = proxy.breaks = 0.1
        tracked.finish()
    assert warnings[0].startswith(f"MLflow at {proxy.uri} does not take records (")
    if len(warnings) > 1:  # the dice may be against it to the end
        proxy.errors = proxy.breaks = 0.0
        assert main(["sync", str(run.path)]) == 0
    assert proxy.requests > 30
    found = client.get_run(run.note()["run_id"])
    assert found.info.status == "FINISHED"
    assert read_back(client, run.note()["run_id"]) == folder_values(run.path)
    runs = client.search_runs([found.info.experiment_id], f"tags.`gatework.key` = '{run.note()['key']}'")
    assert len(runs) == 1
    models = client.search_logged_models([found.info.experiment_id], filter_string=f"source_run_id = '{run.note()['run_id']}'")
    assert [str(model.status.value) for model in models] == ["READY"]
    assert len(client.search_model_versions("name = 'faulty'")) == 1


@pytest.mark.slow
def test_a_slow_server_gets_everything_and_costs_the_run_nothing(proxy: Proxy, client: Any, new_run: NewRun) -> None:
    """Two seconds an answer, with one second allowed at first."""
    run = new_run("slow", f"tracking.uri={proxy.uri}", "tracking.timeout=1")
    proxy.delay = 2.0
    warnings: list[str] = []
    with training(run, warnings.append) as tracked:
        started = time.perf_counter()
        run.measure(1, 500)
        assert time.perf_counter() - started < 2.0
        wait_until(lambda: bool(run.note().get("delivered")))  # by now it is known how slow the server is
        tracked.finish()
    assert len(warnings) == 1, "slow, but all is delivered in the end"
    assert client.get_run(run.note()["run_id"]).info.status == "FINISHED"
    assert read_back(client, run.note()["run_id"]) == folder_values(run.path)


def gatework(folder: Path, server: Server, *words: str) -> subprocess.Popen[str]:
    overrides = ["recipe=text_generation", "data=python_source", "debug=small", "model.layers.gru.units=8", "name=real"]
    overrides += ["model.layers.embedding.output_dim=256"]  # for steps that leave time to be killed in
    overrides += ["trainer.max_epochs=3", "trainer.limit_train_batches=400", "trainer.checkpoint.every_n_steps=50"]
    overrides += [f"tracking.uri={server.uri}", "tracking.experiment_name=real", "tracking.timeout=60"]
    command = [sys.executable, "-m", "framework", "train", *overrides, *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.slow
@pytest.mark.torch
def test_a_real_run_killed_stopped_and_gone_on_with(server: Server, client: Any, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "text_generation" / "real"

    def note() -> dict[str, Any]:
        path = folder / "tracking.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        return found

    def delivered() -> int:
        return int(note().get("delivered", {}).get("metrics.jsonl", 0))

    def status() -> str:
        return str(client.get_run(note()["run_id"]).info.status)

    for stop in (signal.SIGKILL, signal.SIGTERM):
        before = delivered()
        process = gatework(tmp_path, server)
        wait_until(lambda before=before: delivered() > before, 120)  # type: ignore[misc]
        assert status() == "RUNNING"
        process.send_signal(stop)
        process.communicate()
        wait_until(lambda: status() == "KILLED")
    process = gatework(tmp_path, server, "trainer.max_epochs=4")
    output, _ = process.communicate()
    assert process.returncode == 0, output
    assert "warning" not in output
    found = client.get_run(note()["run_id"])
    assert found.info.status == "FINISHED"
    assert len(client.search_runs([found.info.experiment_id])) == 1
    values = read_back(client, note()["run_id"])
    assert values == folder_values(folder)
    assert sorted(step for name, _, _, step in values if name == "loss") == list(range(1, 1601))
    assert found.data.params["trainer.max_epochs"] == "3"
    assert found.data.tags["gatework.changed.trainer.max_epochs"] == "4"


@pytest.mark.slow
@pytest.mark.torch
def test_a_run_that_fails_is_failed_with_its_error(server: Server, client: Any, tmp_path: Path) -> None:
    process = gatework(tmp_path, server, "optimizer.learning_rate=1e30", "name=failing")
    output, _ = process.communicate()
    assert process.returncode == 1
    note = json.loads((tmp_path / "runs" / "text_generation" / "failing" / "tracking.json").read_text())
    found = client.get_run(note["run_id"])
    assert found.info.status == "FAILED"
    assert found.data.tags["gatework.error"] in output
    assert found.data.tags["gatework.error"].startswith("the loss is ")
