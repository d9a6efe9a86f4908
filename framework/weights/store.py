"""Named arrays on disk, in safetensors: written whole, checked when read, nothing ever executed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.errors import CheckpointError

CHECKSUM = ".sha256"
"""Ending of the file beside the arrays that holds their checksum; it is written last."""


def save_weights(path: Path, arrays: Mapping[str, NDArray[np.generic]], metadata: Mapping[str, str] | None = None) -> None:
    """Writes arrays in one step: a kill leaves the old file or the new one.

    Args:
        path: file to write.
        arrays: by name.
        metadata: text kept in the file's header.

    Raises:
        CheckpointError: the file cannot be written, as on a full disk; what was there stays.
    """
    from safetensors.numpy import save

    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, dict(metadata or {}) or None)
    try:
        _replace(path, content)
        _replace(path.with_name(path.name + CHECKSUM), hashlib.sha256(content).hexdigest().encode())
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from error


def load_weights(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of a file.

    Raises:
        CheckpointError: the file is missing, truncated or altered.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    checksum = path.with_name(path.name + CHECKSUM)
    if checksum.is_file() and checksum.read_text().strip() != hashlib.sha256(content).hexdigest():
        raise CheckpointError(f"{path} is damaged: its {len(content):,} bytes do not have the checksum in {checksum.name}")
    try:
        arrays: dict[str, NDArray[np.generic]] = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    return arrays


def load_metadata(path: Path) -> dict[str, Any]:
    """The text that :func:`save_weights` kept in a file's header.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    except (OSError, ValueError, OverflowError, MemoryError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error
    return dict(header.get("__metadata__", {}))


def check_weights(expected: Mapping[str, tuple[int, ...]], given: Mapping[str, NDArray[np.generic]], what: str = "weights") -> None:
    """Compares names and shapes.

    Args:
        expected: shapes by name.
        given: arrays by name.
        what: what the arrays are, for the message.

    Raises:
        CheckpointError: a name is missing or unknown, or a shape differs; both sides are shown.
    """
    rows = []
    for name in [*expected, *(name for name in given if name not in expected)]:
        left = str(expected[name]) if name in expected else "(none)"
        right = str(given[name].shape) if name in given else "(none)"
        if left != right:
            rows.append((name, left, right))
    if not rows:
        return
    rows.insert(0, ("name", "the model", "given"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    table = "\n".join("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    raise CheckpointError(f"the {what} do not fit the model:\n{table}")


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
