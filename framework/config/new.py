"""An own recipe, model and data set, begun as copies of a recipe's, in the user's folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from framework.config.compose import Composed, compose
from framework.config.location import SCHEMA_FOLDER, SearchPath, display, own_folder, shipped_configs
from framework.config.publication import for_other_data
from framework.config.schema import WHOLE, schema_header, write_schemas
from framework.config.yaml_edit import append_default, insert_before, replace_entry, replace_scalars
from framework.config.yaml_file import read_text, read_yaml
from framework.errors import InputError, nearest
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
        commands: what checks and starts it, as it can be typed.
        missing: what has to be said before: how the command line names files of one's own, where none were given; else empty.
    """

    written: list[Path]
    commands: list[str]
    missing: str


class _Beginning(NamedTuple):
    """What the files of a new recipe are made with."""

    name: str
    commands: list[str]
    files: Mapping[str, Any]
    composed: Composed
    training: Mapping[tuple[str, ...], str]
    model: Mapping[tuple[str, ...], str]


def new_experiment(name: str, source: str, into: Path | None = None, files: Sequence[str] = (), command: str = "gatework") -> Begun:
    """Writes ``recipe/NAME.yaml``, ``model/NAME.yaml`` and ``data/NAME.yaml``, wired to each other, with comments.

    Of data that is fetched or made, such as a publication's, only the kind is taken: the new file is for the user's own. Of a shipped
    recipe and its model, what holds for that data alone is left out.

    Args:
        name: of the new recipe.
        source: recipe to copy, a shipped one or one of the user's.
        into: the folder of configs, made if it is missing; :func:`~framework.config.location.own_folder` when not given.
        files: where the user's own data lies, such as ``data.path=my.txt``.
        command: how the user types ``gatework``.

    Returns:
        What was written, and how to go on.

    Raises:
        InputError: the name cannot be one, or is taken; the folder is Gatework's own; or ``files`` says something else.
        SpecError: there is no such recipe, or it cannot be composed.
    """
    _check_name(name)
    found = own_folder()
    into = found if into is None else into
    _check_place(into, found)
    composed = compose([f"recipe={source}"], [into] if into.is_dir() else [])
    choices = {group: str(composed.choices.get(group)) for group in ("recipe", *_OWN)}
    choices["data"] = _data_to_begin_with(choices["data"], composed.search)
    sources = _sources(choices, composed.search)
    targets = {group: into / group / f"{name}.yaml" for group in sources}
    _check_free(name, targets, composed.search)
    where = "" if into.resolve() == found.resolve() else f" --config-dir {shlex.quote(str(into))}"
    commands = [f"{command} {verb}{where} recipe={name}" for verb in ("check", "train")]
    spec = DATA_KINDS.get(_kind(composed), DataSpec)
    training, model = _training_settings(sources["recipe"]), _model_settings(sources)
    beginning = _Beginning(name, commands, _given(files, spec), composed, training, model)
    texts = {group: _copy(group, path, choices, beginning) for group, path in sources.items()}
    for group, text in texts.items():
        replace_text(targets[group], text)
    write_schemas(into / SCHEMA_FOLDER)
    needed = _needs_files(sources, spec) and not beginning.files
    return Begun([*targets.values(), into / SCHEMA_FOLDER], commands, spec.own if needed else "")


def _kind(composed: Composed) -> str:
    """Of the data."""
    return str((composed.mapping.get("data") or {}).get("kind"))


def _check_place(into: Path, found: Path) -> None:
    """Gatework's own configs stay what they are: in a checkout the tests hold them, elsewhere the next installation replaces them."""
    if into.resolve().is_relative_to(shipped_configs()):
        raise InputError(f"{display(into)} belongs to Gatework itself; expected a folder of your own, such as --into {found}")


def _given(words: Sequence[str], spec: type[DataSpec]) -> dict[str, Any]:
    """The user's own files by the key of the data that names them."""
    keys = [key for key in spec.sources if key != "corpus"]
    given: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        key = name.removeprefix("data.")
        if not equals or key not in keys or name == key:
            close = nearest(key, keys)
            expected = ", ".join(f"data.{key}=…" for key in keys) or "nothing, as this kind of data reads no files"
            guess = f"; did you mean data.{close}?" if close else "; other settings are changed in the files that are written"
            raise InputError(f"'{word}' names no file of the data; expected {expected}{guess}")
        given[key] = _files(value)
    return given


