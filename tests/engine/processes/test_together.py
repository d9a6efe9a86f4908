"""Several processes train as one does, end together, and go on together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.engine.processes.start import free_ports
from framework.weights.store import load_with_checksum

ROOT = Path(__file__).resolve().parents[3]
WHOLE = (
    "data.drop_remainder=false",
    "data.max_tokens=700",
    "data.validation_fraction=0.2",
    "data.batch_size=5",
    "data.sequence_length=8",
    "model.layers.embedding.output_dim=6",
    "model.layers.gru.units=10",
    "model.layers.gru.dropout=0.2",
    "model.layers.gru.recurrent_dropout=0.1",
    "model.layers.gru.kernel_regularizer=l2",
    "trainer.max_epochs=2",
    "trainer.gradient_clip_val=0.1",
    "trainer.precision=64-true",
    "trainer.log_every_n_steps=1",
    "optimizer.learning_rate=0.02",
    "decoding.prompt=a",
    "decoding.sample_length=12",
    "tracking=none",
)
"""Short last batches with fewer rows than processes, dropout, a penalty, clipping, validation; ``text_generation_stateless``."""

STATEFUL = tuple(word for word in WHOLE if not word.startswith("data.drop_remainder"))

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]


def words(tmp_path: Path, text: Path, recipe: str, *more: str) -> list[str]:
    settings = WHOLE if recipe.endswith("stateless") else STATEFUL
    where = [f"data.path={text}", f"paths.runs_dir={tmp_path / 'runs'}", "data=text"]
    return [f"recipe={recipe}", *settings, *where, *more]


def start(given: Sequence[str], before: Sequence[str] = (), **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, *before, "-m", "framework", "train", *given]
    told = {**os.environ, "GATEWORK_TUNE": "0", **environment}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=told)


def finished(given: Sequence[str], before: Sequence[str] = (), **environment: str) -> str:
    process = start(given, before, **environment)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    return out


def values_of(run: Path) -> dict[tuple[int, str], float]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {(one["step"], name): value for one in records for name, value in one["values"].items() if "second" not in name}


def state_of(run: Path) -> dict[str, Any]:
    state, _ = load_with_checksum(run / "checkpoints" / "last" / "state.safetensors")
    return {name: value for name, value in state.items() if name != "progress/seconds"}


def assert_the_same_bits(runs: Path, one: str, other: str) -> None:
    found = state_of(runs / other)
    for name, value in state_of(runs / one).items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize(
    ("backend", "recipe", "processes"),
    [
        pytest.param("torch", "text_generation_stateless", 3, marks=pytest.mark.torch),
        pytest.param("tensorflow", "text_generation_stateless", 2, marks=pytest.mark.tensorflow),
        pytest.param("tensorflow", "text_generation_stateless", 3, marks=[pytest.mark.tensorflow, pytest.mark.slow]),
        pytest.param("torch", "text_generation", 3, marks=[pytest.mark.torch, pytest.mark.slow]),
        pytest.param("tensorflow", "text_generation", 3, marks=[pytest.mark.tensorflow, pytest.mark.slow]),
    ],
)
def test_several_processes_train_as_one(backend: str, recipe: str, processes: int, tmp_path: Path, text: Path) -> None:
    common = words(tmp_path, text, recipe, f"backend={backend}")
    finished([*common, "name=one"])
    out = finished([*common, "name=several", f"trainer.devices={processes}"])
    one, several = (tmp_path / "runs" / recipe / name for name in ("one", "several"))
    assert out.count("finished ") == 1
    losses, shared = values_of(one), values_of(several)
    assert shared.keys() == losses.keys()
    for name, value in losses.items():
        assert shared[name] == pytest.approx(value, abs=1e-9), name
    whole, parts = state_of(one), state_of(several)
    assert parts.keys() == whole.keys()
    for name, value in whole.items():
        np.testing.assert_allclose(parts[name], value, rtol=0, atol=1e-8, err_msg=name)


@pytest.mark.torch
@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_killed_process_ends_the_others_and_is_named(rank: int, tmp_path: Path, text: Path) -> None:
    common = words(
        tmp_path, text, "text_generation", "trainer.max_epochs=400", "trainer.checkpoint.every_n_steps=3", "name=run", "trainer.devices=2"
    )
    process = start(common)
    metrics = tmp_path / "runs" / "text_generation" / "run" / "metrics.jsonl"
    while process.poll() is None and not metrics.is_file():
        time.sleep(0.02)
    members = kill_loop().members_of(process.pid)
    assert list(members) == ["1/2"]
    victim = process.pid if rank == 0 else members["1/2"]
    os.kill(victim, signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in members.values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert f"process {rank} of 2 (pid {victim})" in err
    assert "the same command goes on" in err
    assert "Traceback" not in err
    if rank:
        assert process.returncode == 1
        assert "was ended by SIGKILL" in err
        record = json.loads((metrics.parent / "run.json").read_text())
        assert record["status"] == "failed"
        assert "process 1 of 2" in record["error"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend",
    [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=[pytest.mark.tensorflow, pytest.mark.slow])],
)
def test_a_process_killed_while_it_starts_is_named_and_leaves_nothing(backend: str, tmp_path: Path, text: Path) -> None:
    common = words(tmp_path, text, "text_generation", f"backend={backend}", "trainer.max_epochs=1", "name=run", "trainer.devices=2")
    process = start(common)
    while process.poll() is None and not (members := kill_loop().members_of(process.pid)):
        time.sleep(0.005)
    os.kill(members["1/2"], signal.SIGKILL)
    _, err = process.communicate(timeout=30)
    gone = f"process 1 of 2 (pid {members['1/2']}) was ended by SIGKILL before the training began; the same command tries again"
    assert process.returncode == 1, err
    assert err.count(gone) == 1, err
    assert "Traceback" not in err
    assert not (tmp_path / "runs" / "text_generation" / "run").exists()
    finished(common)


def from_outside(backend: str) -> list[dict[str, str]]:
    """The environments of two processes that nothing of Gatework starts."""
    first, second = free_ports(2)
    if backend == "torch":
        common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(first)}
        return [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    cluster = {"worker": [f"127.0.0.1:{first}", f"127.0.0.1:{second}"]}
    return [{"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": "worker", "index": rank}})} for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_processes_with_other_data_or_another_config_train_nothing(backend: str, tmp_path: Path, text: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(text.read_text()[::-1])
    common = words(tmp_path, text, "text_generation_stateless", f"backend={backend}", "trainer.devices=2", "name=run")
    for own, said in ((f"data.path={other}", "  data: digest "), ("trainer.max_epochs=1", "  trainer.max_epochs: 2 there, 1 here")):
        first, second = from_outside(backend)
        both = [start(common, **first), start([*common, own], **second)]
        told = [process.communicate(timeout=60)[1] for process in both]
        assert [process.returncode for process in both] == [2, 2], told
        assert "other data or another config than process 0 has is at: process 1 of 2, which says what" in told[0]
        assert "process 1 of 2 is to train on something else than process 0:" in told[1]
        assert said in told[1]
        assert not (tmp_path / "runs" / "text_generation_stateless" / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_others_hear_what_process_0_refuses(backend: str, tmp_path: Path, text: Path) -> None:
    common = words(tmp_path, text, "text_generation_stateless", f"backend={backend}", "trainer.max_epochs=1", "name=run")
    finished(common)
    both = [start([*common, "trainer.devices=2", "optimizer.learning_rate=0.5"], **one) for one in from_outside(backend)]
    told = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [2, 2], told
    assert all("optimizer.learning_rate: 0.02 in the run, 0.5 now" in err for err in told)


@pytest.mark.torch
def test_another_number_of_processes_goes_on_and_says_what_is_no_longer_equal(tmp_path: Path, text: Path) -> None:
    common = words(tmp_path, text, "text_generation", "name=run")
    finished([*common, "trainer.max_epochs=1", "trainer.devices=2"])
    out = finished(common)
    assert "begun with 2 processes, going on with 1 process" in " ".join(out.split())
    finished([*words(tmp_path, text, "text_generation"), "name=alone"])
    runs = tmp_path / "runs" / "text_generation"
    for name, value in state_of(runs / "alone").items():
        np.testing.assert_allclose(state_of(runs / "run")[name], value, rtol=0, atol=1e-8, err_msg=name)


@pytest.mark.torch
def test_an_error_of_all_is_told_once(tmp_path: Path, text: Path) -> None:
    given = words(tmp_path, text, "text_generation_stateless", "optimizer=sgd", "trainer.gradient_clip_val=null", "trainer.devices=2")
    given = [word for word in given if not word.startswith("optimizer.learning_rate")]
    process = start([*given, "optimizer.learning_rate=1e200", "name=run"])
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert err.count("the loss is") == 1, err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.torch
def test_torchrun_starts_them_too(tmp_path: Path, text: Path) -> None:
    common = words(tmp_path, text, "text_generation_stateless")
    finished([*common, "name=started", "trainer.devices=2"])
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29555")
    process = subprocess.run(
        [sys.executable, *torchrun, "-m", "framework", "train", *common, "name=torchrun", "trainer.devices=2"],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("finished ") == 1
    assert_the_same_bits(tmp_path / "runs" / "text_generation_stateless", "started", "torchrun")


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_submitits_tasks_train_together(backend: str, tmp_path: Path, text: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    common = words(tmp_path, text, "text_generation_stateless", f"backend={backend}", "trainer.devices=2")
    finished([*common, "name=started"])
    launcher = (
        "hydra/launcher=submitit_local",
        "hydra.launcher.tasks_per_node=2",
        "hydra.launcher.nodes=1",
        "hydra.launcher.timeout_min=5",
    )
    finished(["-m", *common, "name=submitted", *launcher])
    assert_the_same_bits(tmp_path / "runs" / "text_generation_stateless", "started", "submitted")


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_multiruns_jobs_are_of_several_processes(backend: str, tmp_path: Path, text: Path) -> None:
    common = words(tmp_path, text, "text_generation_stateless", f"backend={backend}", "trainer.devices=2", "trainer.max_epochs=1")
    finished(["-m", *common, "model.layers.gru.units=8,12"])
    runs = list((tmp_path / "runs" / "text_generation_stateless").glob("*/run.json"))
    assert [json.loads(run.read_text())["status"] for run in runs] == ["finished"] * 2


@pytest.mark.slow
@pytest.mark.tensorflow
def test_tf_config_starts_them_too(tmp_path: Path, text: Path) -> None:
    common = words(tmp_path, text, "text_generation_stateless", "backend=tensorflow", "trainer.devices=2")
    finished([*common, "name=started"])
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    tasks = [{"cluster": {"worker": workers}, "task": {"type": "worker", "index": rank}} for rank in range(2)]
    both = [start([*common, "name=told"], TF_CONFIG=json.dumps(task)) for task in tasks]
    told = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert "finished " in told[0][0]
    assert not told[1][0]
    assert_the_same_bits(tmp_path / "runs" / "text_generation_stateless", "started", "told")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_training_of_two_killed_at_random_moments_ends_as_the_undisturbed_one(
    backend: str, rank: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["kill_loop", "--backend", backend, "--kills", "3", "--processes", "2", "--rank", str(rank)])
    monkeypatch.setenv("GATEWORK_TUNE", "0")
    assert kill_loop().main() == 0
    assert " 0 did not" in capsys.readouterr().out


def kill_loop() -> Any:
    loader = SourceFileLoader("kill_loop", str(ROOT / "scripts" / "kill_loop"))
    spec = spec_from_loader("kill_loop", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module
