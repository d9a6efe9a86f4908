"""What may befall the files of a run's folder: each damage is drawn from a number, and is the same for the same number."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

Damage = Callable[[Path, random.Random, Path], str]
"""Damages a file or folder, given where it is, what to draw from, and a place outside; says what it did."""

NESTED: Any = "deepest"
for _ in range(150):
    NESTED = [NESTED]

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2.5, 10**9, 10**30, -(10**400), 1e308, float("nan"), float("inf"), float("-inf"), "", "text", "1",
    "\ud800", "\x00", "../../outside/kept", "/dev/zero", "~nobody/x", "x" * 100_000, "é" * 300, [], {}, [[]], [1, "a", None], {"a": 1},
    {"kind": "gru"}, NESTED,
)  # fmt: skip

TEXTS = (
    b"", b"\x00", b"\xff\xfe", b"null", b"[]", b"3", b'"text"', b"{", b"{}", b"[" * 50_000, b"{" * 2000, b'{"a":' * 5000, b"9" * 6000,
    b"a: &a [x]\nb: [*a, *a]\n", b"a: !!int abc\n", b"a: !!python/object/apply:os.system [id]\n", b"a: 0x_\n", b"a: 2001-01-01\n",
    b"a: 1\na: 2\n", b"\ta: 1\n", b"- a\nb: 1\n", b"<<: 3\n", b"? [a]\n: 1\n", b"x" * 2_000_000, b"\n" * 100_000,
)  # fmt: skip


def a_place(value: Any, source: random.Random) -> tuple[Any, Any] | None:
    """A (container, key) of nested data, near its top as often as deep in it; None where there is none."""
    found = None
    while isinstance(value, dict | list) and value:
        key = source.choice(list(value) if isinstance(value, dict) else range(len(value)))
        found, value = (value, key), value[key]
        if source.random() < 0.4:
            break
    return found


def alter(value: Any, source: random.Random) -> str:
    """Changes nested data in one place."""
    there = a_place(value, source)
    if there is None:
        return "nothing"
    container, key = there
    kind = source.randrange(6)
    if kind == 0:
        del container[key]
        return f"without {key}"
    if kind == 1 and isinstance(container, dict):
        container[f"{key}x"] = container.pop(key)
        return f"{key} renamed"
    container[key] = source.choice(VALUES)
    return f"{key} is {str(container[key])[:40]!r}"


# --- contents ---------------------------------------------------------------------------------------------------------------------


def wrong_json(path: Path, source: random.Random, outside: Path) -> str:
    value = json.loads(path.read_bytes())
    said = alter(value, source)
    if source.random() < 0.5 and isinstance(value, dict):  # as an older version, without a checksum of its own
        value.pop("sha256", None)
    path.write_text(json.dumps(value))
    return said


def wrong_line(path: Path, source: random.Random, outside: Path) -> str:
    lines = path.read_bytes().splitlines(keepends=True)
    number = source.randrange(len(lines))
    if source.random() < 0.7:
        value = json.loads(lines[number])
        said = alter(value, source)
        lines[number] = json.dumps(value).encode() + b"\n"
    else:
        said, lines[number] = "nonsense", source.choice(TEXTS)[:5000] + b"\n"
    path.write_bytes(b"".join(lines))
    return f"line {number + 1}: {said}"


def wrong_yaml(path: Path, source: random.Random, outside: Path) -> str:
    value = yaml.safe_load(path.read_text())
    said = alter(value, source)
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=False), encoding="utf-8", errors="surrogatepass")
    return said


def wrong_header(path: Path, source: random.Random, outside: Path) -> str:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    said = alter(header, source)
    text = json.dumps(header).encode()
    size = source.choice([len(text), len(text), len(text), 2**63, 10**9, 0])
    path.write_bytes(size.to_bytes(8, "little") + text + content[8 + length :])
    return f"header of {size}: {said}"


def cut(path: Path, source: random.Random, outside: Path) -> str:
    content = path.read_bytes()
    size = source.randrange(len(content) + 1)
    path.write_bytes(content[:size])
    return f"cut to {size} bytes"


def flipped(path: Path, source: random.Random, outside: Path) -> str:
    content = bytearray(path.read_bytes())
    for _ in range(source.choice([1, 1, 3, 50])):
        if content:
            content[source.randrange(len(content))] = source.randrange(256)
    path.write_bytes(content)
    return "bytes altered"


def nonsense(path: Path, source: random.Random, outside: Path) -> str:
    text = source.choice(TEXTS)
    path.write_bytes(text)
    return f"holds {text[:40]!r} ({len(text)} bytes)"


# --- what lies there --------------------------------------------------------------------------------------------------------------


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def gone(path: Path, source: random.Random, outside: Path) -> str:
    remove(path)
    return "gone"


def a_folder(path: Path, source: random.Random, outside: Path) -> str:
    remove(path)
    path.mkdir()
    (path / "file").write_text("x")
    return "is a folder"


def a_file(path: Path, source: random.Random, outside: Path) -> str:
    remove(path)
    path.write_text("x")
    return "is a file"


def a_link(path: Path, source: random.Random, outside: Path) -> str:
    target = source.choice([outside / "kept", outside, Path("/dev/zero"), Path("/dev/full"), path, outside / "nowhere", Path("..")])
    remove(path)
    path.symlink_to(target)
    return f"is a link to {target.name}"


def a_pipe(path: Path, source: random.Random, outside: Path) -> str:
    remove(path)
    os.mkfifo(path)
    return "is a pipe"


def forbidden(path: Path, source: random.Random, outside: Path) -> str:
    mode = source.choice([0o000, 0o000, 0o400, 0o500, 0o200])
    path.chmod(mode)
    return f"has the permissions {mode:o}"


def a_stranger(path: Path, source: random.Random, outside: Path) -> str:
    folder = path if path.is_dir() else path.parent
    name = source.choice(
        [".new", "lock", ".tracking.lock", "last", ".part-0-x", "system.jsonl", "tracking.log", "report.md", "environment.json"]
    )
    new = folder / name
    if new.exists():
        remove(new)
    return f"with {name}, which {source.choice([_make_file, _make_link, _make_folder, _make_lock])(new, outside)}"


def _make_file(path: Path, outside: Path) -> str:
    path.write_bytes(b"\xff")
    return "is a file"


def _make_link(path: Path, outside: Path) -> str:
    path.symlink_to(outside / "kept")
    return "is a link"


def _make_folder(path: Path, outside: Path) -> str:
    path.mkdir()
    return "is a folder"


def _make_lock(path: Path, outside: Path) -> str:
    path.write_text(json.dumps({"pid": 1, "host": ["x"], "started": {}}))
    return "is of an owner without sense"


def deep(path: Path, source: random.Random, outside: Path) -> str:
    folder = path if path.is_dir() else path.parent
    here = os.open(folder, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=here)
        there = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(here)
    return "1200 folders deep"


OF_ANY: tuple[Damage, ...] = (gone, a_folder, a_file, a_link, a_link, a_pipe, forbidden, forbidden, a_stranger)
OF_FILES: tuple[Damage, ...] = (cut, cut, flipped, nonsense, nonsense)
BY_ENDING: dict[str, Damage] = {".json": wrong_json, ".jsonl": wrong_line, ".yaml": wrong_yaml, ".safetensors": wrong_header}


def damage(run: Path, outside: Path, number: int) -> tuple[str, str]:
    """Damages one thing in a run's folder.

    Args:
        run: the folder.
        outside: a place that nothing may be written to.
        number: of the damage.

    Returns:
        The first part of the path of what was damaged, and what was done.
    """
    source = random.Random(f"damage {number}")
    there = sorted(path for path in run.rglob("*") if not path.is_symlink())
    typed = [path for path in there if path.suffix in BY_ENDING and path.stat().st_size]
    if source.random() < 0.65:
        # A file at the top counts as much as a whole folder: most commands read it.
        top = source.choice(sorted({path.relative_to(run).parts[0] for path in typed}))
        path = source.choice([path for path in typed if path.relative_to(run).parts[0] == top])
        done = BY_ENDING[path.suffix]
    else:
        path = source.choice(there)
        done = source.choice(OF_ANY if path.is_dir() or source.random() < 0.5 else OF_FILES)
        if source.random() < 0.02:
            done = deep
    name = path.relative_to(run)
    return name.parts[0], f"{name.as_posix()}: {done(path, source, outside)}"
