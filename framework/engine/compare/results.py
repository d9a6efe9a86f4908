"""From a run's folder to the small file that a recipe keeps of it, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from framework.engine.compare.measures import TrainedModel
from framework.engine.compare.spec_file import read_spec, spec_text
from framework.engine.many.listing import epoch_records
from framework.engine.run.digest import NOT_PART_OF_A_RUN, ONLY_TOLD, differences, of_this_version
from framework.engine.run.files import write_text
from framework.engine.run.folder import RunFolder
from framework.engine.run.recorder import read_records
from framework.errors import RunError
from framework.files import read_plain
from framework.spec.data import DataSpec
from framework.spec.result import EpochFigures, Result
from framework.spec.run_files import EnvironmentRecord, read_file
from framework.spec.targets import Variant

RESULTS = "results"
"""Folder of a recipe with its results."""

_FREE = (
    *NOT_PART_OF_A_RUN,
    *ONLY_TOLD,
    "backend",
    "seed",
    "trainer.max_epochs",
    "trainer.checkpoint.every_n_epochs",
    "trainer.checkpoint.every_n_steps",
    "trainer.log_every_n_steps",
    "trainer.sample_every_n_epochs",
    "decoding.sample_length",
)
"""Settings that say where, how long and how closely watched a variant runs; with them it is still that variant."""

_NO_QUALITY = ("seconds", "tokens_per_second")

_LIBRARIES = ("gatework", "numpy")


def measure_run(trained: TrainedModel, name: str, variant: Variant, reference: Mapping[str, Any]) -> Result:
    """What a run has measured so far; of a complete one also what the variant measures it by.

    A sample of what its model makes is among that, unless the variant quotes nothing.

    Args:
        trained: the run's model.
        name: of the variant that it runs.
        variant: that variant.
        reference: resolved config of the variant itself.

    Raises:
        GateworkError: its model cannot be opened, or its data is not there any more.
    """
    folder = trained.folder
    record = folder.read_record("settings", "backend", "status", "digest", "data_digest", "started", "parameters")
    settings = of_this_version(record["settings"])
    epochs = [
        EpochFigures(
            epoch=round(one.epoch),
            step=one.step,
            values=one.of_epoch,
            sample=_sample(folder, round(one.epoch)) if variant.epoch_samples else "",
        )
        for one in epoch_records(folder.metrics)
        if one.step > 0
    ]
    wanted = reference["trainer"]["max_epochs"]
    environment = read_file(folder.environment, EnvironmentRecord)
    libraries = environment.get("libraries", {})
    complete = record["status"] == "finished" and (len(epochs) >= wanted or bool(record.get("stopped_early")))
    measured, signatures = trained.figures(variant.evaluations) if complete else ({}, {})
    answers = trained.answers(variant.probes) if complete else []
    if answers:
        measured["probes_right"] = sum(one.right for one in answers)
    return Result(
        variant=name,
        recipe=settings["recipe"],
        backend=record["backend"],
        seed=settings["seed"],
        complete=complete,
        epochs_wanted=wanted,
        deviations=deviations(reference, settings, trained.model.experiment.data),
        config_digest=record["digest"],
        data_digest=record["data_digest"],
        versions={
            **({"python": environment["python"]} if "python" in environment else {}),
            **record.get("versions", {}),
            **{name: libraries[name] for name in _LIBRARIES if name in libraries},
        },
        hardware={"platform": environment.get("platform"), **environment.get("hardware", {})} if environment else {},
        backend_settings={key: value for key, value in settings["backend"].items() if key != "name"},
        started=datetime.fromtimestamp(record["started"], UTC).isoformat(timespec="seconds"),
        wall_seconds=round(record.get("wall_seconds", 0.0), 1),
        figures={**_of_run(folder, record, epochs), **measured},
        epochs=epochs,
        samples=[trained.sample(*_weights(record, epochs))] if epochs and variant.quotes else [],
        answers=answers,
        signatures=signatures,
    )


def _sample(folder: RunFolder, epoch: int) -> str:
    """What a run's model wrote at the end of an epoch; nothing where it was not asked to."""
    file = folder.sample(epoch)
    return read_plain(file).decode("utf-8", "replace") if file.is_file() else ""


