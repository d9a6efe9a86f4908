"""What a config may say to Hydra: how often to run, and with which launcher and sweeper.

Everything else of Hydra's would run code, write files beside a run's, or be ignored; it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from framework.config.location import display
from framework.config.provenance import Provenance
from framework.config.yaml_text import Positioned
from framework.errors import Origin, Problem, SpecError, nearest
from framework.spec.problems import choices, render
from framework.spec.search import validate_search

PLUGINS = "hydra_plugins.gatework"
"""Begins the names of our launcher and sweeper: Hydra 1.3 takes none whose name does not begin with ``hydra_plugins``."""

_OFFERED = ("mode", "sweeper", "launcher")
_KEYS: dict[str, tuple[str, ...] | None] = {**dict.fromkeys(_OFFERED), "run": ("dir",), "job": ("name", "chdir"), "output_subdir": None}
"""What a YAML file may name below ``hydra``, and what below that where it is not everything; all but what is offered only as it is."""

_QUEUE = ("timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "name", "stderr_to_stdout")
_SLURM = (
    "partition", "qos", "comment", "constraint", "exclude", "gres", "cpus_per_gpu", "gpus_per_task", "mem_per_gpu", "mem_per_cpu",
    "account", "signal_delay_s", "max_num_timeout", "array_parallelism",
)  # fmt: skip
_JOBLIB = ("n_jobs", "backend", "prefer", "require", "verbose", "timeout", "batch_size", "max_nbytes", "mmap_mode")

_BY_HAND = ("setup", "additional_parameters", "temp_folder", "pre_dispatch")
"""Settings of launchers that put commands into a job's script, are evaluated, or name places: the user's own, on the command line."""

_FIXED = ("submitit_folder",)
"""Settings of launchers that a multirun makes itself."""

_LAUNCHERS: dict[str, tuple[str, ...]] = {
    f"{PLUGINS}.ProcessLauncher": ("n_jobs",),
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher": (),
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher": (*_JOBLIB, *_BY_HAND),
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher": (*_QUEUE, *_FIXED),
    "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher": (*_QUEUE, *_SLURM, *_BY_HAND, *_FIXED),
}
_SWEEPERS: dict[str, tuple[str, ...] | None] = {
    f"{PLUGINS}.SearchSweeper": None,  # its own spec tells what it takes
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper": ("max_batch_size", "params"),
}
_COUNTS = ("hydra.launcher.n_jobs", "hydra.sweeper.max_batch_size")
_OWN = (f"{PLUGINS}.ProcessLauncher", "hydra._internal.core_plugins.basic_sweeper.BasicSweeper")
_NAMES = {"launcher": "process, basic, joblib, submitit_local or submitit_slurm", "sweeper": "basic or optuna"}

_LOGGING = ("hydra_logging", "job_logging")
_LOGGING_OPTIONS = ("none", "disabled")
_SILENT = (
    {"version": 1, "root": None, "disable_existing_loggers": False},
    {"version": 1, "root": {"level": "ERROR"}, "disable_existing_loggers": True},
)
"""What Hydra's own files of these names hold."""

_NOT_OFFERED = "Gatework does not offer this setting of Hydra's"
_OF_A_JOB = ("job", "overrides", "runtime", "mode")
_JOB_KEPT = ("name", "chdir", "env_set", "env_copy")

_AS_IT_IS: dict[str, tuple[Any, str]] = {
    "run.dir": (".", "a run's folder follows from paths.runs_dir, the recipe and name"),
    "sweep.dir": ("multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}", "the folders of a multirun's jobs are those of its runs"),
    "sweep.subdir": ("${hydra.job.num}", "the folders of a multirun's jobs are those of its runs"),
    "job.name": ("gatework", "a run is named by name=…"),
    "job.chdir": (False, "a run stays in the folder that it was started in"),
    "job.env_set": ({}, "set environment variables in the shell"),
    "job.env_copy": ([], "set environment variables in the shell"),
    "output_subdir": (None, "a run keeps its config in its own folder"),
    "searchpath": ([], "--config-dir DIR names a further folder of configs"),
    "callbacks": ({}, "YAML runs no code"),
    "verbose": (False, "a run has its own log"),
}
"""What is as it is, and what to do instead of changing it. What Hydra itself has there where nobody has set it does no harm."""


Ask = Callable[[], Provenance]
"""Tells who set each key, once somebody wants to know."""


def is_known_target(value: object) -> bool:
    """Whether ``_target_`` may be this: a launcher or sweeper of those above."""
    return isinstance(value, str) and (value in _LAUNCHERS or value in _SWEEPERS)


