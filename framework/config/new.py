"""An own recipe, model and data set, begun as copies of a recipe's, in the user's folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from framework.config.compose import Composed, compose
from framework.config.location import SCHEMA_FOLDER, SearchPath, display
from framework.config.schema import WHOLE, schema_header, write_schemas
from framework.config.yaml_edit import append_default, insert_before, replace_scalars
from framework.config.yaml_file import read_text, read_yaml
from framework.errors import InputError
from framework.files import replace_text
from framework.spec.data import DataSpec
from framework.spec.experiment import LAST
from framework.spec.kinds import DATA_KINDS

_NAME = re.compile(r"[A-Za-z][\w-]{0,99}", re.ASCII)
_WORDS_OF_YAML = ("null", "true", "false", "yes", "no", "on", "off", "nan", "inf")
_OWN = ("model", "data")
"""Groups of which an own recipe gets its own file."""
_NOT_OWN = ("download", "downloads", "provided", "corpus")
"""What data has that is nobody's own."""


class Begun(NamedTuple):
    """What :func:`new_experiment` did.

    Attributes:
        written: files, and the folder of schemas that their headers name.
        commands: what checks and starts it with files of one's own.
    """

    written: list[Path]
    commands: list[str]


def new_experiment(name: str, source: str, into: Path) -> Begun:
    """Writes ``recipe/NAME.yaml``, ``model/NAME.yaml`` and ``data/NAME.yaml``, comments kept and wired to each other.

    Of data that is fetched or made, such as a publication's, only the kind is taken: the new file is for the user's own.

    Args:
        name: of the new recipe.
        source: recipe to copy, a shipped one or one of the user's.
        into: the folder of configs, such as ``./configs``; made if it is missing.

    Returns:
        What was written, and how to go on.

    Raises:
        InputError: the name cannot be one, or is taken.
        SpecError: there is no such recipe, or it cannot be composed.
    """
    _check_name(name)
    composed = compose([f"recipe={source}"], [into] if into.is_dir() else [])
    choices = {group: str(composed.choices.get(group)) for group in ("recipe", *_OWN)}
    choices["data"] = _data_to_begin_with(choices["data"], composed.search)
    sources = _sources(choices, composed.search)
    targets = {group: into / group / f"{name}.yaml" for group in sources}
    _check_free(name, targets, composed.search)
    texts = {group: _copy(group, path, name, choices, composed) for group, path in sources.items()}
    for group, text in texts.items():
        replace_text(targets[group], text)
    write_schemas(into / SCHEMA_FOLDER)
    return Begun([*targets.values(), into / SCHEMA_FOLDER], _launch(name, _kind(composed)))


def _kind(composed: Composed) -> str:
    """Of the data."""
    return str((composed.mapping.get("data") or {}).get("kind"))


def _launch(name: str, kind: str) -> list[str]:
    """What starts a new recipe with files of one's own."""
    return [f"gatework {verb} recipe={name} {DATA_KINDS.get(kind, DataSpec).own}" for verb in ("check", "train")]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name.lower() in (*_WORDS_OF_YAML, LAST):
        raise InputError(f"'{name}' cannot be a recipe's name; begin with a letter, then letters, digits, _ and -, 100 at most")


def _check_free(name: str, targets: Mapping[str, Path], search: SearchPath) -> None:
    there = [path for path in targets.values() if path.exists()]
    shadowed = [path for group in targets if (path := search.find(f"{group}/{name}"))]
    taken = dict.fromkeys(display(path) for path in [*there, *shadowed])
    if taken:
        raise InputError(f"the name '{name}' is taken by {', '.join(taken)}; choose another one, or remove what is there")


def _sources(choices: Mapping[str, str], search: SearchPath) -> dict[str, Path]:
    """The files to copy, by group; a recipe that writes its model or data out itself has none of that group."""
    found = {group: search.find(f"{group}/{choice}") for group, choice in choices.items()}
    return {group: path for group, path in found.items() if path is not None}


def _data_to_begin_with(choice: str, search: SearchPath) -> str:
    """The choice of data for files of one's own, called like its kind, where the recipe's is fetched or made; else the recipe's."""
    path = search.find(f"data/{choice}")
    while path is not None:
        content = read_yaml(path)
        if any(content.get(key) for key in _NOT_OWN) and search.find(f"data/{content.get('kind')}"):
            return str(content["kind"])
        base = next((one for one in content.get("defaults") or () if isinstance(one, str) and one != "_self_"), None)
        path = None if base is None else search.find(f"data/{base}")
    return choice


def _copy(group: str, path: Path, name: str, choices: Mapping[str, str], composed: Composed) -> str:
    text = read_text(path)
    choice = f"{group}={choices[group]}"
    if group == "recipe":
        text = _rewired(text, path, name, [own for own in _OWN if composed.choices.get(own)])
    if group == "data":
        text = _with_path(text, path)
    return _with_header(text, group, name, choice, _kind(composed))


def _rewired(text: str, path: Path, name: str, groups: Iterable[str]) -> str:
    """The recipe's text with its own name, and its own model and data chosen."""
    content = read_yaml(path)
    missing = set(groups)
    changes: dict[tuple[str, ...], str] = {}
    for index, entry in enumerate(content.get("defaults") or ()):
        for key in entry if isinstance(entry, Mapping) else ():
            group = key.split()[-1].lstrip("/")
            if group in missing:
                changes["defaults", str(index), key] = name
                missing.discard(group)
    if "recipe" in content:
        changes["recipe",] = name
    text = replace_scalars(text, changes)
    for group in sorted(missing):
        text = append_default(text, f"override /{group}: {name}")
    return text if "recipe" in content else f"{text.rstrip()}\n\nrecipe: {name}\n"


def _with_path(text: str, path: Path) -> str:
    """The data's text with a line for the user's own files, where its kind can read them."""
    content = read_yaml(path)
    spec = DATA_KINDS.get(str(content.get("kind")))
    if spec is None or "path" not in spec.model_fields or "path" in content:
        return text
    keys = list(content)
    after = keys[keys.index("kind") + 1] if keys[-1] != "kind" else None
    return insert_before(
        text, after, "path: null                # your own text in place of the one named here: a file, folder, glob, or a list"
    )


def _with_header(text: str, group: str, name: str, choice: str, kind: str) -> str:
    """The text with a new header: package, schema, what it is, how to launch it; the old header's prose is kept."""
    lines = text.splitlines()
    body = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    old = lines[:body]
    packages = [line for line in old if re.match(r"#\s*@package\b", line)]
    whole = group == "recipe" or any(re.match(r"#\s*@package\s+_global_\b", line) for line in old)
    told = f"# The {group} of {name}, begun as a copy of {choice}"
    replaced = re.compile(r"#\s*(gatework \w|The \w+ of \S+, begun as a copy of )|.*\$schema=")
    prose = [line for line in old if line not in packages and not replaced.match(line)]
    while prose and prose[-1].strip() == "#":
        prose.pop()
    while prose and prose[0].strip() == "#":
        prose.pop(0)
    header = [
        *packages,
        schema_header(WHOLE if whole else group),
        "#",
        f"{told}:" if prose else f"{told}.",
        *prose,
        "#",
        *(f"#   {command}" for command in _launch(name, kind)),
    ]
    return "\n".join([*header, *lines[body:]]) + "\n"
