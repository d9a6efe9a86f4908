"""The process that delivers a run's records to MLflow while the run trains.

A process and not a thread: importing MLflow and talking to it would hold Python's lock for seconds of the training's time, and
training in torch or TensorFlow shall not depend on what MLflow imports. It also outlives a run that is killed, and says so in MLflow.

What it reads: one JSON line of options; then, once the run has ended, one with ``status`` and ``error``. An input that ends before
means that the run was killed. What it writes, a JSON object a line: ``allow`` (seconds until it will be heard of again) with
``waiting`` (whether for another process, which nobody does once the run has ended), ``trouble`` (why the store did not take
something) with ``refused`` (whether it never will as things are), ``rest`` (at its end: whether anything is left to deliver).
"""

from __future__ import annotations

import io
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from framework.secrets import concealed, remember, remember_place
from framework.tracking.address import KEY, SECRETS
from framework.tracking.outbox import LOCK, Outbox
from framework.tracking.refusal import is_refusal
from framework.tracking.store import MlflowStore, quiet_mlflow
from framework.tracking.system import SystemSampler
from framework.tracking.written_passwords import take_out_passwords

PAUSE = 1.0
"""Seconds between deliveries while the store answers."""

LONGEST_PAUSE = 60.0
"""Seconds between tries while it does not, at most."""

_LAST_PAUSE = 0.5
"""Seconds between tries once the run has ended."""

_GRACE = 30.0
"""Seconds that this process may need for what is neither the store's nor another process' fault."""


class Delivery:
    """One process' work on one run's folder.

    Args:
        folder: the run's folder.
        options: ``timeout`` (seconds), ``parent`` (folder of the multirun, or None), ``uri`` (whole), ``system_metrics``.
        orders: what the run says; None once it can say nothing more.
        output: where to answer.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any], orders: queue.Queue[dict[str, Any] | None], output: TextIO) -> None:
        self._folder = folder
        self._options = options
        self._orders = orders
        self._output = output
        self._trainer = os.getppid()
        self._sampler: SystemSampler | None = None
        self._store: MlflowStore | None = None
        self._ended = False
        self._failing = False
        self._refused = False

    def work(self) -> None:
        """Delivers until the run has ended, and what is left then for as long as the store answers."""
        from framework.tracking.file_lock import file_lock

        with file_lock(self._folder / LOCK, lambda: self._say(allow=PAUSE, waiting=True)):
            self._say(allow=_GRACE)
            take_out_passwords(self._folder)
            outbox = Outbox(self._folder, self._options["uri"])
            if not outbox.is_multirun:
                outbox.begin(Path(self._options["parent"]) if self._options.get("parent") else None)
                self._watch_system()
            try:
                self._deliver_all(outbox)
            finally:
                self._say(rest=not (self._ended and outbox.is_empty()))

    def _watch_system(self) -> None:
        if self._options.get("system_metrics"):
            try:
                self._sampler = SystemSampler(self._folder / "system.jsonl", self._trainer)
            except Exception as error:  # psutil is missing, or forbidden to look
                print(f"no system metrics: {error}", file=sys.stderr)

    def _deliver_all(self, outbox: Outbox) -> None:
        """Delivers again and again until the run has ended, and then the rest."""
        pause = PAUSE
        while (order := self._next_order(outbox, pause)) is None:
            before = outbox.accepted
            done = self._deliver(outbox)
            pause = LONGEST_PAUSE if self._refused else PAUSE if done or outbox.accepted > before else min(2 * pause, LONGEST_PAUSE)
        self._say(allow=_GRACE)
        self._sample(now=True)
        outbox.end(order["status"], order.get("error"), order.get("time"))
        self._ended = True
        self._deliver_rest(outbox)

    def _deliver_rest(self, outbox: Outbox) -> None:
        """Delivers for as long as something gets through.

        A store that has just begun to fail may be back in a moment; one that refuses is asked only once more.
        """
        timeout = self._options["timeout"]
        if self._failing and self._store is not None:
            self._store.wait_for(timeout)
        since, tries = time.monotonic(), 1 if self._failing else 2
        while True:
            before = outbox.accepted
            if self._deliver(outbox) or self._refused:
                return
            if outbox.accepted > before:
                since, tries = time.monotonic(), 2
            else:
                tries -= 1
            if tries <= 0 and time.monotonic() - since > timeout:
                return
            time.sleep(_LAST_PAUSE)

    def _sample(self, now: bool = False) -> None:
        if self._sampler is None:
            return
        try:
            self._sampler.sample(now)
        except Exception as error:  # such as a full disk
            print(f"no more system metrics: {error}", file=sys.stderr)
            self._sampler = None

    def _next_order(self, outbox: Outbox, pause: float) -> dict[str, Any] | None:
        """How the run has ended, or that it was killed; None when nothing of that was heard for ``pause`` seconds."""
        deadline = time.monotonic() + pause
        while (left := deadline - time.monotonic()) > 0:
            self._sample()
            try:
                order = self._orders.get(timeout=min(left, 1.0))
            except queue.Empty:
                # A worker of the trainer may hold our input open, although the trainer is gone.
                if os.getppid() == self._trainer:
                    continue
                order = None
            if order is None:
                outbox.settle()
                return outbox.note.get("ended")  # type: ignore[no-any-return]
            return order
        return None

    def _deliver(self, outbox: Outbox) -> bool:
        """One delivery; whether it went through."""
        try:
            if self._store is None:
                store = outbox.open_store(self._options["timeout"], lambda seconds: self._say(allow=seconds))
                outbox.verify(store)
                self._store = store
            outbox.deliver(self._store)
        except Exception as error:  # whatever a store answers, the run goes on
            refused = is_refusal(error)
            if not self._failing or refused > self._refused:
                self._say(trouble=first_line(error), refused=refused)
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            self._failing, self._refused = True, refused
            return False
        self._failing = self._refused = False
        return True

    def _say(self, **message: Any) -> None:
        with suppress(BrokenPipeError, ValueError):  # nobody listens any more
            print(json.dumps(message), file=self._output, flush=True)


def first_line(error: Exception) -> str:
    """An error in one line, without passwords."""
    lines = (concealed(str(error)).strip() or type(error).__name__).splitlines()
    what = [line for line in lines if not line.startswith("(raised as a result of")]  # so sqlalchemy begins some of its own
    return (what or lines)[0][:300]


class _Concealing(io.TextIOBase):
    """A stream that writes to another one what :func:`~framework.secrets.concealed` makes of it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes a text, which holds each secret whole or not at all."""
        self._stream.write(concealed(text))
        return len(text)

    def flush(self) -> None:
        """Flushes the other stream."""
        self._stream.flush()

    def fileno(self) -> int:
        """The other stream's."""
        return self._stream.fileno()


def main(folder: str) -> None:
    """Runs the process.

    Args:
        folder: the run's folder.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the run, which then tells us that it has ended
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)  # training comes first
    # Nothing that MLflow prints may get between our answers.
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    quiet_mlflow()
    for name in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)
    orders: queue.Queue[dict[str, Any] | None] = queue.Queue()
    options = json.loads(sys.stdin.readline())
    remember_place(KEY, options["uri"], options["shown"])
    for name in SECRETS:
        remember(os.environ.get(name, ""))
    sys.stderr = _Concealing(sys.stderr)
    threading.Thread(target=_read_orders, args=(orders,), daemon=True).start()
    Delivery(Path(folder), options, orders, output).work()


def _read_orders(orders: queue.Queue[dict[str, Any] | None]) -> None:
    for line in sys.stdin:
        orders.put(json.loads(line))
    orders.put(None)