def _files(value: str) -> str | list[str]:
    """One place, or a list of them in brackets."""
    if value.startswith("[") and value.endswith("]"):
        return [part.strip() for part in value[1:-1].split(",")]
    return value


def _needs_files(sources: Mapping[str, Path], spec: type[DataSpec]) -> bool:
    """Whether the new data file does not say yet what is to be read."""
    content = read_yaml(sources["data"]) if "data" in sources else None
    return content is not None and bool(spec.sources) and not any(content.get(key) for key in (*spec.sources, "defaults"))


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


def _copy(group: str, path: Path, choices: Mapping[str, str], beginning: _Beginning) -> str:
    text = read_text(path)
    shipped = path.is_relative_to(shipped_configs())
    if group == "recipe":
        own = [own for own in _OWN if beginning.composed.choices.get(own)]
        text = _rewired(text, path, beginning.name, own)
        for key in beginning.model:
            text = replace_entry(text, ("model", *key), None)
    if group == "model":
        text = replace_scalars(text, beginning.model)
    if group == "data":
        text = replace_scalars(_with_files(_with_path(text, path), beginning.files), beginning.training)
    header, body = _parts(text)
    published = shipped and group != "data"
    told = f"The {group} of {beginning.name}, begun as a copy of {group}={choices[group]}"
    kept = _header(header, group, told, beginning.commands, with_prose=not published)
    return kept + (for_other_data(body, group) if published else body)


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


def _training_settings(recipe: Path) -> dict[tuple[str, ...], str]:
    """Values that a shipped recipe, whose copy says nothing of its data, gives settings of the data: they are part of how it trains."""
    if not recipe.is_relative_to(shipped_configs()):
        return {}
    settings = read_yaml(recipe).get("data") or {}
    return {(key,): _in_yaml(value) for key, value in settings.items() if not isinstance(value, Mapping)}


def _model_settings(sources: Mapping[str, Path]) -> dict[tuple[str, ...], str]:
    """Values that a shipped recipe gives settings which its model's file has: they go into the copy of that file.

    A recipe's value would win over the one that its user finds, and changes, there.
    """
    if "model" not in sources or not all(sources[group].is_relative_to(shipped_configs()) for group in ("recipe", "model")):
        return {}
    model = read_yaml(sources["model"])
    return {path: _in_yaml(value) for path, value in _leaves(read_yaml(sources["recipe"]).get("model") or {}) if _has(model, path)}


def _leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _leaves(value, (*path, str(key)))
    else:
        yield path, node


def _has(node: Any, path: tuple[str, ...]) -> bool:
    """Whether a value, and no section, stands at a path."""
    for key in path:
        if not isinstance(node, Mapping) or key not in node:
            return False
        node = node[key]
    return not isinstance(node, Mapping)


def _in_yaml(value: Any) -> str:
    """A value on one line."""
    written: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    return written.removesuffix("...\n").strip()


def _with_files(text: str, files: Mapping[str, Any]) -> str:
    """The data's text with the user's own files in it."""
    written = {key: _in_yaml(value) for key, value in files.items()}
    there = yaml.safe_load(text)
    text = replace_scalars(text, {(key,): value for key, value in written.items() if key in there})
    for key, value in written.items():
        if key not in there:
            text = insert_before(text, None, f"{key}: {value}")
    return text


def _parts(text: str) -> tuple[list[str], str]:
    """The lines of a file's header, and what follows it."""
    lines = text.splitlines()
    body = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[:body], "\n".join(lines[body:]) + "\n"


def _header(old: list[str], group: str, told: str, commands: Iterable[str], with_prose: bool) -> str:
    """A new header: package, schema, what the file is, how to launch it; the old header's prose is kept where it is of use."""
    packages = [line for line in old if re.match(r"#\s*@package\b", line)]
    whole = group == "recipe" or any(re.match(r"#\s*@package\s+_global_\b", line) for line in old)
    replaced = re.compile(r"#\s*(gatework \w|.*\b(check|train)( .*)? recipe=|The \w+ of \S+, begun as a copy of )|.*\$schema=")
    prose = [line for line in old if line not in packages and not replaced.match(line)] if with_prose else []
    while prose and prose[-1].strip() == "#":
        prose.pop()
    while prose and prose[0].strip() == "#":
        prose.pop(0)
    header = [
        *packages,
        schema_header(WHOLE if whole else group),
        "#",
        f"# {told}:" if prose else f"# {told}.",
        *prose,
        "#",
        *(f"#   {command}" for command in commands),
    ]
    return "\n".join([*header, ""])
