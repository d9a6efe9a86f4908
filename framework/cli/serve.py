"""Answer over HTTP with a trained model, by MLflow's own server, until Ctrl-C.

gatework serve last
gatework serve last --port 8080
gatework serve models:/captions/3       a version in MLflow's registry; MLFLOW_TRACKING_URI names the store
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import suppress

from framework.errors import EXIT_DONE, EXIT_FAILED, InputError

REGISTERED = "models:/"
"""What the address of a model in MLflow begins with."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", metavar="RUN", help="run folder, its name, MLflow run id, last, or a model's address in MLflow, models:/…")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine alone)")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on (%(default)s)")
    parser.add_argument("--uri", help="address of the tracking store; the one that the run's config names when not given")
    parser.add_argument("--runs-dir", default="runs", metavar="DIR", help="folder of all runs (%(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb: starts MLflow's server, and waits for its end."""
    from framework.engine.many.serving import LoggedModel, check_registered, logged_model, question, server_command, server_environment
    from framework.tracking.store import mlflow_is_installed

    if not mlflow_is_installed():
        raise InputError("MLflow is not installed: pip install 'gatework[mlflow]'")
    _check_port(arguments.host, arguments.port)
    if arguments.run.startswith(REGISTERED):
        check_registered(arguments.run, arguments.uri)
        model = LoggedModel(arguments.run, arguments.uri or "", {})
    else:
        model = logged_model(arguments.run, arguments.runs_dir, arguments.uri)
    place = f"http://{arguments.host}:{arguments.port}/invocations"
    print(f"serving {model.address} at {place}; Ctrl-C ends it")
    if model.row:
        print(f"ask it: curl {place} -H 'Content-Type: application/json' -d {shlex.quote(question(model.row))}", flush=True)
    sys.stdout.flush()
    return _serve(server_command(model.address, arguments.host, arguments.port), server_environment(model.store))


def _serve(command: list[str], environment: dict[str, str]) -> int:
    """Runs the server until it ends, or is ended with this process: by Ctrl-C, SIGTERM or SIGHUP."""
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.default_int_handler)
    with subprocess.Popen(command, env=environment, start_new_session=True) as server:
        try:
            return EXIT_FAILED if server.wait() else EXIT_DONE
        except KeyboardInterrupt:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)  # it answers what it was asked, and ends
            server.wait()
            raise


def _check_port(host: str, port: int) -> None:
    if not 0 < port < 1 << 16:
        raise InputError(f"--port is {port}; expected 1 to {(1 << 16) - 1}")
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise InputError(f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with --port") from error
