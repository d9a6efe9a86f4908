"""A launcher that runs each job in a process of its own, so that no job meets what another one left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from framework.config.jobs import JobOutcome, JobRunner
from framework.errors import InputError

_PROCESSES = multiprocessing.get_context("spawn")
"""A forked process would share what torch and TensorFlow have set up, which neither bears."""


class ProcessLauncher(Launcher):
    """Runs jobs ``n_jobs`` at a time, each in a new process; the default of ``gatework train -m``.

    A job whose process dies is a failed job, and the others go on. Ctrl-C, SIGTERM and SIGHUP are passed on to the jobs that run,
    which write their checkpoints first. A job whose launcher is gone stops in the same way.

    Args:
        n_jobs: jobs at a time (``hydra.launcher.n_jobs``).

    Raises:
        InputError: ``n_jobs`` is no whole number from 1 on.
    """

    def __init__(self, n_jobs: Any = 1) -> None:
        if not isinstance(n_jobs, int) or isinstance(n_jobs, bool) or n_jobs < 1:
            raise InputError(f"hydra.launcher.n_jobs is {n_jobs!r}; expected a whole number from 1 on")
        self.n_jobs = n_jobs
        self._running: set[BaseProcess] = set()
        self._stopping = False

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before :meth:`launch`."""
        if not isinstance(task_function, JobRunner):
            raise InputError("hydra/launcher=process runs the jobs of gatework alone")
        self.runner, self.config, self.loader = task_function, config, hydra_context.config_loader

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Runs a job for each list of overrides; ends when all have.

        Raises:
            KeyboardInterrupt: the jobs were stopped.
        """
        jobs = [(self._words(overrides), initial_job_idx + place) for place, overrides in enumerate(job_overrides)]
        with _interrupted_by_signals(), ThreadPoolExecutor(self.n_jobs) as threads:
            waiting = [threads.submit(self._run, words, number) for words, number in jobs]
            try:
                outcomes = [one.result() for one in waiting]
            except KeyboardInterrupt:
                self._stop(waiting)
                raise
        return [_returned(outcome) for outcome in outcomes]

    def _words(self, overrides: Sequence[str]) -> list[str]:
        config = self.loader.load_sweep_config(self.config, list(overrides))
        return [str(word) for word in config.hydra.overrides.task]

    def _run(self, words: list[str], number: int) -> JobOutcome:
        self.runner.announce(words, number)
        receiver, sender = _PROCESSES.Pipe(duplex=False)
        process = _PROCESSES.Process(target=_run_job, args=(sender, self.runner, words, number), name=f"job {number}")
        process.start()
        self._running.add(process)
        sender.close()
        try:
            if self._stopping:
                process.terminate()
            outcome = receiver.recv()
            assert isinstance(outcome, JobOutcome)
            return outcome
        except EOFError:
            process.join()
            return self.runner.failed(words, number, _last_words(process, words))
        finally:
            process.join()
            self._running.discard(process)

    def _stop(self, waiting: list[Future[JobOutcome]]) -> None:
        self._stopping = True
        for one in waiting:
            one.cancel()
        for process in list(self._running):
            process.terminate()


def _run_job(sender: Connection, runner: JobRunner, words: list[str], number: int) -> None:
    """What the new process does."""
    if hasattr(os, "setsid"):
        os.setsid()  # a Ctrl-C in the terminal reaches the launcher, which passes it on
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    with suppress(KeyboardInterrupt):  # the launcher sees that nothing comes
        sender.send(runner.run(words, number))
    sender.close()


def _end_with_launcher() -> None:
    launcher = multiprocessing.parent_process()
    assert launcher is not None
    launcher.join()
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """SIGTERM, and SIGHUP unless it is ignored as under ``nohup``, raise KeyboardInterrupt, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    wanted = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, signal.default_int_handler) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _last_words(process: BaseProcess, words: list[str]) -> str:
    code = process.exitcode or 0
    if code == 0:
        anew = any(word.endswith("resume=never") for word in words)  # with it, the same command begins another run
        return "it was stopped" if anew else "it was stopped; the same command goes on with it"
    if code > 0:
        return f"its process ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = "; the system does that where memory runs out: run fewer at a time (hydra.launcher.n_jobs), or with a smaller data.batch_size"
    return f"its process was ended by {name}{hint if name == 'SIGKILL' else ''}"


def _returned(outcome: JobOutcome) -> JobReturn:
    result: Any = JobReturn(working_dir=str(Path.cwd()), status=JobStatus.COMPLETED)
    result.return_value = outcome
    return result  # type: ignore[no-any-return]
