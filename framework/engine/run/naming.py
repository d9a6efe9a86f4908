"""Which folder an experiment's run belongs into: the one it was begun in, whatever that is called, or a new one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from framework.engine.run.digest import MAY_CHANGE, ONLY_TOLD, differences, may_change, of_this_version, resolved, run_digest
from framework.engine.run.folder import RunFolder, next_free
from framework.errors import GateworkError, RunError
from framework.files import expanded
from framework.spec.experiment import Experiment
from framework.spec.validate import validate_experiment

_GIVEN_NAME = "-[0-9a-f]{8}"
"""What follows the backend in a name that nobody chose."""


def choose_folder(experiment: Experiment, data_digest: str, apart: Collection[str] = ()) -> tuple[RunFolder, bool]:
    """The folder to train in, and whether it is a new one.

    Args:
        experiment: the config.
        data_digest: of the prepared data.
        apart: keys that make another run although a run may be gone on with another value of theirs.

    Raises:
        RunError: a run of that name is there with another config or other data; or there is none, and ``resume`` is ``must``.
    """
    folder = _folder(experiment, data_digest, apart)
    if not folder.exists():
        _refuse_files(folder.path)
        if experiment.resume == "must":
            raise RunError(f"resume=must, but there is no run to go on with: {folder.path} is not there")
        return folder, True
    if experiment.resume == "never":
        return next_free(folder), True
    refuse_another(folder, experiment, data_digest)
    return folder, False


def refuse_another(folder: RunFolder, experiment: Experiment, data_digest: str) -> None:
    """A run goes on only with the config and the data that it was begun with.

    Raises:
        RunError: one of them is another; the keys are listed.
    """
    record = folder.read_record()
    changed = differences(of_this_version(record.get("settings")), resolved(experiment))
    lines = [f"  {key}: {before!r} in the run, {after!r} now" for key, before, after in changed if not may_change(key, experiment)]
    what = [f"run {folder.path} has another config"] if lines else []
    begun_with = record.get("data_digest")
    if begun_with is not None and begun_with != data_digest:
        lines.append(f"  data: digest {begun_with[:12]}… in the run ({record.get('data_source')}), {data_digest[:12]}… now")
        what.append("it was begun with other data" if what else f"run {folder.path} was begun with other data")
    if lines:
        free = (*(key for key in MAY_CHANGE if "." in key and key not in ONLY_TOLD), "tracking", "paths")
        may = f"only {', '.join(free)} and where the data lies may change"
        advice = "  start another run with another name=…, or with resume=never"
        raise RunError("\n".join([f"{' and '.join(what)}; {may}:", *lines, advice]))


def _folder(experiment: Experiment, data_digest: str, apart: Collection[str]) -> RunFolder:
    """Where the run lies, or will."""
    parent = expanded(experiment.paths.runs_dir).resolve() / experiment.recipe
    if experiment.name is not None:
        return RunFolder(parent / experiment.name)
    digest = run_digest(experiment, data_digest, apart)
    folder = RunFolder(parent / f"{experiment.backend.name}-{digest[:8]}")
    if folder.exists():
        return folder
    same = [record for record in _unnamed(parent, experiment.backend.name) if _is_same(record[1], digest, data_digest, apart)]
    return max(same, key=lambda one: _fit(one[1], experiment))[0] if same else folder


def _unnamed(parent: Path, backend: str) -> Iterator[tuple[RunFolder, dict[str, Any]]]:
    """Runs whose names were made from a digest, with their records; versions before made it in another way."""
    for path in sorted(parent.glob("*/run.json")):
        if re.fullmatch(backend + _GIVEN_NAME, path.parent.name) is None:
            continue
        folder = RunFolder(path.parent)
        try:
            yield folder, folder.read_record()
        except GateworkError:  # not the run that is looked for, and no obstacle to it
            continue


def _is_same(record: Mapping[str, Any], digest: str, data_digest: str, apart: Collection[str]) -> bool:
    settings = record.get("settings")
    if record.get("data_digest") != data_digest or not isinstance(settings, Mapping) or settings.get("name") is not None:
        return False
    try:
        return run_digest(validate_experiment(settings), data_digest, apart) == digest
    except GateworkError:
        return False


def _fit(record: Mapping[str, Any], experiment: Experiment) -> tuple[bool, int]:
    """The larger, the rather it is the run that is meant: of the same length, or else the one that has come farthest."""
    return record["settings"].get("trainer", {}).get("max_epochs") == experiment.trainer.max_epochs, int(record.get("epochs") or 0)


def _refuse_files(path: Path) -> None:
    for place in (path, *path.parents):
        if place.exists() and not place.is_dir():
            raise RunError(f"{place} is a file; a run needs a folder there")
