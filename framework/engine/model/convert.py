"""A trained run of one backend as a run of the other, its outputs compared before anything is written."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from framework.backends.base.backend import Backend, Trainee
from framework.backends.base.registry import BACKENDS
from framework.data.prepare import load_processor
from framework.engine.model.agreement import compare_outputs
from framework.engine.model.new_run import new_run
from framework.engine.model.run_data import read_choices, read_run_data
from framework.engine.run.building import build_on_backend
from framework.engine.run.checkpoint import CheckpointStore
from framework.engine.run.digest import config_digest, resolved
from framework.engine.run.folder import RunFolder, find_run
from framework.engine.run.links import refuse_links
from framework.engine.run.portable import chosen_checkpoint, model_weights, write_portable
from framework.engine.run.prepare import Prepared, with_data
from framework.engine.run.start import write_config
from framework.engine.run.summary import NEEDED
from framework.errors import CheckpointError, InputError, RunError, nearest
from framework.spec.backend import BackendSpec
from framework.spec.experiment import Experiment
from framework.spec.validate import validate_experiment


@dataclass(frozen=True)
class Converted:
    """A run that was converted.

    Attributes:
        folder: the new run.
        source: the run that it was made of.
        difference: largest difference of the outputs on one batch, as a share of their largest absolute value.
        notes: what could not be taken over, a sentence each.
    """

    folder: RunFolder
    source: RunFolder
    difference: float
    notes: tuple[str, ...]


def convert_run(
    name: str,
    to: str,
    new_name: str | None = None,
    runs_dir: str = "runs",
    warn: Callable[[str], None] = warnings.warn,
    overrides: Sequence[str] = (),
) -> Converted:
    """Makes a run of the other backend from a run's checkpoints: it generates, is measured, and trains on as if it had begun there.

    Weights, optimizer slots, recurrent states and the position are taken over; MLflow's run is not.

    Args:
        name: run folder, its name, MLflow run id, or ``last``.
        to: the other backend.
        new_name: name of the new run; ``<name>-<backend>`` when not given. It lies beside the other.
        runs_dir: folder of all runs.
        warn: told of damaged checkpoints that another one takes the place of.
        overrides: where the run's data lies now, such as ``data.path=my.txt``; where its config says when not given.

    Raises:
        InputError: the run is of that backend already, or has no checkpoint; or its data is not at hand, or its config names files
            that its user may not mean to be read.
        RunError: there is a run of the new name, or the data is not what the run was trained on.
        ParityError: the two models disagree on a batch by more than :data:`TOLERANCE`; nothing is written.
    """
    if to not in BACKENDS:
        close = nearest(to, BACKENDS)
        raise InputError(f"there is no backend '{to}', only {' and '.join(BACKENDS)}" + (f"; did you mean '{close}'?" if close else ""))
    source = find_run(name, runs_dir)
    refuse_links(source.path)
    before = _experiment(source)
    if before.backend.name == to:
        raise InputError(f"run {source.path} is of backend {to} already")
    source.read_record(*NEEDED)
    folder = RunFolder(source.path.parent / (new_name or f"{source.name}-{to}"))
    if folder.path.parent != source.path.parent:
        raise InputError(f"--name is '{new_name}'; expected a name for a folder beside {source.path}")
    if folder.path.exists():
        raise RunError(f"{folder.path} is there already; give the new run another name with --name")
    processor, command = load_processor(before.data, source.config), f"gatework convert {name} --to {to}"
    found = read_run_data(source, before, processor, read_choices(overrides, before.data), runs_dir, command)
    if not found.own:
        raise RunError(f"{found.data.source} is not what run {source.path} was trained on; converting compares the outputs on that")
    after = _moved(found.experiment, to, folder.name)
    prepared = with_data(after, found.data)
    store = _checkpoints(source)
    chosen = chosen_checkpoint(store, prepared.data.validation is not None, warn)
    theirs = _built(prepared, before.backend, model_weights(chosen))[1]
    backend, ours = _built(prepared, after.backend, model_weights(chosen))
    inputs = next(prepared.data.train.epoch(0)).inputs
    difference = compare_outputs(theirs.predict(inputs), ours.predict(inputs), (before.backend.name, to))
    writer = _Writer(source, folder, prepared, (before.backend.name, ours), notes_on_random(theirs, ours))
    writer.write(after, store, backend, difference)
    return Converted(folder, source, difference, tuple(writer.notes))


def notes_on_random(one: Trainee, other: Trainee) -> list[str]:
    """Which random numbers of one model the other cannot go on with, a sentence each: of layers that use their library's own."""
    names = [name for name in one.state() if name.startswith("random/") and name not in other.state()]
    return [f"random numbers of layer '{name.split('/')[1]}' start anew: they are its library's own" for name in names]