def deviations(reference: Mapping[str, Any], settings: Mapping[str, Any], data: DataSpec) -> dict[str, Any]:
    """Settings that make a run another experiment than the variant, or none that reproduces anything, by dotted key.

    Args:
        reference: the variant's resolved config.
        settings: the run's.
        data: the run's.
    """
    found = {key: after for key, _, after in differences(reference, settings)}
    changed = {key: after for key, after in found.items() if not any(key == free or key.startswith(f"{free}.") for free in _FREE)}
    epochs = found.get("trainer.max_epochs", 0)
    if epochs > reference["trainer"]["max_epochs"] or (epochs and reference["optimizer"]["schedule"]["kind"] != "constant"):
        changed["trainer.max_epochs"] = epochs  # a longer run, or one whose learning rate falls in another time
    return {**changed, **{f"data.{key}": value for key, value in data.never_reproduces().items()}}


def write_result(recipe: Path, result: Result) -> Path:
    """Writes ``results/<variant>-<backend>-seed<seed>.json``; a partial result never takes the place of a longer one.

    Args:
        recipe: the recipe's folder.
        result: without deviations.

    Returns:
        The file.

    Raises:
        RunError: a longer result is there and this one is partial, or the file cannot be written.
    """
    path = recipe / RESULTS / f"{result.variant}-{result.backend}-seed{result.seed}.json"
    if not result.complete and path.is_file():
        there = read_result(path)
        if there.complete or len(there.epochs) > len(result.epochs):
            kind = "complete" if there.complete else "longer"
            raise RunError(f"{path} holds a {kind} result, and this run is partial; the file stays as it is")
    write_text(path, spec_text(result))
    return path


def read_results(recipe: Path) -> list[Result]:
    """All results of a recipe; torch first, as everywhere.

    Raises:
        SpecError: a file is no result.
        RunError: it is of a run with other settings than the publication's.
    """
    found = []
    for path in sorted((recipe / RESULTS).glob("*-seed*.json")):
        found.append(read_result(path))
        if found[-1].deviations:
            raise RunError(f"{path} is of a run with other settings ({', '.join(found[-1].deviations)}); it does not belong here")
    return sorted(found, key=lambda one: (one.variant, one.backend != "torch", one.backend, one.seed))


def read_result(path: Path) -> Result:
    """One result.

    Raises:
        RunError: the file is no JSON.
        SpecError: it is no result, or was written by a newer version.
    """
    return read_spec(path, Result, "result of a reproduction")


def _of_run(folder: RunFolder, record: Mapping[str, Any], epochs: list[EpochFigures]) -> dict[str, float]:
    figures: dict[str, float] = {"parameters": record["parameters"]}
    for one in read_records(folder.metrics):
        if "epoch/untrained_loss" in one.values:
            figures["untrained_loss"] = one.values["epoch/untrained_loss"]
            break
    prefix = "val_" if any("val_loss" in epoch.values for epoch in epochs) else ""
    best = next((epoch for epoch in epochs if epoch.epoch == record.get("best_epoch")), None)
    if best is not None:
        figures["best_epoch"] = best.epoch
        units = [name for name in best.values if name.startswith(prefix) and name not in _NO_QUALITY]
        figures.update({f"best_{name}": best.values[name] for name in units})
    return figures


def _weights(record: Mapping[str, Any], epochs: list[EpochFigures]) -> tuple[str, int]:
    """Which weights a run's model has, and after how many steps."""
    best = any("val_loss" in epoch.values for epoch in epochs)
    step = next(one.step for one in epochs if one.epoch == record["best_epoch"]) if best else record["steps"]
    return "best" if best else "last", step
