"""A server that asks for a password gets it, and nobody else does: no file, no database, no command line, no message."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tracking.mlflow_server import Server
from tracking.proxy import Proxy

pytestmark = pytest.mark.slow

USER, PASSWORD, TOKEN = "keeper", "op/en?ses4me", "tok-91827364"
LOGIN = f"{USER}:{PASSWORD}"
NEVER = [one.encode() for one in (PASSWORD, quote(PASSWORD, safe=""), TOKEN)] + [base64.b64encode(LOGIN.encode())]
SMALL = ["recipe=text_generation", "data=python_source", "debug=small", "model.layers.gru.units=8", "trainer.max_epochs=1"]


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    found = Proxy(server)
    found.login = LOGIN
    yield found
    found.close()


def address(proxy: Proxy) -> str:
    return proxy.uri.replace("://", f"://{USER}:{quote(PASSWORD, safe='')}@")


def leaks(*folders: Path) -> list[str]:
    """Every file below the folders that holds a secret, by its name or its content."""
    found = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            if any(one in content or one in os.fsencode(path) for one in NEVER):
                found.append(str(path))
    return found


class Watch:
    """Looks at the command lines of all processes, for as long as it is open; one command is the user's own.

    A process has the command line of that which it is forked from, until it starts a program.
    """

    def __init__(self, words: list[str]) -> None:
        self.seen: set[bytes] = set()
        self._own = b"".join(os.fsencode(word) + b"\0" for word in words)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            for entry in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):  # it has ended
                    line = (entry / "cmdline").read_bytes()
                    if line != self._own and any(one in line for one in NEVER):
                        self.seen.add(line)


def gatework(folder: Path, *words: str, **variables: str) -> tuple[int, str]:
    """One command: its exit code and all that it says. No other process has a secret on its command line."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"OMP_WAIT_POLICY": "passive", "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    line = [sys.executable, "-m", "framework", *words]
    process = subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with Watch(line) as watch:
        output, _ = process.communicate(timeout=300)
    assert not watch.seen
    assert not [one for one in NEVER if one.decode() in output], output
    return process.returncode, output


def only_run(server: Server, experiment: str) -> Any:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=server.uri)
    [run] = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return run


@pytest.mark.torch
def test_a_whole_run_keeps_the_password_in_memory(server: Server, proxy: Proxy, tmp_path: Path) -> None:
    words = [*SMALL, "name=own", "tracking.experiment_name=whole", "tracking.tags.pass=${oc.env:OWN_TOKEN}", "tracking.timeout=60"]
    words += [f"tracking.uri={address(proxy)}"]
    code, output = gatework(tmp_path, "train", *words, OWN_TOKEN=TOKEN)
    assert (code, "gatework sync" in output) == (0, False), output
    run = only_run(server, "whole")
    assert run.info.status == "FINISHED"
    assert run.data.params["tracking.uri"] == proxy.uri.replace("://", "://***@")
    assert run.data.tags["pass"] == "***"
    folder = tmp_path / "runs" / "text_generation" / "own"
    assert leaks(tmp_path, server.folder) == []
    # Everything else that is done with a run, without its password.
    assert gatework(tmp_path, "generate", "own", "--prompt", "def ", "--length", "5")[0] == 0
    assert gatework(tmp_path, "evaluate", "own")[0] == 0
    assert gatework(tmp_path, "convert", "own", "--export", str(tmp_path / "own.safetensors"))[0] == 0
    assert gatework(tmp_path, "runs", "--json")[0] == 0
    (folder / "report.md").write_text("something is left to deliver")
    code, output = gatework(tmp_path, "sync", "own")
    assert code == 1
    assert f"no user and password for {proxy.uri}: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in output
    code, output = gatework(tmp_path, "sync", "own", MLFLOW_TRACKING_USERNAME=USER, MLFLOW_TRACKING_PASSWORD=PASSWORD)
    assert (code, "delivered 1 file" in output) == (0, True), output
    (folder / "report.md").write_text("and something more is left to deliver")
    code, output = gatework(tmp_path, "sync", "own", MLFLOW_TRACKING_URI=address(proxy))
    assert (code, "delivered 1 file" in output) == (0, True), output
    # The same command goes on with the run, and a new password makes no other run of it.
    code, output = gatework(tmp_path, "train", *words, "trainer.max_epochs=2", OWN_TOKEN="another-token")
    assert (code, "going on with" in output) == (0, True), output
    assert len(list((tmp_path / "runs" / "text_generation").iterdir())) == 1
    assert leaks(tmp_path, server.folder) == []


@pytest.mark.torch
@pytest.mark.tensorflow
def test_a_converted_run_has_no_password(server: Server, proxy: Proxy, tmp_path: Path) -> None:
    proxy.login = None
    words = [*SMALL, "name=own", "tracking.experiment_name=converted", f"tracking.uri={address(proxy)}"]
    assert gatework(tmp_path, "train", *words)[0] == 0
    assert gatework(tmp_path, "convert", "own", "--to", "tensorflow")[0] == 0
    assert (tmp_path / "runs" / "text_generation" / "own-tensorflow" / "model" / "spec.yaml").is_file()
    assert leaks(tmp_path, server.folder) == []