def _experiment(folder: RunFolder) -> Experiment:
    settings = folder.read_record().get("settings")
    if not settings:
        raise RunError(f"{folder.path / 'run.json'} holds no settings; it is not a run that can be converted")
    return validate_experiment(settings)


def _moved(experiment: Experiment, backend: str, name: str) -> Experiment:
    """The same experiment on the other backend, under another name."""
    settings = resolved(experiment)
    return validate_experiment({**settings, "backend": {**settings["backend"], "name": backend}, "name": name})


def _built(prepared: Prepared, spec: BackendSpec, weights: Mapping[str, NDArray[Any]]) -> tuple[Backend, Trainee]:
    """A model to compare: in float32 where the run computed in less, so that only a real difference is seen."""
    experiment = prepared.experiment
    precision = "64-true" if experiment.trainer.precision == "64-true" else "32-true"
    trainer = experiment.trainer.model_copy(update={"precision": precision})
    return build_on_backend(experiment.model_copy(update={"backend": spec, "trainer": trainer}), prepared.plan, weights)


def _checkpoints(source: RunFolder) -> CheckpointStore:
    store = CheckpointStore(source.checkpoints)
    if not store.has("last"):
        raise InputError(f"run {source.path} has no checkpoint yet, so there is nothing to convert")
    return store


class _Writer:
    """Writes the new run."""

    def __init__(self, source: RunFolder, folder: RunFolder, prepared: Prepared, models: tuple[str, Trainee], notes: list[str]) -> None:
        self.source, self.folder, self.prepared = source, folder, prepared
        self.backend, self.ours = models
        self.notes = notes

    def write(self, experiment: Experiment, store: CheckpointStore, backend: Backend, difference: float) -> None:
        """Everything of the run; the report is written last."""
        with new_run(self.folder) as part:
            write_config(part, experiment, self.prepared)
            if self.source.metrics.is_file():
                shutil.copy2(self.source.metrics, part.metrics)
            if self.source.samples.is_dir():
                shutil.copytree(self.source.samples, part.samples)
            new = CheckpointStore(part.checkpoints)
            self._write_checkpoints(store, new)
            write_portable(part, self.prepared, new, self.notes.append)
            part.update_record(**self._record(experiment, backend, difference))

    def _write_checkpoints(self, store: CheckpointStore, new: CheckpointStore) -> None:
        # Each save makes the one before it "previous": what comes last must be "last".
        written = []
        for name in ("best", "previous", "last"):
            if not store.has(name):
                continue
            try:
                checkpoint = store.load(name)
            except CheckpointError as error:
                self.notes.append(f"checkpoint '{name}' is left out: {error}")
                continue
            self.ours.load_state(checkpoint.state)
            new.save(self.ours.state(), checkpoint.progress, best=name == "best")
            written.append(name)
        if "previous" not in written:
            shutil.rmtree(new.folder / "previous", ignore_errors=True)

    def _record(self, experiment: Experiment, backend: Backend, difference: float) -> dict[str, Any]:
        before = self.source.read_record()
        status = before.get("status")
        return {
            **before,
            "status": status if status == "finished" else "stopped",
            "error": None,
            "backend": backend.name,
            "digest": config_digest(experiment),
            "settings": resolved(experiment),
            "versions": backend.versions(),
            "converted_from": {"run": self.source.name, "backend": self.backend, "difference": difference},
        }
