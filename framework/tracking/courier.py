"""Starts the process that delivers a run's records, hears what it has to say, and waits for it at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from framework.secrets import concealed
from framework.tracking.address import shown, without_password

_START = "import sys; sys.path.append(sys.argv[1]); from framework.tracking.deliver import main; main(sys.argv[2])"
_GRACE = 60.0
"""Seconds that the process may need to say its first word, and to hear that the run has ended."""

LOG = "tracking.log"
"""File in the run's folder with what the process had to say beside its answers."""


class Courier:
    """A tracker that has a run's records delivered by a process of its own.

    Args:
        folder: the run's folder.
        options: see :class:`~framework.tracking.deliver.Delivery`.
        warn: told once when the store does not take the records.
    """

    def __init__(self, folder: Path, options: dict[str, Any], warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._name = without_password(options["uri"])
        self._warn = warn
        self._warned = False
        self._refused = False
        self._done = False
        self._rest: bool | None = None
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
        self._tell({**options, "shown": shown(options["uri"])})
        self._listener = threading.Thread(target=self._listen, name="gatework-tracking", daemon=True)
        self._listener.start()

    def finish(self, status: str, error: str | None = None) -> None:
        """The run has ended; waits until its records are delivered, or the store has not answered for a while.

        Raises:
            KeyboardInterrupt: somebody does not want to wait; what is not delivered by then is kept.
        """
        self._tell({"status": status, "error": None if error is None else concealed(error)})
        self.close()

    def close(self) -> None:
        """Ends the process; what is not delivered by then is kept for ``gatework sync``."""
        if self._done:
            return
        self._done = True
        self._deadline = max(self._deadline, time.monotonic() + _GRACE)
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            while self._process.poll() is None and time.monotonic() < self._deadline:
                self._listener.join(0.05)
        finally:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            self._listener.join(5.0)
            self._tidy()
            if self._rest is not False and not self._refused:
                self._warn(f"not everything is in MLflow yet; once {self._name} answers: gatework sync {self._folder}")

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it has ended; the listener says why
            pass

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):
                self._hear(json.loads(line))
        if self._rest is None and not self._done:
            self._trouble(concealed(self._last_words()))

    def _hear(self, message: dict[str, Any]) -> None:
        if "allow" in message and not (self._done and message.get("waiting")):
            self._deadline = time.monotonic() + message["allow"]
        if "trouble" in message:
            self._trouble(message["trouble"], message.get("refused", False))
        if "rest" in message:
            self._rest = bool(message["rest"])

    def _trouble(self, reason: str, refused: bool = False) -> None:
        if refused and not self._refused:
            self._warn(f"MLflow at {self._name} refuses the records ({reason}); once that is mended: gatework sync {self._folder}")
        elif not self._warned and not refused:
            self._warn(f"MLflow at {self._name} does not take records ({reason}); the run goes on, and its folder keeps them")
        self._warned, self._refused = True, self._refused or refused

    def _last_words(self) -> str:
        try:
            lines = (self._folder / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "the process that delivers them has ended"

    def _tidy(self) -> None:
        log = self._folder / LOG
        with suppress(OSError):
            if log.stat().st_size == 0:
                log.unlink()
