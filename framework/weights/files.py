"""Any file of weights, told by its content and read without running anything in it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from framework.errors import CheckpointError, InputError
from framework.weights.found import Array, FoundLayer, FoundWeights, Reading
from framework.weights.keras_files import STORE, read_keras_archive, read_keras_hdf5
from framework.weights.store import load_weights
from framework.weights.torch_state import read_torch_state

FileFormat = Literal["hdf5", "keras", "torch", "safetensors"]
TorchReader = Callable[[Path], dict[str, Array]]

KNOWN = "Keras .weights.h5, .keras or .h5, torch .pt or .pth, .safetensors"

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_OLD_TORCH = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19"
"""torch's number before its files of 1.5 and older, in the pickle after the two bytes of the protocol."""


def detect_format(path: Path) -> FileFormat:
    """What a file is, by its first bytes and, for an archive, its members; its name says nothing.

    Raises:
        InputError: there is no such file, it is no file of weights, or reading it would mean unpickling.
        CheckpointError: it is cut off.
    """
    try:
        with path.open("rb") as file:
            head = file.read(32)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if head.startswith(_HDF5):
        return "hdf5"
    if head.startswith(_ZIP):
        return _archive_format(path)
    if head[8:9] == b"{":
        return "safetensors"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        what = "a torch file of version 1.5 or older, which is a pickle" if head[2:].startswith(_OLD_TORCH) else "a pickle"
        raise InputError(
            f"{path} is {what}: reading it could run any code in it, so it is refused; save the weights as .safetensors, "
            "or with torch.save of a newer version, where they were made"
        )
    if not head:
        raise CheckpointError(f"{path} is empty")
    raise InputError(f"{path} is no file of weights: it begins with {head[:8]!r}; expected {KNOWN}")


def read_weights(path: Path | str, read_torch: TorchReader) -> FoundWeights:
    """The layers in a file of weights.

    Args:
        path: of any format that :func:`detect_format` tells.
        read_torch: reads a torch archive to arrays by torch's names; asked only for such a file.

    Raises:
        InputError, CheckpointError: the file is of another format, cut off or damaged.
    """
    path = Path(path)
    match detect_format(path):
        case "hdf5":
            return read_keras_hdf5(path)
        case "keras":
            return read_keras_archive(path)
        case "torch":
            return read_torch_state(str(path), read_torch(path))
        case "safetensors":
            return _read_safetensors(path)


def _archive_format(path: Path) -> FileFormat:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{path} is truncated or damaged: it begins as a zip archive and has no table of contents") from error
    if STORE in members:
        return "keras"
    if any(member.endswith("/data.pkl") or member == "data.pkl" for member in members):
        return "torch"
    shown = ", ".join(members[:5]) or "nothing"
    raise InputError(f"{path} is a zip archive with {shown}, and no file of weights; expected {KNOWN}")


def _read_safetensors(path: Path) -> FoundWeights:
    arrays = load_weights(path, foreign=True)
    ours = all("/" in name for name in arrays)
    if not ours:
        return read_torch_state(str(path), arrays)
    # A run's checkpoint holds the model's weights beside much else.
    weights = {name.removeprefix("weights/"): array for name, array in arrays.items() if name.startswith("weights/")} or arrays
    layers: dict[str, Reading] = {}
    for name, array in weights.items():
        layer, _, weight = name.partition("/")
        layers.setdefault(layer, {})[weight] = array
    return FoundWeights(str(path), "safetensors", tuple(FoundLayer(name, {"": reading}) for name, reading in layers.items()))
