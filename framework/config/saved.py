"""Resolved configs on disk: written in a stable form, read back with their version checked and old ones migrated."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from framework.config.location import display
from framework.config.yaml_text import read_yaml, write_yaml
from framework.errors import RunError
from framework.spec.base import SPEC_VERSION

_VERSION = "spec_version"

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By version: what makes a config of the next version out of one of this version."""


def dump_yaml(value: Any) -> str:
    """YAML text in block style, keys in their own order; the same value always gives the same text."""
    return write_yaml(value)


def save_resolved(path: Path, mapping: Mapping[str, Any]) -> None:
    """Writes a resolved config in one step, its version first.

    Args:
        path: the file; its folder must exist.
        mapping: plain data, an experiment's or a model's.
    """
    content = {_VERSION: mapping.get(_VERSION, SPEC_VERSION), **{key: value for key, value in mapping.items() if key != _VERSION}}
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(dump_yaml(content), encoding="utf-8")
    part.replace(path)


def load_resolved(path: Path) -> dict[str, Any]:
    """Reads what :func:`save_resolved` wrote, in the form that this version knows.

    Raises:
        RunError: the file is missing or damaged, holds no version, or was written by a newer Gatework.
    """
    name = display(path)
    try:
        content = read_yaml(path)
    except FileNotFoundError as error:
        raise RunError(f"{name} is missing") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"{name} is damaged: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or not _is_version(content.get(_VERSION)):
        raise RunError(f"{name} holds no {_VERSION}: it is no config that Gatework saved, or it is damaged")
    return migrate(content, name)


def migrate(mapping: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A saved config in the form that this version knows.

    Args:
        mapping: with its ``spec_version``.
        source: what it was read from, for the message.

    Raises:
        RunError: a newer Gatework wrote it, or one so old that no migration is left.
    """
    content = dict(mapping)
    while (version := content[_VERSION]) != SPEC_VERSION:
        if version > SPEC_VERSION:
            raise RunError(
                f"{source} was written by a newer Gatework ({_VERSION} {version}, this one knows {SPEC_VERSION}); install a newer one"
            )
        if version not in MIGRATIONS:
            raise RunError(f"{source} was written by a Gatework too old for this one ({_VERSION} {version}, this one knows {SPEC_VERSION})")
        content = {**MIGRATIONS[version](content), _VERSION: version + 1}
    return content


def _is_version(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