@pytest.mark.torch
@pytest.mark.parametrize("launcher", ["process", "joblib", "submitit_local"])
def test_the_jobs_of_a_multirun_reach_the_server(launcher: str, server: Server, proxy: Proxy, tmp_path: Path) -> None:
    words = [*SMALL, f"tracking.experiment_name={launcher}", "seed=1,2", f"hydra/launcher={launcher}", "tracking.timeout=60"]
    code, output = gatework(tmp_path, "train", "-m", *words, f"tracking.uri={address(proxy)}", OWN_TOKEN=TOKEN)
    assert (code, "gatework sync" in output) == (0, False), output
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=server.uri)
    runs = client.search_runs([client.get_experiment_by_name(launcher).experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    assert leaks(tmp_path, server.folder) == []


@pytest.mark.torch
def test_a_password_in_a_yaml_file_stays_there(server: Server, proxy: Proxy, tmp_path: Path) -> None:
    own = tmp_path / "own" / "tracking"
    own.mkdir(parents=True)
    (own / "ours.yaml").write_text(f"kind: mlflow\nuri: {address(proxy)}\nexperiment_name: from_file\ntimeout: 60\n")
    words = [*SMALL, "tracking=ours", "--config-dir", "own", "-m", "seed=1,2", "hydra/launcher=submitit_local"]
    code, output = gatework(tmp_path, "train", *words)
    assert (code, "gatework sync" in output) == (0, False), output
    assert leaks(tmp_path, server.folder) == [str(own / "ours.yaml")]


@pytest.mark.torch
def test_a_server_that_fails_is_told_without_the_password(proxy: Proxy, tmp_path: Path) -> None:
    """A wrong password, a server that is gone, an address that is none: what libraries say of it quotes the address."""
    proxy.login = "somebody:else"
    gone = "http://keeper:op%2Fen%3Fses4me@127.0.0.1:9"
    for number, uri in enumerate([address(proxy), gone, f"http://{USER}:{PASSWORD}@127.0.0.1:9", f"http://{LOGIN}@[::bad"]):
        name = f"name=failing-{number}"
        code, output = gatework(tmp_path, "train", *SMALL, name, f"tracking.uri={uri}", "tracking.timeout=1")
        assert code == 0, output
        assert "gatework sync" in output
        code, output = gatework(tmp_path, "sync", f"failing-{number}", "--uri", uri, "--timeout", "1")
        assert (code, "not everything could be delivered" in output) == (1, True), output
    assert leaks(tmp_path) == []


def test_what_shows_a_config_hides_the_password(tmp_path: Path) -> None:
    uri = f"tracking.uri=http://{USER}:{quote(PASSWORD, safe='')}@host"
    words = [*SMALL, uri, "tracking.tags.pass=${oc.env:OWN_TOKEN}"]
    for line in (
        ["train", "--cfg", "job"],
        ["train", "--cfg", "job", "--resolve"],
        ["train", "--cfg", "all"],
        ["train", "--info"],
        ["why", "tracking.uri"],
        ["why", "tracking.tags", "--json"],
        ["check", "--json"],
        ["check", f"tracking.timeout=http://{LOGIN}@host"],
        ["explain", "--json", f"trackin.uri=http://{LOGIN}@host"],
        ["train", f"--unknown=http://{LOGIN}@host"],
        ["sync", f"http://{LOGIN}@host/x"],
    ):
        given = [*line, *words] if line[0] != "sync" else line
        gatework(tmp_path, *given, OWN_TOKEN=TOKEN)
    assert leaks(tmp_path) == []


def test_passwords_that_earlier_versions_wrote_down_are_taken_out(tmp_path: Path, server: Server, proxy: Proxy) -> None:
    from tracking.conftest import loaded
    from tracking.run_on_disk import RunOnDisk

    run = RunOnDisk(tmp_path / "runs" / "text_generation" / "old", loaded(()))
    run.measure(1, 3)
    run.update(status="finished")
    started = time.time()
    (run.path / "tracking.json").write_text(f'{{"key": "{started}", "uri": "{address(proxy)}"}}')
    for name in ("config/resolved.yaml", "config/overrides.yaml"):
        path = run.path / name
        path.write_text(path.read_text().replace("uri: null", f"uri: {address(proxy)}") + f"# tracking.uri={address(proxy)}\n")
    run.record["settings"]["tracking"]["uri"] = address(proxy)
    (run.path / "run.json").write_text(json.dumps(run.record))
    code, output = gatework(tmp_path, "sync", "old")
    assert (code, "delivered" in output) == (0, True), output
    assert leaks(tmp_path, server.folder) == []


def test_a_fault_that_nobody_expected_is_told_without_it(tmp_path: Path) -> None:
    fault = f"import framework.cli.main as m\nm.main = lambda: int('http://{LOGIN}@host')\nm.command()"
    done = subprocess.run([sys.executable, "-c", fault], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith("invalid literal for int() with base 10: 'http://***@host'\n")
    assert PASSWORD not in done.stdout + done.stderr
