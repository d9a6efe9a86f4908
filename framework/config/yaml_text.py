"""Reading and writing YAML as OmegaConf understands it (``1e-3`` is a number, dates are text), with line numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_FLOAT = re.compile(
    r"""^(?:
     [-+]?[0-9]+(?:_[0-9]+)*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+)
    |\.[0-9]+(?:_[0-9]+)*(?:[eE][-+][0-9]+)?
    |[-+]?[0-9]+(?:_[0-9]+)*(?::[0-5]?[0-9])+\.[0-9_]*
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_FLOAT_STARTS = "-+0123456789."
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_WIDTH = 120
_OTHER_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")


def _with_omegaconf_scalars(kind: Any) -> Any:
    """Gives a loader or dumper class the scalars of OmegaConf: more floats than YAML 1.1, no dates."""
    resolvers = {
        start: [(tag, pattern) for tag, pattern in known if tag != _TIMESTAMP] for start, known in kind.yaml_implicit_resolvers.items()
    }
    for start in _FLOAT_STARTS:
        resolvers[start] = [*resolvers.get(start, []), ("tag:yaml.org,2002:float", _FLOAT)]
    kind.yaml_implicit_resolvers = resolvers
    return kind


_Loader = _with_omegaconf_scalars(type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {}))
_Dumper = _with_omegaconf_scalars(type("_Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda self, data: True}))


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text.strip() else None
    if _OTHER_LINE_ENDS.search(text):  # PyYAML folds these in every style but the one that escapes them
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _write_text)


@dataclass(frozen=True)
class Positioned:
    """A value of a YAML file and where it stands.

    Attributes:
        value: as plain Python data.
        line: the line of its key, from 1; None for a value that no file holds.
        children: the parts of a mapping or list, by key or position.
        is_mapping: whether it is a mapping.
    """

    value: Any
    line: int | None = None
    children: Mapping[str, Positioned] = field(default_factory=dict)
    is_mapping: bool = False


def read_yaml(path: Path) -> Any:
    """The content of a YAML file as plain data, interpolations as they are written; None when it is empty.

    Raises:
        yaml.YAMLError: the text is no YAML.
    """
    return yaml.load(path.read_text(encoding="utf-8"), _Loader)


def write_yaml(value: Any) -> str:
    """YAML text in block style, keys in their own order; OmegaConf and :func:`read_yaml` read the same value back."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=_WIDTH)


def inline(value: Any) -> str:
    """A value as YAML on one line, for messages."""
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**6)
    return text.removesuffix("\n...\n").rstrip("\n")


def read_positions(path: Path) -> Positioned:
    """The content of a YAML file with line numbers; an empty file is an empty mapping.

    Raises:
        yaml.YAMLError: the text is no YAML.
    """
    loader = _Loader(path.read_text(encoding="utf-8"))
    try:
        node = loader.get_single_node()
        if node is None:
            return Positioned({}, 1, {}, is_mapping=True)
        return _positioned(loader, node, node.start_mark.line + 1)
    finally:
        loader.dispose()


def _positioned(loader: Any, node: yaml.Node, line: int) -> Positioned:
    value = loader.construct_object(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        # Constructing a mapping has put merged keys (<<) in place, each with its own marks.
        children = {str(loader.construct_object(key)): _positioned(loader, part, key.start_mark.line + 1) for key, part in node.value}
        return Positioned(value, line, children, is_mapping=True)
    if isinstance(node, yaml.SequenceNode):
        return Positioned(value, line, {str(i): _positioned(loader, part, part.start_mark.line + 1) for i, part in enumerate(node.value)})
    return Positioned(value, line)


def duplicate_keys(path: Path) -> list[tuple[str, int, int]]:
    """Keys that stand twice in one mapping: the key, the line of the first and of the second."""
    loader = _Loader(path.read_text(encoding="utf-8"))
    try:
        node = loader.get_single_node()
        return list(_duplicates(node)) if node is not None else []
    finally:
        loader.dispose()


def _duplicates(node: yaml.Node) -> Iterator[tuple[str, int, int]]:
    if isinstance(node, yaml.SequenceNode):
        for part in node.value:
            yield from _duplicates(part)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, part in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    yield key.value, seen[key.value], line
                seen.setdefault(key.value, line)
            yield from _duplicates(part)
