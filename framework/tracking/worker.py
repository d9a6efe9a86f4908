"""Delivers a run's records from a thread of its own, so that no server can hold training up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from framework.tracking.outbox import Outbox

_PAUSE = 1.0
"""Seconds between deliveries while the store answers."""

_LONGEST_PAUSE = 60.0
"""Seconds between tries while it does not, at most."""


class DeliveryWorker:
    """A tracker that keeps an outbox empty.

    Args:
        outbox: what is to be delivered.
        timeout: seconds to wait for one answer of the store, and for the last delivery.
        warn: told once when the store does not answer.
    """

    def __init__(self, outbox: Outbox, timeout: float, warn: Callable[[str], None]) -> None:
        self._outbox = outbox
        self._timeout = timeout
        self._warn = warn
        self._wake = threading.Event()
        self._closing = False
        self._warned = False
        outbox.begin()
        self._thread = threading.Thread(target=self._work, name="gatework-tracking", daemon=True)
        self._thread.start()

    def finish(self, status: str, error: str | None = None) -> None:
        """Notes how the run ended, and gives the last delivery some time."""
        self._outbox.end(status, error)
        self.close()

    def close(self) -> None:
        """Ends the thread; what is not delivered by then is kept for ``gatework sync``."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        self._thread.join(6 * self._timeout)
        if not self._outbox.is_empty():
            self._warn(f"not everything is in MLflow yet; once {self._outbox.uri} answers: gatework sync {self._outbox.folder}")

    def _work(self) -> None:
        store = None
        pause = _PAUSE
        while True:
            last = self._closing
            try:
                if store is None:
                    from framework.tracking.store import MlflowStore

                    store = MlflowStore(self._outbox.uri, self._outbox.artifacts, self._timeout)
                self._outbox.deliver(store)
                pause = _PAUSE
            except Exception as error:  # whatever a server answers, training goes on
                self._say(error)
                pause = min(2 * pause, _LONGEST_PAUSE)
            if last:
                return
            started = time.monotonic()
            self._wake.wait(pause)
            self._wake.clear()
            if not self._closing and time.monotonic() - started < _PAUSE:
                time.sleep(_PAUSE)

    def _say(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            text = (str(error) or type(error).__name__).splitlines()[0]
            self._warn(f"MLflow at {self._outbox.uri} does not answer ({text}); the run goes on, and its records are kept in its folder")
