"""Samples of the machine, in the form of metrics.jsonl."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from framework.tracking.system import SystemSampler

MACHINE = {
    "system/cpu_utilization_percentage",
    "system/system_memory_usage_megabytes",
    "system/system_memory_usage_percentage",
    "system/disk_available_megabytes",
    "system/process_cpu_percentage",
    "system/process_memory_megabytes",
}


def samples(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_samples_are_numbered_on_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "system.jsonl"
    sampler = SystemSampler(path, os.getpid())
    sampler.sample()
    sampler.sample()  # not due yet
    sampler.sample(now=True)
    path.write_text(path.read_text() + '{"step": 2, "ti')
    SystemSampler(path, os.getpid()).sample()
    assert [one["step"] for one in samples(path)] == [0, 1, 2]
    assert all(set(one["values"]) >= MACHINE for one in samples(path))
    assert samples(path)[0]["values"]["system/process_memory_megabytes"] > 10


def test_gpus_are_sampled_where_there_are_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho '93, 40000, 80000, 512.5'\necho '[N/A], 100, 80000, [N/A]'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path = tmp_path / "system.jsonl"
    SystemSampler(path, os.getpid()).sample()
    graphics = {name: value for name, value in samples(path)[0]["values"].items() if "gpu" in name}
    assert graphics == {
        "system/gpu_0_utilization_percentage": 93.0,
        "system/gpu_0_memory_usage_megabytes": 40000.0,
        "system/gpu_0_memory_usage_percentage": 50.0,
        "system/gpu_0_power_usage_watts": 512.5,
        "system/gpu_1_memory_usage_megabytes": 100.0,
        "system/gpu_1_memory_usage_percentage": 0.1,
    }


def test_a_process_that_has_ended_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "system.jsonl"
    child = os.fork()
    if child == 0:
        os._exit(0)
    sampler = SystemSampler(path, child)
    os.waitpid(child, 0)
    sampler.sample()
    assert "system/cpu_utilization_percentage" in samples(path)[0]["values"]
    assert "system/process_memory_megabytes" not in samples(path)[0]["values"]
