"""Use of processor, memory and GPUs while a run trains, sampled from outside of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

EVERY = 10.0
"""Seconds between two samples, as in MLflow."""

_MEGABYTE = 1e6


class SystemSampler:
    """Appends samples to a file of the run's folder, in the form of ``metrics.jsonl``; names are MLflow's where it has one.

    Args:
        path: the file; samples are numbered on from those already there.
        process: id of the process that trains.
    """

    def __init__(self, path: Path, process: int) -> None:
        import psutil

        self._path = path
        self._psutil: Any = psutil
        self._process: Any = psutil.Process(process)
        self._number = _drop_cut_line_and_count(path)
        self._next = 0.0
        self._gpus = shutil.which("nvidia-smi") is not None
        psutil.cpu_percent()  # each call measures since the one before
        self._process.cpu_percent()

    def sample(self, now: bool = False) -> None:
        """Takes a sample where one is due, or at once."""
        if not now and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVERY
        values = {f"system/{name}": value for name, value in {**self._machine(), **self._training(), **self._graphics()}.items()}
        line = json.dumps({"step": self._number, "time": round(time.time(), 3), "values": values})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        self._number += 1

    def _machine(self) -> dict[str, float]:
        memory = self._psutil.virtual_memory()
        return {
            "cpu_utilization_percentage": self._psutil.cpu_percent(),
            "system_memory_usage_megabytes": round((memory.total - memory.available) / _MEGABYTE, 1),
            "system_memory_usage_percentage": memory.percent,
            "disk_available_megabytes": round(self._psutil.disk_usage(str(self._path.parent)).free / _MEGABYTE, 1),
        }

    def _training(self) -> dict[str, float]:
        try:
            with self._process.oneshot():
                percent, resident = self._process.cpu_percent(), self._process.memory_info().rss
        except self._psutil.Error:  # it has just ended
            return {}
        return {"process_cpu_percentage": percent, "process_memory_megabytes": round(resident / _MEGABYTE, 1)}

    def _graphics(self) -> dict[str, float]:
        if not self._gpus:
            return {}
        fields = ("utilization.gpu", "memory.used", "memory.total", "power.draw")
        command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
        try:
            lines = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.splitlines()
        except (OSError, subprocess.SubprocessError):
            self._gpus = False
            return {}
        values: dict[str, float] = {}
        for number, line in enumerate(lines):
            busy, used, total, power = (_number(cell) for cell in line.split(","))
            found = {
                "utilization_percentage": busy,
                "memory_usage_megabytes": used,
                "memory_usage_percentage": None if used is None or not total else round(100 * used / total, 1),
                "power_usage_watts": power,
            }
            values.update({f"gpu_{number}_{name}": value for name, value in found.items() if value is not None})
        return values


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:  # "[N/A]"
        return None


def _drop_cut_line_and_count(path: Path) -> int:
    """Takes off a last line that a kill has cut short; the number of whole lines."""
    if not path.is_file():
        return 0
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
    return content.count(b"\n")
