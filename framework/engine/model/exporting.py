"""A trained run in a format that is used without Gatework: written, run in the format's own runtime, compared, then put in place."""

from __future__ import annotations

import os
import secrets
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from framework.backends.base.backend import Trainee
from framework.backends.base.exporting import NEXT, STEP, WEIGHTS, Decoded, Exporter, load_exporter, state_port
from framework.builder.planner import plan_model
from framework.builder.stateless import carried_model, plain_model, stateless_model
from framework.builder.step import decoding_obstacles
from framework.engine.model.export_check import deviation_of
from framework.engine.model.export_page import INTERFACE, Page, write_page
from framework.engine.model.opening import trained_model
from framework.engine.model.run_data import read_choices, read_run_data
from framework.engine.run.building import build_on_backend
from framework.engine.run.folder import RunFolder, find_run
from framework.engine.run.links import refuse_links
from framework.engine.run.portable import PortableModel
from framework.errors import InputError, RunError, UnsupportedArgument
from framework.files import PART, entries_below, sync_folder
from framework.spec.backend import BackendSpec
from framework.spec.model import ModelSpec
from framework.tasks.known import task_of
from framework.tasks.model import Model

EXPORTS = "exports"
"""Folder of a run that its exports lie in, each in one with its format's name."""


@dataclass(frozen=True)
class ExportedModel:
    """An export that was written.

    Attributes:
        folder: where it lies.
        source: the run.
        format: its name.
        backend: that wrote it.
        deviation: the largest difference of an output from the trained model's, as a share of that output's largest absolute value.
        size: bytes of all files.
        seconds: that building, writing and comparing took.
        graphs: names of what was written.
        notes: what the format does not hold, and what somebody who loads it has to know, a sentence each.
    """

    folder: Path
    source: RunFolder
    format: str
    backend: str
    deviation: float
    size: int
    seconds: float
    graphs: tuple[str, ...]
    notes: tuple[str, ...]


def export_model(
    name: str,
    format_name: str,
    output: Path | str | None = None,
    runs_dir: str = "runs",
    warn: Callable[[str], None] = warnings.warn,
    overrides: Sequence[str] = (),
) -> ExportedModel:
    """Writes a run's model, its best weights where it was validated, in a format that is used without Gatework.

    Args:
        name: run folder, its name, MLflow run id, or ``last``.
        format_name: see :data:`framework.backends.base.exporting.FORMATS`.
        output: folder to write; ``<run>/exports/<format>`` when not given. An export that is there is replaced.
        runs_dir: folder of all runs.
        warn: told of damaged files that another one takes the place of.
        overrides: where the run's data lies now, such as ``data.path=my.txt``.

    Raises:
        InputError: there is no such format, it needs a library that is not installed, the folder holds something else, or the data is
            not at hand.
        UnsupportedArgument: the format cannot hold a layer or an argument; it is named.
        ParityError: the written file computes something else; nothing is left of it.
    """
    folder = find_run(name, runs_dir)
    refuse_links(folder.path)
    model = trained_model(folder, warn)
    backend, exporter = load_exporter(format_name, model.experiment.backend.name)
    target = folder.path / EXPORTS / format_name if output is None else _target(output)
    _check_target(target)
    if exporter.holds != (WEIGHTS,):
        _check_types(model.experiment.model)
    began = time.perf_counter()
    source = _Source(model, backend, _inputs(folder, model, overrides, runs_dir, f"gatework export {name}", exporter))
    with _new_folder(target) as part:
        written = exporter.write(source.carried, source.decoded, part)
        signatures = {one.name: one for one in written.signatures}
        decoded = None if source.decoded is None else source.decoded.input
        deviation = deviation_of(exporter.open(part, signatures), signatures, source.trained, decoded, source.inputs, format_name)
        notes = (*source.notes(exporter), *written.notes)
        write_page(part, Page(format_name, exporter, written.signatures, notes, deviation, folder.name, source.using, source.inputs))
        model.processor.save(part)
    size = sum(entry.stat().st_size for entry in entries_below(target) if entry.is_file())
    return ExportedModel(target, folder, format_name, backend, deviation, size, time.perf_counter() - began, tuple(signatures), notes)


def _inputs(
    folder: RunFolder, model: PortableModel, overrides: Sequence[str], runs_dir: str, command: str, exporter: Exporter
) -> Mapping[str, NDArray[Any]]:
    """A held-out batch of the run's data, or one of its training; nothing where nothing is computed."""
    given = read_choices(overrides, model.experiment.data)
    if exporter.holds == (WEIGHTS,):
        return {}
    data = read_run_data(folder, model.experiment, model.processor, given, runs_dir, command).data
    split = data.validation or data.splits.get("test") or next(iter(data.splits.values()))
    return next(iter(split.epoch(0))).inputs


