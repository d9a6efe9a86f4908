"""The process that follows a run while it is trained: how it is started and waited for, and what it does.

A process and not a thread: importing MLflow and talking to it would hold Python's lock for seconds of the training's time, and
training in torch or TensorFlow shall not depend on what MLflow imports. It also outlives a run that is killed, and says so in MLflow.

It learns everything from the run's folder, but for the store's whole address, which stands in no file: that is the one line that it
reads. A JSON object a line is what it writes: ``allow``, the seconds that a call of the store may take, or ``warn``, a text for the user.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from framework.errors import InputError
from framework.secrets import concealed, remember, remember_place
from framework.spec.tracking import TrackingSpec
from framework.tracking.address import KEY, SECRETS, shown, store_uri, whole_address, without_password
from framework.tracking.note import Note, mark_losses
from framework.tracking.store import mlflow_is_installed, quiet_mlflow

Warn = Callable[[str], None]

LOG = "tracking.log"
"""File in the run's folder with what the process had to say beside its answers."""

_START = "import sys; sys.path.append(sys.argv[1]); from framework.tracking.follow import main; main(sys.argv[2])"
_GRACE = 60.0
"""Seconds that the process may need beside its calls of the store: to begin, to see that the run has ended, to end itself."""

_LEFT, _REFUSED = 3, 4
"""Exit codes: something is left to deliver; it is, and why was told."""


def follow(folder: Path, tracking: TrackingSpec, warn: Warn) -> Follower | None:
    """Starts to deliver a run to MLflow, where it is tracked; its lock is held, its config and record are written already.

    Args:
        folder: the run's folder.
        tracking: the config's section.
        warn: told once when records cannot be delivered, or MLflow is not installed.
    """
    if tracking.kind == "none":
        return None
    if not mlflow_is_installed():
        warn("MLflow is not installed, so the run is recorded in its folder only: pip install 'gatework[mlflow]', or tracking=none")
        return None
    mark_losses(folder)
    try:
        return Follower(folder, whole_address(store_uri(folder, tracking)), warn)
    except InputError as error:
        warn(f"{error}; the run's folder keeps its records: gatework sync {folder}")
        return None


def deliver_end(folder: Path, warn: Warn) -> None:
    """Delivers how a multirun ended, if one of its jobs has been recorded; its lock is free.

    Args:
        folder: the multirun's folder.
        warn: told once when it cannot be delivered.
    """
    uri = Note(folder).get("uri")
    if uri is None:
        return
    try:
        follower = Follower(folder, whole_address(uri), warn)
    except InputError as unknown:
        warn(f"{unknown}; then: gatework sync {folder}")
    else:
        follower.wait()


class Follower:
    """A process that delivers a run's records until the run's lock is free, and what is left then.

    Args:
        folder: the run's folder.
        uri: whole address of the store.
        warn: told once when the store does not take the records.
    """

    def __init__(self, folder: Path, uri: str, warn: Warn) -> None:
        self._folder = folder
        self._name = without_password(uri)
        self._warn = warn
        self._ended = False
        self._deadline = time.monotonic() + _GRACE
        root = str(Path(__file__).parents[2])
        with (folder / LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-W", "ignore", "-c", _START, root, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                text=True,
                encoding="utf-8",
                start_new_session=True,  # a Ctrl-C in the terminal is for the run alone
            )
        assert self._process.stdin is not None
        with suppress(OSError), self._process.stdin as address:
            address.write(json.dumps([uri, shown(uri)]) + "\n")
        self._listener = threading.Thread(target=self._listen, name="gatework-tracking", daemon=True)
        self._listener.start()

    def wait(self) -> None:
        """Waits until the records are delivered, or the store has not answered for a while; the run's lock is free.

        Raises:
            KeyboardInterrupt: somebody does not want to wait; what is not delivered by then is kept.
        """
        self._ended = True
        self._deadline = max(self._deadline, time.monotonic() + _GRACE)
        try:
            while self._process.poll() is None and time.monotonic() < self._deadline:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(0.2)
        finally:
            if self._process.poll() is None:
                self._process.kill()
            code = self._process.wait()
            self._listener.join(5.0)
            self._tidy()
            if code not in (0, _REFUSED):
                self._warn(f"not everything is in MLflow yet; once {self._name} answers: gatework sync {self._folder}")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):
                message = json.loads(line)
                self._deadline = time.monotonic() + message.get("allow", 0.0) + _GRACE
                if "warn" in message:
                    self._warn(message["warn"])
        if not self._ended:
            self._warn(_not_taken(self._name, self._last_words()))

    def _last_words(self) -> str:
        try:
            lines = (self._folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return concealed(lines[-1]) if lines else "the process that delivers them has ended"

    def _tidy(self) -> None:
        log = self._folder / LOG
        with suppress(OSError):
            if log.stat().st_size == 0:
                log.unlink()


def main(folder: str) -> None:
    """What the process does.

    Args:
        folder: the run's folder.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the run, whose end is seen by its lock
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)  # training comes first
    # Nothing that MLflow prints may get between our answers.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stderr = _Concealing(sys.stderr.buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True)
    quiet_mlflow()
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)
    uri, without = json.loads(sys.stdin.readline())
    remember_place(KEY, uri, without)
    for name in SECRETS:
        remember(os.environ.get(name, ""))

    def say(**message: object) -> None:
        with suppress(BrokenPipeError, ValueError):  # nobody listens any more
            print(json.dumps(message), file=output, flush=True)

    def tell(error: Exception, refused: bool) -> None:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        place, why = without_password(uri), first_line(error)
        refusal = f"MLflow at {place} refuses the records ({why}); once that is mended: gatework sync {folder}"
        say(warn=refusal if refused else _not_taken(place, why))

    from framework.tracking.sync import first_line, sync

    done = sync(Path(folder), uri, follow=True, allow=lambda seconds: say(allow=seconds), trouble=tell)
    sys.exit(0 if done.trouble is None else _REFUSED if done.refused else _LEFT)


class _Concealing(io.TextIOWrapper):
    """Writes what :func:`~framework.secrets.concealed` makes of a text, which holds each secret whole or not at all."""

    def write(self, text: str) -> int:
        """Writes a text."""
        return super().write(concealed(text))


def _not_taken(place: str, why: str) -> str:
    return f"MLflow at {place} does not take records ({why}); the run goes on, and its folder keeps them"
