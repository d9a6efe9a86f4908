"""Weights of Keras 3 and tf-keras files, read as arrays and JSON: no layer is made and nothing in a file is run."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from framework.errors import CheckpointError, InputError
from framework.weights.found import WEIGHTS, Array, FoundLayer, FoundWeights, Reading

CONFIG, METADATA, STORE = "config.json", "metadata.json", "model.weights.h5"
"""Members of a ``.keras`` archive."""

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
_NOT_LAYERS = ("optimizer", "metrics", "seed_generator", "compile_metrics", "loss_tracker")
_DIRECTIONS = {"forward_layer": "forward/", "backward_layer": "backward/"}

Datasets = dict[str, Array]


def read_keras_archive(path: Path) -> FoundWeights:
    """Weights of a ``.keras`` file of Keras 3 or tf-keras.

    Raises:
        CheckpointError: a part is missing or damaged.

    Source: Keras documentation, "Save, serialize, and export models", section "How it works".
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        if STORE not in members:
            raise CheckpointError(f"{path} holds no {STORE}, only {', '.join(members) or 'nothing'}")
        try:
            content = archive.read(STORE)
            config = json.loads(archive.read(CONFIG)) if CONFIG in members else None
            metadata = json.loads(archive.read(METADATA)) if METADATA in members else {}
        except (zipfile.BadZipFile, ValueError, EOFError) as error:
            raise CheckpointError(f"{path} is damaged: {error}") from error
    datasets, attributes = _read_hdf5(path, io.BytesIO(content))
    layers = list(_config_layers(config))
    legacy = _is_legacy(metadata.get("keras_version"))
    found, named = _from_store(datasets, attributes, layers)
    return FoundWeights(str(path), f"{'tf-keras' if legacy else 'Keras'} model archive", found, named, legacy)


def read_keras_hdf5(path: Path) -> FoundWeights:
    """Weights of an HDF5 file: ``.weights.h5`` of Keras 3 or tf-keras, or ``.h5`` of either, with or without the model's config.

    Raises:
        CheckpointError: the file is damaged, or holds no weights of Keras.
    """
    datasets, attributes = _read_hdf5(path, path)
    root, below = attributes.get("", {}), attributes.get("model_weights", {})
    older = [attrs for attrs in (root, below) if "layer_names" in attrs or "layer_names0" in attrs]
    if not older:
        found, named = _from_store(datasets, attributes, [])
        if not found:
            raise CheckpointError(
                f"{path} is an HDF5 file without weights of Keras; it holds {', '.join(list(datasets)[:5]) or 'no arrays'}"
            )
        return FoundWeights(str(path), "Keras weights file", found, named, legacy=False)
    top = "" if older[0] is root else "model_weights/"
    legacy = _is_legacy(root.get("keras_version") or below.get("keras_version"))
    config = json.loads(root["model_config"]) if "model_config" in root else None
    configs = {layer["name"]: layer for layer in _config_layers(config)}
    found = tuple(_older_layers(path, datasets, attributes, top, configs))
    return FoundWeights(str(path), f"{'tf-keras' if legacy else 'Keras'} HDF5 file", found, True, legacy)