def file_problems(path: Path, content: Positioned) -> Iterator[Problem]:
    """What a single file says to Hydra that none may say: known before anything is composed with it."""
    for key, node in _targets(content, ""):
        if not is_known_target(node.value):
            origin = Origin(display(path), node.line)
            message = "YAML runs no code: '_target_' names a launcher or sweeper of Hydra's, nothing else"
            yield Problem(key, message, value=render(node.value), origin=origin)
    yield from _default_problems(path, content.children.get("defaults"))
    hydra = content.children.get("hydra")
    if hydra is None:
        return
    if not hydra.is_mapping:
        yield Problem("hydra", "must be a mapping", value=render(hydra.value), origin=Origin(display(path), hydra.line))
    for name, node in hydra.children.items():
        within = _KEYS.get(name)
        wrong = [part for part in node.children if part not in within] if within is not None else []
        if name not in _KEYS:
            yield _not_offered(name, Origin(display(path), node.line))
        yield from (_not_offered(f"{name}.{part}", Origin(display(path), node.children[part].line)) for part in wrong)


def _default_problems(path: Path, defaults: Positioned | None) -> Iterator[Problem]:
    """Entries of a defaults list that choose, or place, what is not offered."""
    for entry in defaults.children.values() if defaults is not None else ():
        words = [(key, part.value) for key, part in entry.children.items()] or [(str(entry.value), None)]
        for key, option in words:
            group, _, package = key.split()[-1].partition("@") if key.strip() else ("", "", "")
            group = group.removeprefix("/")
            named = group.removeprefix("hydra/").partition("/")[0] if group.startswith("hydra/") else None
            placed = package.removeprefix("hydra.").partition(".")[0] if re.match(r"hydra\b", package) else None
            silent = named in _LOGGING and option in (None, *_LOGGING_OPTIONS)
            for name in {named, placed} - {None, *_OFFERED[1:]} if not silent else ():
                yield _not_offered(str(name), Origin(display(path), entry.line))


def override_problem(key: str, origin: Origin) -> Problem | None:
    """What an override says to Hydra that none may say.

    Args:
        key: without its sign, such as ``hydra.mode`` or ``hydra/launcher``.
        origin: the override.
    """
    name, _, part = re.sub(r"^hydra[./]?|@.*", "", key).partition(".")
    offered = _OFFERED if "/" not in key else _OFFERED[1:]
    return None if name in offered else _not_offered(f"{name}.{part}" if part else name, origin)


def check_hydra(config: DictConfig, ask: Ask) -> None:
    """Checks the composed section ``hydra``, however its parts got there.

    Args:
        config: the whole composed config.
        ask: for who set a key.

    Raises:
        SpecError: with everything in it that is not offered.
    """
    problems = [*_section_problems(config.hydra, ask)]
    if problems:
        raise SpecError([replace(one, origin=ask().locate(one.path)) if one.origin is None else one for one in problems])


def check_job(config: DictConfig, whole: DictConfig) -> None:
    """Checks that a job of a multirun has Hydra's settings as the whole multirun has them.

    Args:
        config: composed for one job.
        whole: composed for the multirun.

    Raises:
        SpecError: one of the job's files or overrides changes them.
    """
    ours, theirs = ({key: value for key, value in _plain(one.hydra).items() if key not in _OF_A_JOB} for one in (config, whole))
    changed = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
    kept = [f"job.{key}" for key in _JOB_KEPT if _plain(config.hydra.job).get(key) != _plain(whole.hydra.job).get(key)]
    if changed or kept:
        words = " ".join(map(str, config.hydra.overrides.task))
        message = "Hydra's own settings hold for all jobs of a multirun"
        raise SpecError([Problem(f"hydra.{key}", message, origin=Origin(f"job `{words}`")) for key in [*changed, *kept]])


def _section_problems(hydra: DictConfig, ask: Ask) -> Iterator[Problem]:
    plain = _plain(hydra)
    try:
        _ = hydra.mode
    except OmegaConfBaseException:
        yield Problem("hydra.mode", "value not accepted", value=render(plain["mode"]), expected="RUN or MULTIRUN")
    for key, (wanted, hint) in _AS_IT_IS.items():
        found = _at(plain, key)
        if found != wanted and (isinstance(wanted, (dict, list)) or ask().is_set(f"hydra.{key}")):
            yield Problem(f"hydra.{key}", _NOT_OFFERED, value=render(found), hint=hint)
    for name in _LOGGING:
        if plain[name] not in _SILENT and ask().is_set(f"hydra.{name}"):
            hint = f"hydra/{name}: none is what there is; a run has its own log"
            yield Problem(f"hydra.{name}", _NOT_OFFERED, hint=hint)
    yield from _plugin_problems("launcher", _resolved(hydra.launcher), _LAUNCHERS, ask)
    sweeper = _resolved(hydra.sweeper)
    yield from _plugin_problems("sweeper", sweeper, _SWEEPERS, ask)
    if isinstance(sweeper, dict):
        yield from _params_problems(sweeper.get("params"))


