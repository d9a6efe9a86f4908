"""Many jobs at a time: a search on a real MLflow server, and eight runs on one database file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tracking.mlflow_server import Server, read_back

pytestmark = [pytest.mark.slow, pytest.mark.torch]

SMALL = ("recipe=text_generation", "data=python_source", "debug=small", "model.layers.gru.units=8", "trainer.max_epochs=2")


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "framework", "train", *SMALL, *words]
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}
    return subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def folder_values(folder: Path) -> list[tuple[str, float, int, int]]:
    found = []
    for name in ("metrics.jsonl", "system.jsonl"):
        for line in (folder / name).read_text().splitlines() if (folder / name).is_file() else []:
            record = json.loads(line)
            found += [(key, value, round(record["time"] * 1000), record["step"]) for key, value in record["values"].items()]
    return sorted(found)


def test_a_search_is_a_parent_with_a_child_for_each_trial(server: Server, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    words = ["sweep=optuna", "hydra.sweeper.n_trials=6", "hydra.launcher.n_jobs=2", "model.layers.gru.units=choice(4,8)"]
    words += [f"tracking.uri={server.uri}", "tracking.experiment_name=search", "tracking.timeout=60"]
    process = start(tmp_path, *words)
    out, _ = process.communicate(timeout=900)
    assert process.returncode == 0, out
    assert "warning" not in out
    [folder] = (tmp_path / "runs" / ".multirun").iterdir()
    trials = json.loads((folder / "trials.json").read_text())
    assert [one["number"] for one in trials] == list(range(6))

    client: Any = MlflowClient(tracking_uri=server.uri)
    experiment = client.get_experiment_by_name("search").experiment_id
    runs = client.search_runs([experiment])
    assert len(runs) == 7
    assert {one.info.status for one in runs} == {"FINISHED"}
    [parent] = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    assert parent.info.run_name.startswith("multirun sweep=optuna ")
    assert parent.data.tags["mlflow.note.content"].startswith("6 trials: 6 finished.\n\nBest: trial ")
    children = {one.data.tags["gatework.folder"]: one for one in runs if one.data.tags.get("mlflow.parentRunId") == parent.info.run_id}
    assert sorted(children) == sorted(str(Path(one["run"])) for one in trials)
    for trial in trials:
        child = children[str(Path(trial["run"]))]
        assert child.data.params["model.layers.gru.units"] == trial["values"]["model.layers.gru.units"]
        assert read_back(client, child.info.run_id) == folder_values(Path(trial["run"]))
        if trial["state"] == "complete":
            assert min(point.value for point in client.get_metric_history(child.info.run_id, "epoch/loss")) == trial["value"]
    files = {info.path for info in client.list_artifacts(parent.info.run_id)}
    assert {"report.md", "trials.json", "plots"} <= files
    assert {"plots/history.png", "plots/parallel.png"} <= {info.path for info in client.list_artifacts(parent.info.run_id, "plots")}


def test_eight_jobs_at_once_on_one_database_file_lose_nothing(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    jobs = {f"job-{number}": start(tmp_path, f"name=job-{number}", f"seed={number}") for number in range(8)}
    for name, process in jobs.items():
        out, _ = process.communicate(timeout=900)
        assert process.returncode == 0, out
        assert "database is locked" not in out
        assert "warning" not in out, (name, out)
    client: Any = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("text_generation").experiment_id])
    assert sorted(one.info.run_name for one in runs) == sorted(jobs)
    for one in runs:
        assert one.info.status == "FINISHED"
        folder = tmp_path / "runs" / "text_generation" / one.info.run_name
        assert read_back(client, one.info.run_id) == folder_values(folder)
        assert len(client.search_logged_models([one.info.experiment_id], filter_string=f"source_run_id = '{one.info.run_id}'")) == 1
