"""A logged model behind `mlflow models serve`, or a run's behind `gatework serve`, and how it is asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tracking.mlflow_server import answers, free_port

Ask = Callable[[Mapping[str, Any]], tuple[int, dict[str, Any]]]


def serving(model: str, folder: Path, environment: Mapping[str, str]) -> AbstractContextManager[Ask]:
    """Serves a model while the block runs; gives what sends a body to it and returns status and answer."""
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", model, "--env-manager", "local"]
    found = {**environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"}
    return answering(command, folder, found)


@contextmanager
def answering(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Ask]:
    """The same for a command that serves, given host and port."""
    port = free_port()
    with (folder / "serve.log").open("wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=folder,
            env=dict(environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 180
        while not answers(f"http://127.0.0.1:{port}/ping"):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "serve.log").read_text()
            time.sleep(0.2)
        yield lambda body: _ask(f"http://127.0.0.1:{port}/invocations", body)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _ask(address: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
