"""What Hydra, OmegaConf and the YAML reader complain about, in this project's words and with this project's places."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf.errors import GrammarParseError, OmegaConfBaseException

from framework.config.interpolation import is_grammatical, ungrammatical
from framework.config.interpolation_limit import Endless
from framework.config.layers import ConfigFile, check_defaults, default_entries, provenance_of, reachable_files
from framework.config.location import PRIMARY, SearchPath, display
from framework.config.overrides import Given, for_hydra, no_option, one_of
from framework.config.yaml_file import read_positions
from framework.errors import GateworkError, Origin, Problem, SpecError, nearest


@contextmanager
def reworded(search: SearchPath, given: Sequence[Given]) -> Iterator[None]:
    """Turns every error of the composition into a :class:`SpecError` that says what, where, and what instead.

    What would not end is found before it begins.

    Args:
        search: the folders that are searched.
        given: the overrides of this composition.
    """
    try:
        check_defaults(search, given)
        yield
    except GateworkError:
        raise
    except (RecursionError, HydraException, OmegaConfBaseException, ValueError, TypeError, LookupError, AssertionError, OSError) as error:
        raise SpecError(_problems(error, search, given)) from error
    except Endless as error:
        origin = provenance_of(GlobalHydra.instance().config_loader(), given, search).locate(error.key)
        problem = Problem(error.key, "the interpolations stand for more than a config can hold", origin=origin, expected="fewer of them")
        raise SpecError([problem]) from error


def _problems(error: Exception, search: SearchPath, given: Sequence[Given]) -> list[Problem]:
    if GrammarParseError in (type(error), type(error.__cause__)):
        bad = [one for one in given if isinstance(one.value, str) and not is_grammatical(one.value)]
        if bad:
            return [ungrammatical(one.key, one.value, one.origin) for one in bad]
    files = reachable_files(search, given)
    if isinstance(error, RecursionError):
        return [_circle(files)]
    if isinstance(error, MissingConfigException):
        return [_missing(error, search, given, files)]
    return [_other(error, search, given, files)]


def foreign_primary(search: SearchPath) -> Problem | None:
    """The problem of a ``config.yaml`` in the user's folder that knows nothing of recipes; None where there is no such file."""
    path = search.find(PRIMARY)
    if path is None or path.parent not in search.own:
        return None
    if any(entry.startswith("recipe/") for entry, _, _ in default_entries(PRIMARY, path)):
        return None
    return Problem(
        "",
        f"{display(path)} takes the place of Gatework's own {PRIMARY}.yaml, but its defaults have no recipe",
        origin=Origin(display(path), 1),
        hint=f"rename it if it belongs to something else, or begin with a copy of {display(search.folders[-1] / path.name)}",
    )


