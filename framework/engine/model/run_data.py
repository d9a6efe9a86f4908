"""The data of a trained run, read again: with the run's own processor, and from nowhere but where its user lets it be read.

A run's folder may come from somebody else, and its config may name any file of this machine.
"""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.config.compose import compose
from framework.config.location import SearchPath
from framework.config.overrides import OverrideReader
from framework.config.yaml_file import read_yaml
from framework.data.download import DATA_VARIABLE
from framework.data.files import find_files
from framework.data.prepare import PREPARATIONS, prepare
from framework.data.prepared import PreparedData
from framework.data.processor import Processor
from framework.engine.run.digest import resolved
from framework.engine.run.folder import RunFolder
from framework.errors import DataError, GateworkError, InputError, RunError, nearest
from framework.files import expanded
from framework.spec.data import DataSpec
from framework.spec.experiment import Experiment, PathsSpec
from framework.spec.kinds import DATA_KINDS
from framework.spec.validate import validate_experiment

_FOLDERS = ("paths.data_dir", "paths.cache_dir")


def choices(spec: DataSpec) -> tuple[str, ...]:
    """Settings that may be given anew where a trained run's data is read, by dotted key."""
    return (*_keys(spec.sources), *_keys(spec.shapes), *_FOLDERS)


def _keys(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"data.{name}" for name in names)


@dataclass(frozen=True)
class RunData:
    """What a trained run's model is given to read.

    Attributes:
        experiment: the run's, with what was given anew.
        data: prepared with the run's processor.
        own: whether it is what the run was trained on; other data is one part, all of it.
    """

    experiment: Experiment
    data: PreparedData
    own: bool


def read_choices(words: Sequence[str], spec: DataSpec, further: Sequence[str] = ()) -> dict[str, Any]:
    """What a person gave anew, as ``data.path=my.txt``, by key.

    Args:
        words: as typed.
        spec: of the data that the run was trained on.
        further: settings that may be given too, by dotted key.

    Raises:
        InputError: it is no setting of :func:`choices` or of ``further``.
    """
    given, known = {}, (*choices(spec), *further)
    for one in OverrideReader(SearchPath.of()).read(words):
        if one.key not in known or one.kind != "value":
            close = nearest(one.key, known)
            guess = f"; did you mean {close}?" if close else ""
            raise InputError(f"'{one.text}' cannot be given for a trained run; expected one of {', '.join(known)}{guess}")
        given[one.key] = one.value
    return given


def read_run_data(
    folder: RunFolder, experiment: Experiment, processor: Processor, given: Mapping[str, Any], runs_dir: str, command: str
) -> RunData:
    """The data that a run was trained on, or that ``given`` names.

    Args:
        folder: the run's.
        experiment: its config.
        processor: its own.
        given: see :func:`read_choices`.
        runs_dir: folder of all runs of the user.
        command: what was typed, for messages, such as ``gatework evaluate last``.

    Raises:
        RunError: the data is not what the run was trained on any more.
        InputError: the config names files that its user may not mean to be read; they are listed.
        DataError: the data cannot be read, or has what the processor cannot read.
    """
    sources, reshaping = _keys(experiment.data.sources), _keys(experiment.data.shapes)
    named = any(key in given for key in sources)
    if not named and (shapes := [key for key in given if key in reshaping]):
        raise InputError(f"{', '.join(shapes)} can be given with other data only; name it with {' or '.join(sources)}=…")
    own = _with(experiment, given)
    if not named:
        own = _allowed(folder, own, given, runs_dir, command)
    data = _prepared(own, processor) if not named else _or_none(own, processor)
    begun_with = folder.read_record().get("data_digest")
    if data is not None and data.digest == begun_with:
        return RunData(own, data, True)
    if data is not None and not named:
        digest = f"digest {begun_with[:12]}…, now {data.digest[:12]}…" if begun_with else "the run holds no digest of it"
        raise RunError(
            f"the data is not what run {folder.path} was trained on ({digest})\n"
            f"    hint: {_naming(command, own)} takes it as other data, as it is now"
        )
    other = _whole(own)
    return RunData(other, prepare(other.data, other.paths, None, processor), False)