def _read_hdf5(path: Path, source: Path | io.BytesIO) -> tuple[Datasets, dict[str, dict[str, Any]]]:
    """Every array, and every group's attributes, by path. Links are not followed: they could name other files."""
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"reading {path} needs the package h5py: pip install h5py") from error
    datasets: Datasets = {}
    attributes: dict[str, dict[str, Any]] = {}

    def visit(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            attributes[name] = dict(item.attrs)
        elif item.external or item.is_virtual:
            raise CheckpointError(f"array '{name}' of {path} lies in another file; such files are not read")
        elif item.dtype.kind in "biuf":
            datasets[name] = np.asarray(item[()])

    try:
        with h5py.File(source, "r") as file:
            attributes[""] = dict(file.attrs)
            file.visititems(visit)
    except (OSError, RuntimeError, KeyError) as error:
        raise CheckpointError(f"{path} is truncated or damaged: {error}") from error
    return datasets, attributes


def _from_store(
    datasets: Datasets, attributes: Mapping[str, Mapping[str, Any]], configs: Sequence[Mapping[str, Any]]
) -> tuple[tuple[FoundLayer, ...], bool]:
    """Layers of Keras' object store, where arrays are ``…/layers/gru_1/cell/vars/0``, and whether all of them have names."""
    groups: dict[str, dict[tuple[str, int], Array]] = {}
    for path, array in datasets.items():
        parts = path.split("/")
        if len(parts) < 3 or parts[-2] != "vars" or any(part in _NOT_LAYERS for part in parts):
            continue
        depth = _layer_depth(parts)
        role = next((_DIRECTIONS[part] for part in parts[depth:] if part in _DIRECTIONS), "")
        groups.setdefault("/".join(parts[:depth]), {})[role, int(parts[-1])] = array
    by_group = _by_group(configs)
    found, named = [], True
    for group, values in sorted(groups.items(), key=lambda one: _natural(one[0])):
        last = group.rpartition("/")[2]
        config = by_group.get(last, {}) if group.count("/") <= 1 else {}
        name = attributes.get(f"{group}/vars", {}).get("name") or config.get("name")
        named = named and name is not None
        found.append(_positional(_text(name or last), _kind(config.get("class_name") or last), values, config.get("config", {})))
    return tuple(found), named


def _layer_depth(parts: Sequence[str]) -> int:
    """How many parts name the layer: up to the last ``layers/NAME``, or the first part in a model of attributes."""
    inner = [position for position, part in enumerate(parts[:-2]) if part in _CONTAINERS]
    return inner[-1] + 2 if inner else 1


def _positional(name: str, kind: str, values: Mapping[tuple[str, int], Array], config: Mapping[str, Any]) -> FoundLayer:
    reading: Reading = {}
    # "forward/" stands before "backward/", as in Keras.
    for role, number in sorted(values, key=lambda key: (key[0] == "backward/", key)):
        known = WEIGHTS.get("gru" if role else kind, ())
        reading[role + (known[number] if number < len(known) else str(number))] = values[role, number]
    return FoundLayer(name, {kind: reading}, certain=False, config=config)


def _older_layers(
    path: Path, datasets: Datasets, attributes: Mapping[str, Mapping[str, Any]], top: str, configs: Mapping[str, Mapping[str, Any]]
) -> Iterator[FoundLayer]:
    """Layers of the older layout, where arrays are ``gru/gru/gru_cell/kernel:0`` and groups list their weights in order."""
    for layer in _texts(attributes[top.rstrip("/")], "layer_names"):
        group = f"{top}{layer}"
        names = _texts(attributes.get(group, {}), "weight_names")
        missing = [name for name in names if f"{group}/{name}" not in datasets]
        if missing:
            raise CheckpointError(f"{path} names the array '{missing[0]}' of layer '{layer}', but does not hold it")
        if not names:
            continue
        two_ways = len({_last(name) for name in names}) < len(names)
        reading = {(_direction(name) if two_ways else "") + _last(name): datasets[f"{group}/{name}"] for name in names}
        config = configs.get(layer, {})
        kind = _kind(config["class_name"]) if config else _kind_of(reading)
        yield FoundLayer(layer, {kind: reading}, config=config.get("config", {}))


def _kind_of(reading: Reading) -> str:
    """The kind that has weights of these names; a layer that has only a bias is any."""
    if any("/" in name for name in reading):
        return "bidirectional"
    return next((kind for kind, names in WEIGHTS.items() if names[0] in reading and set(reading) <= set(names)
                 and (kind != "gru" or "recurrent_kernel" in reading)), "")  # fmt: skip


def _direction(name: str) -> str:
    for part in name.split("/")[:-1]:
        for direction in ("forward", "backward"):
            if part.startswith(f"{direction}_"):
                return f"{direction}/"
    return f"{name.rpartition('/')[0]}/"


def _last(name: str) -> str:
    return name.rpartition("/")[2].partition(":")[0]


def _config_layers(config: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """``name``, ``class_name`` and ``config`` of each layer of a functional or sequential model, in order."""
    inner = (config or {}).get("config", {})
    for layer in inner.get("layers", ()) if isinstance(inner, Mapping) else inner:
        settings = layer.get("config", {})
        yield {"name": layer.get("name") or settings.get("name"), "class_name": layer.get("class_name", ""), "config": settings}


def _by_group(configs: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Configs by the group that Keras keeps the layer in: its class' name, numbered from the second on."""
    seen: Counter[str] = Counter()
    found = {}
    for layer in configs:
        snake = _snake(layer["class_name"])
        found[f"{snake}_{seen[snake]}" if seen[snake] else snake] = layer
        seen[snake] += 1
    return found


def _kind(class_name: str) -> str:
    snake = re.sub(r"_\d+$", "", _snake(class_name.rpartition(">")[2]))
    return snake if snake in WEIGHTS or snake == "bidirectional" else ""


def _snake(class_name: str) -> str:
    """Keras' name of a class in its object store."""
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", class_name.rpartition(">")[2]))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


def _natural(group: str) -> tuple[tuple[str, int], ...]:
    """Sorts ``gru_10`` after ``gru_9``, and ``gru`` before both."""
    found = []
    for part in group.split("/"):
        number = re.search(r"_(\d+)$", part)
        found.append((part[: number.start()], int(number[1])) if number else (part, 0))
    return tuple(found)


def _is_legacy(version: Any) -> bool:
    return version is not None and _text(version).startswith(("1.", "2."))


def _texts(attributes: Mapping[str, Any], name: str) -> list[str]:
    """A list of names; one too long for HDF5 is kept in pieces, ``name0``, ``name1``, …."""
    if name in attributes:
        return [_text(one) for one in attributes[name]]
    pieces = takewhile(lambda piece: piece in attributes, (f"{name}{number}" for number in count()))
    return [_text(one) for piece in pieces for one in attributes[piece]]


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
