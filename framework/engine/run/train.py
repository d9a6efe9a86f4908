"""Trains an experiment as a run: found again, gone on with, recorded, finished in order."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from framework.backends.base.choices import using
from framework.backends.base.memory import keep_freed_memory
from framework.builder.planner import off_cudnn
from framework.engine.processes.found import found_world
from framework.engine.processes.together import dismiss, refusing, together
from framework.engine.run.choices import KeptChoices
from framework.engine.run.digest import resolved
from framework.engine.run.folder import RunFolder, remember_begun, remember_last
from framework.engine.run.lock import LOCK, RunLock
from framework.engine.run.member import help_training
from framework.engine.run.monitor import Prune
from framework.engine.run.naming import choose_folder, refuse_another
from framework.engine.run.prepare import prepare_experiment
from framework.engine.run.same_training import description, require_same
from framework.engine.run.session import Session
from framework.engine.run.signals import StopSignals
from framework.engine.run.start import write_start
from framework.errors import GateworkError
from framework.report.progress import GuardedReporter, Reporter, SilentReporter
from framework.secrets import concealed
from framework.spec.experiment import Experiment
from framework.spec.problems import Locate, nowhere
from framework.tracking.follow import Follower, follow
from framework.tracking.sync import sync

_EPOCHS = "trainer.max_epochs"


def train(
    experiment: Experiment,
    *,
    composed: str | None = None,
    overrides: Sequence[str] = (),
    locate: Locate = nowhere,
    reporter: Reporter | None = None,
    prune: Prune | None = None,
    apart: Collection[str] = (),
    title: str | None = None,
) -> RunFolder:
    """Trains an experiment to its end, or goes on where its run was left.

    Args:
        experiment: a validated config.
        composed: the composed YAML, kept in the run's folder; written from the experiment when not given.
        overrides: the overrides as typed, kept likewise.
        locate: where each key was set, for messages.
        reporter: who is told what happens; nobody when not given.
        prune: told each epoch's values; True ends the run.
        apart: keys that make another run although a run may be gone on with another value of theirs, such as those of a sweep.
        title: what people see of the run in MLflow's list; its name when not given.

    Returns:
        The run's folder; its ``status`` is ``finished``, ``stopped`` after Ctrl-C, SIGTERM or SIGHUP, or ``pruned``.

    Raises:
        GateworkError: the run cannot be started or gone on with, and nothing is written; or training failed, and the run's record holds
            the error.
    """
    world = found_world(experiment.trainer)
    if world is not None and world.rank > 0:
        return help_training(experiment, world)
    told = GuardedReporter(reporter or SilentReporter())
    prepared = prepare_experiment(experiment, locate)
    with refusing(experiment, world) as met:
        folder, fresh = choose_folder(experiment, prepared.data.digest, apart)
        over = None if fresh else _why_over(folder, experiment, apart)
        if over is not None:
            told.message(over)
            met()
            dismiss(experiment, world, {"folder": str(folder.path), "over": True})
            _deliver_as_asked(folder, experiment, told)
            return folder
        with StopSignals() as signals, ExitStack() as after, _no_empty_folder(folder.path), RunLock(folder.path):
            if fresh and folder.exists():  # begun by another process in between
                refuse_another(folder, experiment, prepared.data.digest)
            told.message(f"{'run' if fresh else 'going on with'} {folder.path}")
            for line in (*prepared.task.hints(prepared.plan, experiment), *off_cudnn(prepared.plan, experiment.backend.name)):
                told.message(line)
            if not fresh:
                _tell_of_another_number(folder, experiment, told)
            keep_freed_memory()
            kept = KeptChoices(folder, experiment, told.warn, together=experiment.trainer.processes > 1)
            after.enter_context(using(kept.choices))
            met()
            with together(experiment, world, partial(_mark_lost, folder, told)) as company:
                same = description(prepared)
                company.processes.tell_json({"folder": str(folder.path), "over": False, "choices": kept.choices.known, "same": same})
                require_same(same, prepared, company.processes)
                session = Session(experiment, folder, prepared, signals, told, prune, company.processes, company.who_is_gone)
                session.try_out()
                write_start(folder, experiment, prepared, composed, overrides, title)
                kept.begin()
                _train_locked(experiment, folder, session, signals, told, after)
                company.processes.tell()  # the others may end
        return folder


def _tell_of_another_number(folder: RunFolder, experiment: Experiment, reporter: Reporter) -> None:
    """Another number of processes adds up in another order."""
    settings = (folder.read_record().get("settings") or {}).get("trainer") or {}
    before, now = settings.get("devices", 1) * settings.get("num_nodes", 1), experiment.trainer.processes
    if before != now:
        reporter.message(
            f"begun with {_processes(before)}, going on with {_processes(now)}: sums are added in another order from here on, so losses "
            "and weights no longer equal those of an undisturbed run to the last bit; batches, their order and dropout are the same"
        )


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _mark_lost(folder: RunFolder, reporter: Reporter, gone: str) -> None:
    """What is left to do where another process is gone and this one is stuck."""
    reporter.end()
    if folder.exists():
        with suppress(GateworkError):
            folder.update_record(status="failed", error=gone, ended=time.time())
    else:  # nothing but the lock has been written, and whoever waits for this one to end does not see to that
        with suppress(OSError):
            (folder.path / LOCK).unlink(missing_ok=True)
            folder.path.rmdir()
    begun = folder.checkpoints.is_dir()
    way = "the same command goes on from the last checkpoint" if begun else "nothing was kept yet, and the same command tries again"
    print(f"{gone}; {way}", file=sys.stderr, flush=True)


@contextmanager
def _no_empty_folder(path: Path) -> Iterator[None]:
    """Folders that are made for a run go again if it fails before anything was written into them."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        yield
    except BaseException:
        with suppress(OSError):  # the first one that is not empty ends it
            for folder in made:
                folder.rmdir()
        raise


