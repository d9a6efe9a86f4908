"""Config files as Hydra reads them: with the fast YAML reader, each file once, and every fault told with its line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf
from omegaconf.errors import GrammarParseError

from framework.config.hydra_section import file_problems
from framework.config.interpolation import interpolation_problems
from framework.config.location import SCHEMA_FOLDER, display
from framework.config.yaml_file import read_positions, read_text
from framework.config.yaml_guard import MAX_DEPTH
from framework.config.yaml_text import Positioned
from framework.errors import Origin, Problem, SpecError
from framework.spec.problems import KEY, is_key, render

SCHEME = "gatework"

_PACKAGE = re.compile(rf"[\w-]+(\.[\w-]+){{0,{MAX_DEPTH - 1}}}")


class FolderSource(ConfigSource):
    """A folder of configs; Hydra's own source of ``file://`` with better manners.

    Args:
        provider: who put the folder on the search path.
        path: ``gatework://`` and the absolute folder.
    """

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider=provider, path=path)

    @staticmethod
    def scheme() -> str:
        """The part of a search path before ``://``."""
        return SCHEME

    def load_config(self, config_path: str) -> ConfigResult:
        """Reads one config.

        Raises:
            ConfigLoadError: there is no such file.
            SpecError: the file is no YAML, or not what a config can be.
        """
        path = self._file(config_path)
        if not os.path.isfile(path):
            raise ConfigLoadError(f"Config not found : {path}")
        content, package = _content(path), _package(path, read_text(path))
        try:
            config = OmegaConf.create(content)
        except GrammarParseError as error:
            key = package if package is not None else str(Path(config_path).parent).replace("/", ".")
            problems = interpolation_problems(path, read_positions(path), "" if key in ("_global_", ".") else key)
            raise SpecError(problems) from error
        return ConfigResult(provider=self.provider, path=f"{SCHEME}://{self.path}", config=config, header={"package": package})

    def available(self) -> bool:
        """Whether the folder exists."""
        return os.path.isdir(self.path)

    def is_group(self, config_path: str) -> bool:
        """Whether there is such a folder of configs."""
        return config_path != SCHEMA_FOLDER and os.path.isdir(Path(self.path) / config_path)

    def is_config(self, config_path: str) -> bool:
        """Whether there is such a file."""
        return os.path.isfile(self._file(config_path))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Names of the configs, the groups, or both, in a folder."""
        found = []
        for path in (Path(self.path) / config_path).iterdir():
            if path.is_dir() and results_filter != ObjectType.CONFIG and path.name not in (SCHEMA_FOLDER, "__pycache__"):
                found.append(path.name)
            if path.suffix == ".yaml" and results_filter != ObjectType.GROUP:
                found.append(path.stem)
        return sorted(found)

    def _file(self, config_path: str) -> Path:
        return Path(self.path) / f"{config_path.removesuffix('.yaml')}.yaml"


def _content(path: Path) -> dict[str, Any]:
    """What stands in a config file.

    Raises:
        SpecError: it is no mapping, its defaults are no list, or it says to Hydra what is not offered.
    """
    found = read_positions(path)
    if not found.is_mapping:
        raise SpecError([Problem("", "the file holds no mapping", origin=Origin(display(path), 1), expected="key: value, one a line")])
    defaults = found.children.get("defaults")
    if defaults is not None and not isinstance(defaults.value, list):
        origin = Origin(display(path), defaults.line)
        raise SpecError([Problem("defaults", "must be a list", value=render(defaults.value), origin=origin)])
    problems = [*_key_problems(path, found), *file_problems(path, found)]
    if problems:
        raise SpecError(problems)
    content: dict[str, Any] = found.value
    return content


def _key_problems(path: Path, node: Positioned) -> Iterator[Problem]:
    """Keys that no value can be found by."""
    for name, child in node.children.items():
        if not is_key(name):
            yield Problem("", f"{name!r} is no key", origin=Origin(display(path), child.line), expected=KEY)
        yield from _key_problems(path, child)


def _package(path: Path, text: str) -> str | None:
    """The package in ``# @package NAME``, anywhere in the comment that the file begins with, before or after a ``---``.

    Raises:
        SpecError: it is no dotted key.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith(("#", "---", "%")):
            break
        found = re.match(r"#\s*@package\s+(\S+)", line)
        if found and not _PACKAGE.fullmatch(found[1]):
            expected = "_global_, or the dotted key below which the file's content belongs"
            origin = Origin(display(path), number)
            raise SpecError([Problem("", "this is no package", value=render(found[1]), origin=origin, expected=expected)])
        if found:
            return found[1]
    return None
