"""The YAML files of a composition, in order, and which choice brought each of them in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode

from framework.config.location import PRIMARY, SearchPath, display
from framework.config.overrides import Given, for_hydra, options_of
from framework.config.provenance import Layer, Provenance
from framework.config.yaml_file import read_positions
from framework.config.yaml_text import Positioned
from framework.errors import Origin, Problem, SpecError

MAX_CONFIGS = 200
"""Configs of a composition; the shipped recipes have about fifteen."""


def provenance_of(loader: ConfigLoader, given: Sequence[Given], search: SearchPath) -> Provenance:
    """The history of every key of a composition.

    Args:
        loader: Hydra's, which knows the order of the files.
        given: the overrides.
        search: the folders that were searched.
    """
    provenance = Provenance()
    defaults = loader.compute_defaults_list(PRIMARY, for_hydra(given), RunMode.MULTIRUN).defaults
    layers = layers_of(defaults, given, search)
    choosers = _choosers([(layer.name, layer.path) for layer in layers], given)
    for name in (default.config_path or "" for default in defaults):
        if name.startswith("hydra/") and name in choosers:  # most of these are Hydra's own, of which nobody need know the lines
            provenance.add_value(name.rpartition("/")[0].replace("/", "."), {}, choosers[name])
    for layer in layers:
        provenance.add_file(layer)
    for one in given:
        if one.kind == "delete":
            provenance.remove(one.key)
        elif one.kind == "value" or (one.kind == "hydra" and "/" not in one.key and not one.parsed.is_delete()):
            provenance.add_value(one.key, one.value, one.origin, one.written)
    return provenance


def layers_of(defaults: Iterable[Any], given: Sequence[Given], search: SearchPath) -> list[Layer]:
    """The files behind Hydra's final defaults list; its own configs are left out."""
    found: list[tuple[str, str, Path]] = []
    for default in defaults:
        name = default.config_path or ""
        path = search.find(name)
        if path is not None:
            found.append((name, default.package or "", path))
    choosers = _choosers([(name, path) for name, _, path in found], given)
    layers = []
    for name, package, path in found:
        group, _, option = name.partition("/") if search.is_group(name.partition("/")[0]) else name.rpartition("/")
        choice = f"{group}={option}" if group else None
        layers.append(Layer(name, path, package, choice, choosers.get(name)))
    return layers


def _choosers(files: Sequence[tuple[str, Path]], given: Sequence[Given]) -> dict[str, Origin]:
    """Where each config was chosen: by an override, else by a file that overrides a default, else by a default."""
    chosen: dict[str, Origin] = {}
    overriding: dict[str, Origin] = {}
    for name, path in dict.fromkeys(files):
        for entry, line, overrides in default_entries(name, path):
            (overriding if overrides else chosen)[entry] = Origin(display(path), line)
    by_hand = {f"{one.key}/{one.value}": one.origin for one in given if one.kind == "choice" or "/" in one.key}
    return {**chosen, **overriding, **by_hand}


@dataclass(frozen=True)
class ConfigFile:
    """A config file that a composition may read.

    Attributes:
        name: as defaults lists call it, such as ``model/text_generation``.
        path: the file.
        content: what stands in it; None when it cannot be read.
        entries: its own defaults list, as :func:`default_entries` gives it.
    """

    name: str
    path: Path
    content: Positioned | None
    entries: Sequence[tuple[str, int, bool]]


def reachable_files(search: SearchPath, given: Sequence[Given]) -> list[ConfigFile]:
    """The files that the overrides and the defaults lists lead to, found without Hydra, for when Hydra has failed."""
    waiting = _chosen(given)
    found: dict[str, ConfigFile] = {}
    while waiting:
        name = waiting.pop(0)
        path = search.find(name)
        if path is None or name in found:
            continue
        try:
            found[name] = ConfigFile(name, path, read_positions(path), list(default_entries(name, path)))
        except SpecError:
            found[name] = ConfigFile(name, path, None, ())
        waiting.extend(entry for entry, _, _ in found[name].entries)
    return list(found.values())


def _chosen(given: Sequence[Given]) -> list[str]:
    """The configs that a composition begins with."""
    return [*(f"{one.key}/{option}" for one in given if "/" in one.key or one.kind == "choice" for option in options_of(one)), PRIMARY]


def check_defaults(search: SearchPath, given: Sequence[Given]) -> None:
    """Counts the configs that a composition would be made of, each as often as it is brought in, before Hydra brings them in.

    Raises:
        SpecError: they are more than any experiment needs, as where each file asks for ten of the next.
    """
    files = {file.name: file for file in reachable_files(search, given)}
    sizes: dict[str, int] = {}

    def size(name: str, around: frozenset[str]) -> int:
        if name in around or name not in files:  # a circle, or nothing: Hydra tells of both
            return 1
        if name not in sizes:
            sizes[name] = min(1 + sum(size(entry, around | {name}) for entry, _, _ in files[name].entries), MAX_CONFIGS + 1)
        return sizes[name]

    for name in _chosen(given):
        if size(name, frozenset()) <= MAX_CONFIGS:
            continue
        worst = files[name]
        while inner := next((files[entry] for entry, _, _ in worst.entries if sizes.get(entry, 0) > MAX_CONFIGS), None):
            worst = inner
        line = next((line for _, line, _ in worst.entries), 1)
        message = f"the defaults lists bring in more than {MAX_CONFIGS} configs, each counted as often as it is asked for"
        raise SpecError([Problem("", message, origin=Origin(display(worst.path), line), expected=f"at most {MAX_CONFIGS}")])


def default_entries(name: str, path: Path) -> Iterator[tuple[str, int, bool]]:
    """The entries of a file's own defaults list.

    Yields:
        The config chosen, such as ``model/text_generation``, its line, and whether it overrides another choice.
    """
    folder = "" if name == PRIMARY else name.rpartition("/")[0]
    entries = read_positions(path).children.get("defaults")
    for entry in entries.children.values() if entries else ():
        if not entry.is_mapping and isinstance(entry.value, str) and entry.value != "_self_":
            yield _absolute(re.sub(r"@.*", "", entry.value), folder), entry.line or 1, False
        for key, option in entry.children.items():
            words = key.split() or [""]
            options = option.value if isinstance(option.value, list) else [option.value]
            group = _absolute(re.sub(r"@.*", "", words[-1]), folder)
            for one in options:
                yield f"{group}/{one}", option.line or entry.line or 1, "override" in words


def _absolute(name: str, folder: str) -> str:
    if name.startswith("/"):
        return name[1:]
    return f"{folder}/{name}" if folder else name