def _why_over(folder: RunFolder, experiment: Experiment, apart: Collection[str]) -> str | None:
    """What a run that has ended for good says of itself; None where it goes on."""
    record = folder.read_record()
    epochs, anew = record.get("epochs", 0), "resume=never starts a new one"
    if record.get("status") == "pruned":
        return f"run {folder.path} was pruned after epoch {epochs}: other trials were better by then; {anew}"
    if record.get("status") != "finished":
        return None
    if record.get("stopped_early"):
        return f"run {folder.path} is finished: it stopped early after epoch {epochs}, best was {record.get('best_epoch')}; {anew}"
    if epochs < experiment.trainer.max_epochs:
        return None
    longer = "" if _EPOCHS in apart else f", a larger {_EPOCHS} goes on"
    return f"run {folder.path} is finished already; {anew}{longer}"


def _deliver_as_asked(folder: RunFolder, experiment: Experiment, reporter: Reporter) -> None:
    """Registers a finished run's model under a name that is asked for only now."""
    from framework.config.saved import load_resolved, save_resolved

    settings = folder.read_record().get("settings") or {}
    tracking = resolved(experiment)["tracking"]
    name = tracking.get("register_as")
    if name is None or (settings.get("tracking") or {}).get("register_as") == name:
        return
    with RunLock(folder.path):
        file = folder.config / "resolved.yaml"
        save_resolved(file, {**load_resolved(file), "tracking": tracking})
        folder.update_record(settings={**settings, "tracking": tracking})
        done = sync(folder.path)
    if done.trouble is not None:
        reporter.warn(f"the model could not be registered as {name} yet ({done.trouble}): gatework sync {folder.path}")


def _train_locked(
    experiment: Experiment,
    folder: RunFolder,
    session: Session,
    signals: StopSignals,
    reporter: Reporter,
    after: ExitStack,
) -> None:
    """Trains, and marks the run by how that ended; ``after`` waits, once the run's lock is free, for the process that follows it."""
    try:
        remember_begun(folder, experiment.paths.runs_dir)
        follower = follow(folder.path, experiment.tracking, reporter.warn)
        if follower is not None:
            after.callback(_wait_for, follower, signals)
        session.run()
        session.finish("pruned" if session.monitor.pruned else "finished" if session.complete else "stopped")
        if session.complete and not session.monitor.pruned:
            remember_last(folder, experiment.paths.runs_dir)
    except BaseException as error:
        killed = isinstance(error, KeyboardInterrupt)
        what = str(error) if killed or isinstance(error, GateworkError) else f"{type(error).__name__}: {error}"
        with suppress(GateworkError):  # on a full disk the error itself is what there is to say
            folder.update_record(status="killed" if killed else "failed", error=concealed(what), ended=time.time())
        raise


def _wait_for(follower: Follower, signals: StopSignals) -> None:
    with signals.at_once():
        follower.wait()
