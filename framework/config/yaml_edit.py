"""Small changes to the text of a YAML file that leave its comments and its layout alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml


def replace_scalars(text: str, changes: Mapping[tuple[str, ...], str]) -> str:
    """The text with some values replaced.

    Args:
        text: YAML.
        changes: new values by the keys (and list positions) that lead to them; paths that are not there are left out.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found = [(node, value) for path, value in changes.items() if (node := _find(root, path)) is not None]
    for node, value in sorted(found, key=lambda pair: pair[0].start_mark.index, reverse=True):
        rest = text[node.end_mark.index :]
        gap = re.match(r" +(?=#)", rest)
        if gap:  # a comment behind the value stays in its column
            width = len(gap[0]) + (node.end_mark.index - node.start_mark.index) - len(value)
            rest = " " * max(width, 1) + rest[gap.end() :]
        text = text[: node.start_mark.index] + value + rest
    return text


def append_default(text: str, entry: str) -> str:
    """The text with one more entry at the end of its defaults list, which is written if there is none."""
    lines = text.splitlines()
    defaults = _find(yaml.compose(text, Loader=yaml.SafeLoader), ("defaults",))
    if isinstance(defaults, yaml.SequenceNode) and defaults.value and not defaults.flow_style:
        last = defaults.value[-1]
        indent = " " * defaults.start_mark.column
        lines.insert(_last_line(last) + 1, f"{indent}- {entry}")
        return "\n".join(lines) + "\n"
    return insert_before(text, _first_key(text), f"defaults:\n  - {entry}\n")


def replace_entry(text: str, path: tuple[str, ...], line: str | None) -> str:
    """The text with the lines of one entry of a block mapping replaced by another line, or taken out with a section that it leaves empty.

    Args:
        text: YAML.
        path: keys that lead to the entry; the text stays as it is where it is not there, or stands within a line.
        line: what stands there now, indented as the entry was; None for nothing.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    section = _find(root, path[:-1])
    if not isinstance(section, yaml.MappingNode) or section.flow_style:
        return text
    entry = next(((key, value) for key, value in section.value if key.value == path[-1]), None)
    if entry is None:
        return text
    if line is None and len(section.value) == 1 and len(path) > 1:
        return replace_entry(text, path[:-1], None)
    lines = text.splitlines()
    first, last = entry[0].start_mark.line, _last_line(entry[1])
    if line is not None:
        lines[first : last + 1] = [" " * entry[0].start_mark.column + line]
    else:
        between = first > 0 and not lines[first - 1].strip() and not "".join(lines[last + 1 : last + 2]).strip()
        del lines[first - between : last + 1]
    return "\n".join(lines) + "\n"


def insert_before(text: str, key: str | None, line: str) -> str:
    """The text with a line before a top-level key; at the end where ``key`` is None."""
    lines = text.splitlines()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if key is None or not isinstance(root, yaml.MappingNode):
        return "\n".join([*lines, *line.splitlines()]) + "\n"
    number = next(node.start_mark.line for node, _ in root.value if node.value == key)
    return "\n".join([*lines[:number], *line.split("\n"), *lines[number:]]) + "\n"


def _find(node: yaml.Node | None, path: tuple[str, ...]) -> yaml.Node | None:
    for part in path:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            node = node.value[int(part)]
        else:
            return None
    return node


def _last_line(node: yaml.Node) -> int:
    """The line on which the content of a node ends; a block mapping's own end mark lies behind the comments that follow."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1][1])
    if isinstance(node, yaml.SequenceNode) and node.value and not node.flow_style:
        return _last_line(node.value[-1])
    return int(node.end_mark.line)


def _first_key(text: str) -> str | None:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    return str(root.value[0][0].value) if isinstance(root, yaml.MappingNode) and root.value else None