def _plugin_problems(kind: str, found: Any, known: Mapping[str, tuple[str, ...] | None], ask: Ask) -> Iterator[Problem]:
    where = f"hydra.{kind}"
    target = found.get("_target_") if isinstance(found, dict) else None
    if not isinstance(target, str) or target not in known:
        expected = f"hydra/{kind}={_NAMES[kind]}"
        yield Problem(f"{where}._target_", f"Gatework does not know this {kind}", value=render(target), expected=expected)
        return
    allowed = known[target]
    if allowed is None:
        yield from _search_problems(found)
        return
    for key, value in found.items():
        place = f"{where}.{key}"
        if key == "_target_":
            continue
        if key not in allowed:
            expected = choices(list(allowed)) if allowed else "nothing"
            yield Problem(place, f"unknown key '{key}'", expected=expected, suggestion=nearest(str(key), allowed))
        elif key in _BY_HAND:
            yield from _from_files(place, value, ask)
        elif key in _FIXED and ask().history(place):
            yield Problem(place, "a multirun sets this itself", value=render(value))
        elif place in _COUNTS and target in _OWN and not _is_count(value):
            yield Problem(place, "value not accepted", value=render(value), expected="a whole number above 0")
        elif key != "params" and not _is_plain(value):
            yield Problem(place, "must be a single value on one line", value=render(value))


def _search_problems(found: Mapping[str, Any]) -> Iterator[Problem]:
    try:
        validate_search({key: value for key, value in found.items() if key not in ("_target_", "params")})
    except SpecError as error:
        yield from error.problems


def _from_files(place: str, value: Any, ask: Ask) -> Iterator[Problem]:
    """Parts of a setting that a file has set, and not the command line."""
    leaves = {f"{place}.{key}": part for key, part in value.items()} if isinstance(value, dict) and value else {place: value}
    for leaf, part in leaves.items():
        settings = ask().history(leaf)
        if settings and settings[-1].layer is not None:
            message = "YAML runs no code: this belongs on the command line, where it is the user's own"
            yield Problem(leaf, message, value=render(part), origin=settings[-1].origin)


def _params_problems(params: Any) -> Iterator[Problem]:
    for key, value in params.items() if isinstance(params, dict) else ():
        place = f"hydra.sweeper.params.{key}"
        if re.match(r"[+~\s]*hydra\b", str(key)):
            yield Problem(place, "Hydra's own settings hold for all jobs of a multirun", value=render(value))
        elif isinstance(value, (dict, list)):
            expected = "text in Hydra's grammar of sweeps, such as choice(a,b)"
            yield Problem(place, "must be a text", value=render(value), expected=expected)


def _not_offered(name: str, origin: Origin) -> Problem:
    hint = _AS_IT_IS[name][1] if name in _AS_IT_IS else None
    return Problem(
        f"hydra.{name}" if name else "hydra",
        _NOT_OFFERED,
        origin=origin,
        expected=choices([f"hydra.{key}" for key in _OFFERED]),
        hint=hint,
    )


def _targets(node: Positioned, path: str) -> Iterator[tuple[str, Positioned]]:
    for name, child in node.children.items():
        below = f"{path}.{name}" if path else name
        if name == "_target_":
            yield below, child
        yield from _targets(child, below)


def _resolved(node: Any) -> Any:
    """The node with its interpolations resolved, as Hydra would; a part that cannot be is None."""
    if not OmegaConf.is_config(node):
        return node
    try:
        return OmegaConf.to_container(node, resolve=True)
    except (OmegaConfBaseException, ValueError, RecursionError):
        return None


def _plain(node: DictConfig) -> dict[str, Any]:
    plain: Any = OmegaConf.to_container(node, resolve=False)
    return dict(plain)


def _at(plain: Any, key: str) -> Any:
    for part in key.split("."):
        plain = plain.get(part) if isinstance(plain, dict) else None
    return plain


def _is_count(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return value.isprintable()
    return value is None or isinstance(value, (bool, int, float))
