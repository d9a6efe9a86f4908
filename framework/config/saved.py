"""Resolved configs on disk: written in a stable form, read back with their version checked and old ones migrated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from framework.config.location import display
from framework.config.yaml_file import read_yaml
from framework.config.yaml_text import write_yaml
from framework.errors import RunError, SpecError
from framework.files import replace_text
from framework.secrets import conceal
from framework.spec.base import SPEC_VERSION

_VERSION = "spec_version"

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By version: what makes a config of the next version out of one of this version."""


def dump_yaml(value: Any) -> str:
    """YAML text in block style, keys in their own order, without passwords; the same value always gives the same text."""
    return write_yaml(conceal(value))


def save_resolved(path: Path, mapping: Mapping[str, Any]) -> None:
    """Writes a resolved config in one step, its version first, without passwords.

    Args:
        path: the file.
        mapping: plain data, an experiment's or a model's.

    Raises:
        RunError: it cannot be written.
    """
    content = {_VERSION: mapping.get(_VERSION, SPEC_VERSION), **{key: value for key, value in mapping.items() if key != _VERSION}}
    try:
        replace_text(path, dump_yaml(content))
    except (OSError, UnicodeEncodeError) as error:
        raise RunError(f"cannot write {display(path)}: {getattr(error, 'strerror', None) or error}") from error


def load_resolved(path: Path) -> dict[str, Any]:
    """Reads what :func:`save_resolved` wrote, in the form that this version knows.

    Raises:
        RunError: the file is missing or damaged, holds no version, or was written by a newer Gatework.
    """
    name = display(path)
    if not path.exists():
        raise RunError(f"{name} is missing")
    try:
        content = read_yaml(path)
    except SpecError as error:
        raise RunError(f"{name} is damaged: {error.problems[0]}") from error
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