def _only_measured(settings: dict[str, Any]) -> Experiment:
    """The experiment of settings that nothing is trained by: where nothing is held out, no validation can decide the best epoch."""
    settings["trainer"]["early_stopping"] = None
    settings["trainer"]["checkpoint"]["monitor"] = "auto"
    return validate_experiment(settings)


def _with(experiment: Experiment, given: Mapping[str, Any]) -> Experiment:
    """The experiment with other settings; a place takes the place of all others."""
    settings = resolved(experiment)
    sources = experiment.data.sources
    other = any(key in given for key in _keys(sources))
    if other:
        settings["data"].update({**dict.fromkeys((*sources, *experiment.data.further)), "declared_sizes": {}})
    for key, value in given.items():
        section, name = key.split(".")
        settings[section][name] = value
    if "data.batch_size" in given:
        for one in settings["model"]["inputs"].values():
            if one["batch_size"] is not None:
                one["batch_size"] = given["data.batch_size"]
    return _only_measured(settings) if other else validate_experiment(settings)


def _whole(experiment: Experiment) -> Experiment:
    """The experiment on all of its data: nothing held out, nothing left out at the end."""
    settings = resolved(experiment)
    settings["data"].update(experiment.data.whole())
    return _only_measured(settings)


def _prepared(experiment: Experiment, processor: Processor) -> PreparedData:
    known = processor if PREPARATIONS.named(experiment.data.kind).takes_processor else None
    data = prepare(experiment.data, experiment.paths, experiment.seed, known)
    if data.processor != processor:
        raise DataError(f"data of kind '{experiment.data.kind}' is prepared otherwise than the run's now, and not as the run prepared it")
    return data


def _or_none(experiment: Experiment, processor: Processor) -> PreparedData | None:
    """The data as the run would take it; None where it is too short for the run's own way of cutting it, or wrong altogether."""
    try:
        return _prepared(experiment, processor)
    except DataError:
        return None


def _allowed(folder: RunFolder, experiment: Experiment, given: Mapping[str, Any], runs_dir: str, command: str) -> Experiment:
    """The experiment with the user's own folders for data, if what it names may be read.

    Raises:
        InputError: it may not.
    """
    user = _UserSettings.of(experiment.recipe)
    folders = {name: given.get(f"paths.{name}", getattr(user.paths, name)) for name in ("data_dir", "cache_dir")}
    paths = experiment.paths.model_copy(update=folders)
    outside = [place for place in _named(experiment) if not user.names(place)]
    if outside:
        roots = _roots(folder, paths, runs_dir)
        outside = [place for place in outside if not _lies_in(place, roots)]
    for download in experiment.data.fetched():
        if download.model_dump(exclude_none=True) not in user.downloads:
            outside.append(f"{download.url} (it would be fetched)")
        elif paths.data_dir is None and _holds(experiment.paths.data_dir, download.filename):
            paths = paths.model_copy(update={"data_dir": experiment.paths.data_dir})
    if outside:
        listed = "\n".join(f"    {place}" for place in outside)
        raise InputError(
            f"the config of run {folder.path} names data that nothing of your own settings names; it is read only where you name it:\n"
            f"{listed}\n    hint: if that is what you mean: {_naming(command, experiment)}"
        )
    return experiment.model_copy(update={"paths": paths})


def _holds(data_dir: str | None, filename: str) -> bool:
    """Whether a folder that the run used has the file, whose name and checksum are the user's own."""
    return data_dir is not None and (expanded(data_dir) / filename).is_file()


def _named(experiment: Experiment) -> Iterator[str]:
    """Paths that the config of the data names, as they are written, but for those of files to be fetched."""
    fetched = {download.filename for download in experiment.data.fetched()}
    yield from (one for one in _places(experiment.data.model_dump(), type(experiment.data)) if one not in fetched)


