"""Brings what a run's folder has to MLflow, each thing once: as a follower while the run is trained, or when somebody asks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from framework.errors import InputError, RunError
from framework.file_lock import file_lock
from framework.files import read_plain, replace_text
from framework.secrets import conceal, concealed
from framework.tracking.address import shown
from framework.tracking.outbox import LOCK, Delivered, Outbox
from framework.tracking.refusal import is_refusal
from framework.tracking.store import MlflowStore, mlflow_is_installed
from framework.tracking.system import SystemSampler

PARENT = "GATEWORK_PARENT_RUN"
"""Environment variable with the folder of the multirun that a run is a job of."""

PAUSE = 1.0
"""Seconds between deliveries while the store answers."""

LONGEST_PAUSE = 60.0
"""Seconds between tries while it does not, at most."""

_LAST_PAUSE = 0.5
"""Seconds between tries once the run has ended."""

_LOOK = 0.1
"""Seconds between two looks whether the run has ended."""

_CONFIGS = ("config/*.yaml", "model/spec.yaml", "run.json", "multirun.json", "jobs.json")

Trouble = Callable[[Exception, bool], None]
"""Told why the store did not take something, and whether it never will as things are."""


@dataclass(frozen=True)
class Synced:
    """What came of one run.

    Attributes:
        folder: its folder.
        uri: address of the store, without its password.
        run_id: the run's id there; None where it was never recorded.
        status: the run's status there.
        delivered: what was delivered now.
        trouble: why not everything was; None when all is there.
        refused: whether that stays so until somebody changes something.
    """

    folder: Path
    uri: str
    run_id: str | None
    status: str | None
    delivered: Delivered
    trouble: str | None = None
    refused: bool = False


def sync(
    folder: Path,
    uri: str | None = None,
    timeout: float | None = None,
    *,
    follow: bool = False,
    allow: Callable[[float], None] = lambda seconds: None,
    trouble: Trouble = lambda error, refused: None,
) -> Synced:
    """Delivers what MLflow does not have yet of a run, or a multirun, and how it has ended. Doing it twice changes nothing.

    Args:
        folder: its folder.
        uri: address of the store, if it is not the one that the config names.
        timeout: seconds to wait for one answer of a server; the config's when not given.
        follow: whether the run is trained now by the process that started this one: then what is new is delivered again and again
            until the run's lock is free. Otherwise the caller sees to it that nobody trains it.
        allow: told, before each call of the store, how many seconds it may take.
        trouble: told once of each kind of failure.

    Raises:
        RunError: a file of the run is damaged or cannot be written.
        InputError: MLflow is not installed.
    """
    if not mlflow_is_installed():
        raise InputError("MLflow is not installed: pip install 'gatework[mlflow]'")
    with file_lock(folder / LOCK):
        _take_out_passwords(folder)
        outbox = Outbox(folder, uri)
        if outbox.uri is None:
            raise RunError(f"no job of the multirun {folder} is recorded in MLflow; gatework sync without a name delivers its jobs first")
        sending = _Sending(outbox, timeout or outbox.tracking.timeout, allow, trouble)
        if follow and not outbox.is_multirun:  # which has its jobs' followers, and one of its own when it has ended
            sending.follow()
        if not (follow and outbox.is_trained):  # somebody has just gone on with it
            outbox.settle()
        sending.rest(sending.timeout if follow else 0.0)
        error = sending.error
        return Synced(
            folder,
            shown(outbox.uri),
            outbox.note.get("run_id"),
            outbox.note.get("status"),
            outbox.delivered,
            None if error is None else first_line(error),
            sending.refused,
        )


class _Sending:
    """Deliveries from one folder, whatever the store answers.

    Attributes:
        error: why the last one failed; None where it did not.
        refused: whether the next one will fail too, as things are.
        timeout: seconds to wait for one answer of a server at first.
    """

    def __init__(self, outbox: Outbox, timeout: float, allow: Callable[[float], None], trouble: Trouble) -> None:
        self.error: Exception | None = None
        self.refused = False
        self._outbox = outbox
        self.timeout = timeout
        self._allow = allow
        self._trouble = trouble
        self._told: set[bool] = set()
        self._store: MlflowStore | None = None
        self._sampler: SystemSampler | None = None

    def follow(self) -> None:
        """Delivers again and again for as long as the run is trained; less often while the store does not answer."""
        parent = os.environ.get(PARENT)
        self._outbox.begin(Path(parent) if parent else None)
        self._watch_system()
        pause = PAUSE
        while self._is_trained_for(pause):
            before = self._outbox.accepted
            done = self._once() or self._outbox.accepted > before
            pause = LONGEST_PAUSE if self.refused else PAUSE if done else min(2 * pause, LONGEST_PAUSE)
        self._sample(now=True)

    def rest(self, patience: float) -> None:
        """Delivers for as long as something gets through; a store that refuses is asked only once more.

        Args:
            patience: seconds that nothing may get through; a store that has just begun to fail may be back in a moment.
        """
        if self.error is not None and self._store is not None:
            self._store.wait_for(self.timeout)
        since = None if self.error is None else time.monotonic()
        before = self._outbox.accepted
        while not self._once() and not self.refused:
            if self._outbox.accepted > before:
                since, before = None, self._outbox.accepted
            elif since is None:
                since = time.monotonic()
            if since is not None and time.monotonic() - since >= patience:
                return
            time.sleep(_LAST_PAUSE)

    def _is_trained_for(self, seconds: float) -> bool:
        """Waits so long, or until the run has ended; whether it is trained still."""
        deadline = time.monotonic() + seconds
        while self._outbox.is_trained:
            self._sample()
            if time.monotonic() >= deadline:
                return True
            time.sleep(_LOOK)
        return False

    def _once(self) -> bool:
        """One delivery; whether it went through."""
        try:
            if self._store is None:
                store = self._outbox.open_store(self.timeout, self._allow)
                self._outbox.verify(store)
                self._store = store
            self._outbox.deliver(self._store)
        except Exception as error:  # whatever a store answers, the run goes on
            self.error, self.refused = error, is_refusal(error)
            if self.refused not in self._told and (self.refused or not self._told):
                self._told.add(self.refused)
                self._trouble(error, self.refused)
            return False
        self.error, self.refused = None, False
        return True

    def _watch_system(self) -> None:
        if self._outbox.tracking.system_metrics:
            try:
                self._sampler = SystemSampler(self._outbox.folder / "system.jsonl", os.getppid())
            except Exception as error:  # psutil is missing, or forbidden to look
                print(f"no system metrics: {error}", file=sys.stderr)

    def _sample(self, now: bool = False) -> None:
        if self._sampler is not None:
            try:
                self._sampler.sample(now)
            except Exception as error:  # such as a full disk
                print(f"no more system metrics: {error}", file=sys.stderr)
                self._sampler = None


def first_line(error: Exception) -> str:
    """An error in one line, without passwords."""
    lines = (concealed(str(error)).strip() or type(error).__name__).splitlines()
    what = [line for line in lines if not line.startswith("(raised as a result of")]  # so sqlalchemy begins some of its own
    return (what or lines)[0][:300]


def _take_out_passwords(folder: Path) -> None:
    """Takes passwords that earlier versions wrote down out of a run's configs; before anything of them is delivered.

    A file that cannot be read or written stays as it is.
    """
    for path in (path for pattern in _CONFIGS for path in folder.glob(pattern)):
        with suppress(OSError, UnicodeDecodeError):
            text = read_plain(path).decode("utf-8")
            without = conceal(text)
            if without != text:
                replace_text(path, without)