class _Source:
    """The models of an export: the trained one, and those that are written, on the backend that writes.

    Args:
        model: the run's.
        backend: that writes.
        inputs: of a batch.

    Attributes:
        trained: the run's model on its own backend, which is compared.
        carried: with the states of stateful layers as inputs and outputs.
        decoded: without them, where the task decodes and the model can be.
        using: the run's model with its processor.
    """

    def __init__(self, model: PortableModel, backend: str, inputs: Mapping[str, NDArray[Any]]) -> None:
        self._model, self.inputs = model, inputs
        experiment = model.experiment
        precision = "64-true" if experiment.trainer.precision == "64-true" else "32-true"
        self._experiment = experiment.model_copy(update={"trainer": experiment.trainer.model_copy(update={"precision": precision})})
        self._dtype = "float64" if precision == "64-true" else "float32"
        plain = plain_model(experiment.model)
        self.trained = self._built(plain, experiment.backend.name)
        task, plan = task_of(experiment), self.trained.plan
        self.using = Model(experiment, plan, model.processor, self.trained, task.decoded(plan))
        self.carried = self._built(carried_model(plain, self._dtype, NEXT, state_port), backend)
        name = self.using.decoded
        self._obstacles = {} if name is None else decoding_obstacles(plan, name)
        self.decoded = None
        if name is not None and not self._obstacles:
            stateless = self.carried if not plan.stateful else self._built(stateless_model(plain), backend)
            self.decoded = Decoded(stateless, name)

    def notes(self, exporter: Exporter) -> Iterator[str]:
        """What the export lacks, a sentence each."""
        if self._experiment.trainer.precision != self._model.experiment.trainer.precision:
            yield f"the run was trained in {self._model.experiment.trainer.precision}; the export computes in {self._dtype}"
        if WEIGHTS in exporter.holds:
            yield "the format holds arrays alone, and neither the layers nor what they compute"
        elif self.decoded is not None and STEP not in exporter.holds:
            steps = self.carried.plan.inputs[self.decoded.input].shape[-1]
            if steps is None:
                yield "the format holds no step of decoding: the whole sequence so far goes through the model for each further token"
            else:
                yield f"the format holds no step of decoding, and the model takes {steps} tokens at once: it cannot write text"
        for layer, reason in self._obstacles.items():
            yield f"there is no step of decoding: layer '{layer}': {reason}"

    def _built(self, model: ModelSpec, backend: str) -> Trainee:
        plan = plan_model(model, self._experiment.seed, BackendSpec(device="cpu", use_cudnn=False), dtype=self._dtype)
        threads = self._experiment.backend.threads
        spec = BackendSpec(name=backend, device="cpu", use_cudnn=False, threads=threads)  # type: ignore[arg-type]
        return build_on_backend(self._experiment.model_copy(update={"backend": spec}), plan, self._model.weights)[1]


def _check_types(model: ModelSpec) -> None:
    """Refuses layers that compute in less than float32, which runtimes do each in a way of their own.

    Raises:
        UnsupportedArgument: there is one; it is named.
    """
    for name, layer in model.layers.items():
        if layer.dtype not in (None, "float32", "float64"):
            raise UnsupportedArgument(
                f"layer '{name}': dtype '{layer.dtype}' cannot be exported; expected float32 or float64 (safetensors holds its weights)"
            )


def _target(output: Path | str) -> Path:
    """The folder that a user named, whole.

    Raises:
        InputError: it is no name.
    """
    if not str(output):
        raise InputError("--output is empty; expected the name of a folder")
    return Path(os.path.abspath(output))


def _check_target(target: Path) -> None:
    """Refuses to replace what is no export, or the folder that the user is in, who would be left in one that is gone.

    Raises:
        InputError: it is there, and something else, or the working folder is in it.
    """
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise InputError(f"{target} is there and is no folder; name another one with --output")
    if target.is_dir() and any(target.iterdir()) and not (target / INTERFACE).is_file():
        raise InputError(f"{target} holds something else than an export; name another folder with --output")
    here = Path.cwd()
    if target.is_dir() and any(target.samefile(one) for one in (here, *here.parents)):
        raise InputError(f"{target} is the folder that you are in, or holds it, and would be replaced; name another one with --output")


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of ``target`` when the block has ended well.

    Raises:
        RunError: a file cannot be written.
    """
    part = target.with_name(f"{PART}{secrets.token_hex(6)}-{target.name[-40:]}")
    old = part.with_name(f"{part.name}-old")
    missing = [one for one in part.parents if not one.exists()]
    try:
        part.mkdir(parents=True)
        yield part
        if target.exists():
            target.rename(old)
        try:
            part.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        sync_folder(target.parent)
    except OSError as error:
        raise RunError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
        for parent in missing if not target.exists() else ():
            with suppress(OSError):  # never there, or somebody else's by now
                parent.rmdir()