def _roots(folder: RunFolder, paths: PathsSpec, runs_dir: str) -> list[Path]:
    """Folders whose files may be read: the run's own, the user's data, and the user's project where the run is one of its own."""
    data_dir = paths.data_dir or os.environ.get(DATA_VARIABLE)
    found = [folder.path, *([expanded(data_dir)] if data_dir else [])]
    runs = expanded(runs_dir).resolve()
    if folder.path.resolve().is_relative_to(runs):
        found += [Path.cwd(), runs.parent]
    return [one.resolve() for one in found]


def _lies_in(place: str, roots: Sequence[Path]) -> bool:
    """Whether a path, glob or folder means files in ``roots`` alone, wherever links lead, and none that is hidden there."""
    start = expanded(place)
    while glob.has_magic(start.name):
        start = start.parent
    if not _is_in(start, roots):
        return False  # before anything is looked up there
    try:
        return all(_is_in(file, roots) for file in find_files(place))
    except DataError:
        return True  # nothing is there to be read, and reading says so


def _is_in(path: Path, roots: Sequence[Path]) -> bool:
    real = path.resolve()
    inside = [real.relative_to(root) for root in roots if real.is_relative_to(root)]
    return any(not any(part.startswith(".") for part in one.parts) for one in inside)


def _naming(command: str, experiment: Experiment) -> str:
    """The command with the data named, as one can type it."""
    data = experiment.data
    given = {name: value for name in data.sources if (value := getattr(data, name, None))}
    given = {"path": given["path"]} if "path" in given else given or {"path": "FILE"}
    return " ".join([command, *(shlex.quote(f"data.{name}={_written(value)}") for name, value in given.items())])


def _written(value: Any) -> str:
    """A path, or a list of paths, as an override has it."""
    if isinstance(value, list):
        return f"[{','.join(map(_written, value))}]"
    return f"'{value}'" if any(sign in str(value) for sign in ",[]{}()=:' \\") else str(value)


def _places(section: Mapping[str, Any], spec: type[DataSpec] | None) -> Iterator[str]:
    """The paths that a config's section of data names."""
    for place in () if spec is None else spec.places:
        value: Any = section
        for key in place.split("."):
            value = value.get(key) if isinstance(value, Mapping) and not key.startswith("download") else None
        for one in value if isinstance(value, list) else [value]:
            if one and isinstance(one, str):
                yield one


@dataclass(frozen=True)
class _UserSettings:
    """What the user's own configs, and the shipped ones, name.

    Attributes:
        places: paths of data, as written.
        downloads: files to fetch.
        paths: folders.
    """

    places: frozenset[str]
    downloads: tuple[dict[str, Any], ...]
    paths: PathsSpec

    @classmethod
    def of(cls, recipe: str) -> _UserSettings:
        """Of the recipe of that name, and of every choice of data."""
        search = SearchPath.of()
        sections: list[Any] = []
        paths = PathsSpec()
        try:
            mapping = compose([f"recipe={recipe}"]).mapping
            sections.append(mapping.get("data"))
            paths = PathsSpec.model_validate(mapping.get("paths") or {})
        except (GateworkError, ValueError):  # a recipe of somebody else
            pass
        for name in search.options("data"):
            file = search.find(f"data/{name}")
            try:
                sections.append(read_yaml(file) if file else None)
            except GateworkError:
                continue
        known = [one for one in sections if isinstance(one, Mapping)]
        places = [place for section in known for place in _places(section, DATA_KINDS.get(str(section.get("kind"))))]
        listed = [one for section in known for one in (section.get("download"), *(section.get("downloads") or ()))]
        return cls(frozenset(places), tuple(dict(one) for one in listed if isinstance(one, Mapping)), paths)

    def names(self, place: str) -> bool:
        """Whether a path is one of the user's own; relative ones count from the working folder for both."""
        return place in self.places or str(expanded(place).absolute()) in {str(expanded(one).absolute()) for one in self.places}
