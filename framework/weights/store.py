"""Named arrays in safetensors files that are written whole or not at all, and checked when they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.errors import CheckpointError, nearest
from framework.files import read_plain, replacing

Arrays = Mapping[str, NDArray[np.generic]]

DIGEST = "gatework.sha256"
"""Key of the metadata that holds the SHA-256 of everything else: names, types, shapes, values and the other metadata."""

_DTYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
    "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip
"""NumPy's name of each safetensors type that is read and written."""

_SHOWN = 20


def save_weights(path: Path | str, arrays: Arrays, metadata: Mapping[str, str] | None = None) -> str:
    """Writes named arrays as one safetensors file.

    The file appears whole: a kill at any moment leaves the file that was there before, or the new one. The checksum stands in the
    file's own metadata, so there is no second file that could be left behind.

    Args:
        path: file to write or replace; its folder is there.
        arrays: by name, any shape and memory order; bool, integers, float16, bfloat16 (of ml_dtypes), float32, float64.
        metadata: texts to keep beside them.

    Returns:
        The checksum, 64 hexadecimal digits, which :func:`load_with_checksum` gives back.

    Raises:
        CheckpointError: an array has another type, or the file cannot be written (full disk, no permission).

    Source: safetensors documentation, "Format".
    """
    path = Path(path)
    plain = {name: _plain(name, array) for name, array in arrays.items()}
    texts = dict(metadata or {})
    digest = _digest(plain, texts)
    _replace(path, plain, {**texts, DIGEST: digest})
    return digest


def load_weights(path: Path | str, *, foreign: bool = False) -> dict[str, NDArray[np.generic]]:
    """Reads what :func:`save_weights` wrote.

    Args:
        path: a safetensors file.
        foreign: whether a file without our checksum, which another program wrote, is accepted too.

    Returns:
        Arrays by name, in the file's order, writable.

    Raises:
        CheckpointError: the file is missing, truncated, altered, or holds a type that NumPy does not know.
    """
    return _load(Path(path), foreign)[0]


def load_with_checksum(path: Path | str) -> tuple[dict[str, NDArray[np.generic]], str]:
    """What :func:`load_weights` reads, and the checksum that it was held against.

    Raises:
        CheckpointError: as there.
    """
    arrays, _, digest = _load(Path(path), foreign=False)
    assert digest is not None
    return arrays, digest


def load_metadata(path: Path | str, *, foreign: bool = False) -> dict[str, str]:
    """The texts beside the arrays of a file, checked like the arrays; see :func:`load_weights`.

    Raises:
        CheckpointError: as for the arrays.
    """
    return _load(Path(path), foreign)[1]


def check_weights(expected: Mapping[str, tuple[int, ...]], given: Arrays, what: str = "weights") -> None:
    """Holds given arrays against the names and shapes that a model has.

    Args:
        expected: shapes by name.
        given: arrays by name.
        what: what the arrays are, for the message.

    Raises:
        CheckpointError: a name is missing or unknown, or a shape differs; both sides are shown.
    """
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    reshaped = [name for name in expected if name in given and tuple(given[name].shape) != tuple(expected[name])]
    if not (missing or unknown or reshaped):
        return
    counts = [
        f"{len(names)} {word}" for names, word in ((missing, "missing"), (unknown, "unknown"), (reshaped, "of another shape")) if names
    ]
    lines = [(name, str(tuple(expected[name])), str(tuple(given[name].shape)), "") for name in reshaped]
    lines += [(name, str(tuple(expected[name])), "missing", "") for name in missing]
    for name in unknown:
        close = nearest(name, missing)
        lines.append((name, "unknown", str(tuple(given[name].shape)), f"did you mean {close}?" if close else ""))
    matching = len(expected) - len(missing) - len(reshaped)
    title = f"{what} do not fit the model: {', '.join(counts)} ({matching} of {len(expected)} fit)"
    raise CheckpointError("\n".join([title, *_table([("name", "model", "given", ""), *lines])]))


def _table(lines: list[tuple[str, str, str, str]]) -> Iterator[str]:
    shown = lines[: _SHOWN + 1]
    widths = [max(len(line[column]) for line in shown) for column in range(3)]
    for line in shown:
        yield "  " + "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[3]]).rstrip()
    if len(lines) > len(shown):
        yield f"  and {len(lines) - len(shown)} more"


def _plain(name: str, array: NDArray[np.generic]) -> NDArray[np.generic]:
    """The array in C order and little-endian, as the file holds it."""
    array = np.asarray(array, order="C")
    if array.dtype.name not in _DTYPES.values():
        known = ", ".join(_DTYPES.values())
        raise CheckpointError(f"array '{name}' has type {array.dtype}, which cannot be written; expected one of {known}")
    return array.astype(array.dtype.newbyteorder("<"), copy=False)


def _digest(arrays: Arrays, metadata: Mapping[str, str]) -> str:
    """SHA-256 over all that the file says, whatever the order in which it says it."""
    described = [[name, arrays[name].dtype.name, list(arrays[name].shape)] for name in sorted(arrays)]
    digest = hashlib.sha256(json.dumps([sorted(metadata.items()), described]).encode())
    for name in sorted(arrays):
        # Byte by byte: bfloat16 has no buffer of its own. Memory is not copied.
        digest.update(arrays[name].reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _replace(path: Path, arrays: Arrays, metadata: dict[str, str]) -> None:
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        with replacing(path) as part:
            save_file(dict(arrays), part, metadata=metadata)  # straight to the file: half the time of making its bytes first
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error).rpartition(": ")[2]
        raise CheckpointError(f"cannot write {path}: {reason}") from error


def _load(path: Path, foreign: bool) -> tuple[dict[str, NDArray[np.generic]], dict[str, str], str | None]:
    from safetensors import SafetensorError, deserialize

    try:
        content = read_plain(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        tensors = deserialize(content)  # type: ignore[no-untyped-call]
        metadata = _metadata(content)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is truncated or no safetensors file ({len(content)} bytes: {error})") from error
    arrays = {name: _array(path, name, tensor) for name, tensor in tensors}
    stored = metadata.pop(DIGEST, None)
    if stored is None and not foreign:
        raise CheckpointError(f"{path} has no checksum, so it was altered or another program wrote it")
    if stored is not None and stored != _digest(arrays, metadata):
        raise CheckpointError(f"{path} was altered after it was written: its content does not match its checksum {stored[:8]}…")
    return arrays, metadata, stored


def _metadata(content: bytes) -> dict[str, str]:
    length = int.from_bytes(content[:8], "little")
    return dict(json.loads(content[8 : 8 + length]).get("__metadata__", {}))


def _array(path: Path, name: str, tensor: Mapping[str, Any]) -> NDArray[np.generic]:
    known = _DTYPES.get(tensor["dtype"])
    if known is None:
        raise CheckpointError(f"array '{name}' of {path} has type {tensor['dtype']}; expected one of {', '.join(_DTYPES)}")
    dtype = _bfloat16(path, name) if known == "bfloat16" else np.dtype(known)
    data = tensor["data"]
    # NumPy takes a bytearray as it is, and the array can be written to; bytes it could only read.
    return np.frombuffer(data if isinstance(data, bytearray) else bytearray(data), dtype.newbyteorder("<")).reshape(tensor["shape"])


def _bfloat16(path: Path, name: str) -> np.dtype[Any]:
    try:
        import ml_dtypes
    except ImportError as error:
        raise CheckpointError(
            f"array '{name}' of {path} is bfloat16, which needs the package ml_dtypes; install it to read the file"
        ) from error
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found
