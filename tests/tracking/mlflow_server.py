"""A real MLflow server that can be stopped and started, and what it has of a run."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Server:
    """`mlflow server` with a sqlite database and served artifacts, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}", "--artifacts-destination", str(self.folder / "served")]
        with (self.folder / "server.log").open("ab") as log:
            environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # ten processes that nobody needs here
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=self.folder, env=environment)
        deadline = time.monotonic() + 120
        while not answers(f"{self.uri}/health"):
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.1)

    def stop(self) -> None:
        """As if its machine had gone: nothing is finished first."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def read_back(client: Any, run_id: str) -> list[tuple[str, float, int, int]]:
    """Every value that a store has of a run: (name, value, milliseconds, step), sorted; duplicates would show."""
    names = client.get_run(run_id).data.metrics
    points = [point for name in names for point in client.get_metric_history(run_id, name)]
    return sorted((point.key, point.value, point.timestamp, point.step) for point in points if point.model_id is None)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
