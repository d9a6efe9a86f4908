"""YAML as Gatework means it: which plain scalars are numbers, how values are written, and where in a file they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

_INT = re.compile(
    r"""^[-+]?(?:
     0
    |[1-9][0-9]*(?:_[0-9]+)*
    |0x[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*
    |0b[01]+(?:_[01]+)*)$""",
    re.VERBOSE,
)
_FLOAT = re.compile(
    r"""^(?:
     [-+]?[0-9]+(?:_[0-9]+)*\.(?:[0-9]+(?:_[0-9]+)*)?(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9]+(?:_[0-9]+)*[eE][-+]?[0-9]+
    |[-+]?\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_SCALARS = (
    ("null", re.compile(r"^(?:~|null|Null|NULL|)$"), ("~", "n", "N", "")),
    ("bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), tuple("tTfF")),
    ("int", _INT, tuple("-+0123456789")),
    ("float", _FLOAT, tuple("-+0123456789.")),
    ("merge", re.compile(r"^<<$"), ("<",)),
)
"""What a plain scalar may be beside text, and what it begins with. YAML 1.1 has more, which nobody means who writes it: ``on``, ``no``
and ``yes`` as booleans, ``1:30`` as 90, ``010`` as 8, ``2020-01-01`` as a date. Here each is the text that stands there."""
_WIDTH = 120
_OTHER_LINE_ENDS = re.compile("[\r\x85\u2028\u2029]")


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for name, pattern, starts in _SCALARS:
        for start in starts:
            found.setdefault(start, []).append((f"{_TAG}{name}", pattern))
    return found


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader with our scalars, and with keys as they are written."""

    yaml_implicit_resolvers = _resolvers()

    def construct_mapping(self, node: yaml.Node, deep: bool = False) -> dict[Any, Any]:
        """A mapping; its merged keys (``<<``) are put in place."""
        if not isinstance(node, yaml.MappingNode):
            raise yaml.constructor.ConstructorError(None, None, "expected a mapping", node.start_mark)
        self.flatten_mapping(node)
        return {self.key(key): self.construct_object(value, deep=deep) for key, value in node.value}

    def key(self, node: yaml.Node) -> Any:
        """A key: text as it is written, or a whole number."""
        if not isinstance(node, yaml.ScalarNode):
            raise yaml.constructor.ConstructorError(None, None, "a key is a list or mapping", node.start_mark)
        return self.construct_object(node) if node.tag == f"{_TAG}int" else node.value


class _Dumper(yaml.SafeDumper):
    """Quotes what is text here and something else to another reader, or the other way round."""

    yaml_implicit_resolvers = {
        start: [*yaml.SafeDumper.yaml_implicit_resolvers.get(start, []), *_resolvers().get(start, [])]
        for start in {*yaml.SafeDumper.yaml_implicit_resolvers, *_resolvers()}
    }

    def ignore_aliases(self, data: object) -> bool:
        """Values that are one object are written out each time."""
        return True


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
        text: a scalar as it is written, where it stands without quotes.
    """

    value: Any
    line: int | None = None
    children: Mapping[str, Positioned] = field(default_factory=dict)
    is_mapping: bool = False
    text: str | None = None


def write_yaml(value: Any) -> str:
    """YAML text in block style, keys in their own order; OmegaConf and :func:`read_yaml` read the same value back."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=_WIDTH)


def inline(value: Any) -> str:
    """A value as YAML on one line, for messages."""
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**6)
    return text.removesuffix("\n...\n").rstrip("\n")


def positioned(loader: Loader, node: yaml.Node | None) -> Positioned:
    """The content of a node with line numbers; nothing is an empty mapping.

    Args:
        loader: that has composed the node.
        node: of a whole document.

    Raises:
        yaml.YAMLError: it holds what cannot be read.
    """
    if node is None:
        return Positioned({}, 1, {}, is_mapping=True)
    return _positioned(loader, node, node.start_mark.line + 1)


def _positioned(loader: Loader, node: yaml.Node, line: int) -> Positioned:
    value = loader.construct_object(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        # Constructing a mapping has put merged keys (<<) in place, each with its own marks.
        children = {str(loader.key(key)): _positioned(loader, part, key.start_mark.line + 1) for key, part in node.value}
        return Positioned(value, line, children, is_mapping=True)
    if isinstance(node, yaml.SequenceNode):
        return Positioned(value, line, {str(i): _positioned(loader, part, part.start_mark.line + 1) for i, part in enumerate(node.value)})
    return Positioned(value, line, text=node.value if isinstance(node, yaml.ScalarNode) and not node.style else None)


def duplicates(node: yaml.Node) -> Iterator[tuple[str, int, int]]:
    """Keys that stand twice in one mapping: the key, the line of the first and of the second."""
    if isinstance(node, yaml.SequenceNode):
        for part in node.value:
            yield from duplicates(part)
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, part in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if key.value in seen:
                    yield key.value, seen[key.value], line
                seen.setdefault(key.value, line)
            yield from duplicates(part)