def _circle(files: Sequence[ConfigFile]) -> Problem:
    by_name = {file.name: file for file in files}

    def round_trip(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        entries = by_name[name].entries if name in by_name else ()
        return next((found for entry, _, _ in entries if (found := round_trip(entry, [*trail, name]))), [])

    for file in files:
        trail = round_trip(file.name, [])
        if trail:
            origin = _entry_origin(trail[1], [by_name[trail[0]]])
            return Problem("", "the defaults lists go round in a circle: " + " -> ".join(trail), origin=origin)
    return Problem("", "the defaults lists or interpolations go round in a circle")


def _missing(error: MissingConfigException, search: SearchPath, given: Sequence[Given], files: Sequence[ConfigFile]) -> Problem:
    name = (error.missing_cfg_file or "").removesuffix(".yaml")
    group, _, option = name.partition("/") if search.is_group(name.partition("/")[0]) else name.rpartition("/")
    meant = next((one.key for one in given if "/" in one.key and name.startswith(f"{one.key}/")), None)
    if meant is not None:
        group, option = meant, name.removeprefix(f"{meant}/")
    by_hand = [one for one in reversed(given) if one.kind != "value" and one.key == group]
    exactly = next((one.origin for one in by_hand if one.value == option), None) or _entry_origin(name, files)
    # An option that is an interpolation is not called so where it was written.
    origin = exactly or next((one.origin for one in by_hand), None) or _entry_origin(f"{group}/", files)
    if group.startswith("hydra/"):
        return no_option(group, option, list(error.options or ()), origin)
    if search.is_group(group):
        return no_option(group, option, search.options(group), origin)
    groups = search.groups()
    return Problem("", f"no config group '{group}'", origin=origin, expected=one_of(groups), suggestion=nearest(group, groups))


def _entry_origin(name: str, files: Sequence[ConfigFile]) -> Origin | None:
    """The line of a defaults list that asks for a config, or for any option of a group (``model/``)."""
    for file in files:
        for entry, line, _ in file.entries:
            if entry == name or (name.endswith("/") and entry.startswith(name)):
                return Origin(display(file.path), line)
    return None


def _other(error: Exception, search: SearchPath, given: Sequence[Given], files: Sequence[ConfigFile]) -> Problem:
    message = str(error).strip() or str(error.__cause__ or "").strip() or type(error).__name__
    path = _named_file(message, search)
    origin = _override_origin(message, given) or (Origin(display(path), _line(message, path)) if path else None)
    unmatched = re.search(r"(?:Could not override|No earlier Group Default for) '([^']+)'", message)
    if unmatched:
        return _unmatched(unmatched[1], path, origin, search, files)
    required = re.match(r"You must specify '([\w/]+)'", message)
    if required:  # ??? in a defaults list
        group = required[1]
        origin = _entry_origin(f"{group}/", files)
        return Problem(group, "an option is required", value="???", origin=origin, expected=one_of(search.options(group)))
    choice = re.search(r"'override ([\w/]+): ([\w/-]+)'", message)
    if choice:
        origin = _entry_origin(f"{choice[1]}/{choice[2]}", files) or origin
    if origin is None:
        origin = _blamed(given, message)
    words = (line.strip() for line in message.splitlines())
    told = " ".join(word for word in words if word and not word.startswith(("See http", "full_key:", "object_type")))
    return Problem("", f"the config cannot be composed: {told}", origin=origin)


def _named_file(message: str, search: SearchPath) -> Path | None:
    """The config that Hydra's message speaks of."""
    for name in re.findall(r"[Ii]n '?([\w./-]+)'?", message):
        path = search.find(name)
        if path is not None:
            return path
    return None


def _line(message: str, path: Path) -> int:
    """The line of the key or the entry that a message speaks of; the first where it cannot be told."""
    content = read_positions(path)
    parts = found[1].split(".") if (found := re.search(r"full_key: (\S+)", message)) else []
    for start in range(len(parts)):
        here, line = content, None
        for part in parts[start:]:
            if part not in here.children:
                break
            here = here.children[part]
            line = here.line
        if line is not None:
            return line
    quoted = {name.split()[0].strip(":") for name in re.findall(r"'([^']+)'", message) if name.strip()}
    entries = content.children.get("defaults")
    for entry in entries.children.values() if entries else ():
        if any(key.split()[-1].lstrip("/") in quoted for key in entry.children if key.strip()):
            return entry.line or 1
    return (entries.line if entries else None) or 1


def _blamed(given: Sequence[Given], message: str) -> Origin | None:
    """The override without which the config can be composed, or that the message names; None where there is no such one."""
    if _composes(given):
        return None  # what has failed came later
    for one in given:
        if _composes([other for other in given if other is not one]):
            return one.origin
    named = (one.origin for one in given if re.search(rf"(?<![\w./]){re.escape(one.key)}(?![\w/])", message))
    return next(named, None)


def _composes(given: Sequence[Given]) -> bool:
    try:
        GlobalHydra.instance().config_loader().load_configuration(PRIMARY, for_hydra(given), RunMode.MULTIRUN, from_shell=False)
    except Exception:
        return False
    return True


def _override_origin(message: str, given: Sequence[Given]) -> Origin | None:
    for one in given:
        if one.for_hydra in message or one.text in message or (one.kind == "delete" and f"'{one.key}" in message):
            return one.origin
    return None


def _unmatched(name: str, path: Path | None, origin: Origin | None, search: SearchPath, files: Sequence[ConfigFile]) -> Problem:
    if name.startswith("hydra."):
        return Problem(name, f"Hydra has no setting '{name}'", origin=origin, hint="gatework train … --cfg hydra shows them")
    groups = search.groups()
    group = name.split("@")[0]
    if path is None and group not in groups:
        return Problem(name, f"the config has no key '{name}' yet", origin=origin, suggestion=f"++{name}=…")
    problem = foreign_primary(search)
    if problem is not None:
        return problem
    if path is not None:
        origin = _entry_origin(f"{name}/", [file for file in files if file.path == path]) or origin
    return Problem(
        name,
        f"the defaults list of this config has no entry '{name}' whose choice could be changed",
        origin=origin,
        expected=one_of(groups),
        suggestion=nearest(group, groups) if name not in groups else f"+{name}=…",
    )
