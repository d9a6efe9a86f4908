"""A model's weights from any file, and to the formats of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.backend import Trainee
from framework.backends.base.registry import load_backend
from framework.builder.plan import ModelPlan, PlannedLayer
from framework.engine.model.agreement import compare_outputs
from framework.errors import CheckpointError, InputError
from framework.files import replacing
from framework.spec.layers.bidirectional import BidirectionalSpec
from framework.spec.layers.embedding import EmbeddingSpec
from framework.spec.layers.gru import GRUSpec
from framework.weights.expected import ExpectedLayer, fit_weights
from framework.weights.files import read_weights
from framework.weights.found import FoundWeights
from framework.weights.store import save_weights
from framework.weights.torch_state import write_torch_state

NATIVE = (".weights.h5", ".keras")
NEUTRAL = ".safetensors"
TORCH = (".torch.safetensors", ".pt", ".pth")
LAYERS = "framework.backends.tensorflow.layers"
"""What has to be imported before Keras knows our layers."""

EXPORTS = (*NATIVE, *TORCH, NEUTRAL)
"""Endings of the files that are written: Keras' own, torch's layout, and Keras' layout by ``layer/weight``."""


def load_any(path: Path | str, plan: ModelPlan, names: Mapping[str, str] | None = None) -> dict[str, NDArray[np.generic]]:
    """Weights for a model from a file of Keras 3, tf-keras, torch or safetensors, told by its content.

    Args:
        path: the file.
        plan: the model's.
        names: the file's layer (torch: its prefix) by the model's, where they are not told by name; see
            :func:`framework.weights.expected.fit_weights`.

    Returns:
        Arrays by ``layer/weight`` in Keras' layout, as ``set_weights`` takes them.

    Raises:
        InputError: the file is missing, of another format, or reading it would run code; or ``names`` is wrong.
        CheckpointError: the file is cut off or damaged, or its weights are not the model's; both sides are shown.
    """
    return fit_weights(open_weights(path), expected_layers(plan), names)


def open_weights(path: Path | str) -> FoundWeights:
    """What a file of weights holds, by its own names.

    Raises:
        InputError, CheckpointError: as :func:`load_any`.
    """
    return read_weights(path, _read_torch)


def expected_layers(plan: ModelPlan) -> tuple[ExpectedLayer, ...]:
    """The layers of a plan that have weights."""
    return tuple(_expected(layer) for layer in plan.layers if layer.weights)


def export_weights(path: Path | str, trainee: Callable[[str], Trainee], plan: ModelPlan, weights: Mapping[str, NDArray[Any]]) -> list[str]:
    """Writes weights in the format that the file's ending names; see :data:`EXPORTS`.

    Args:
        path: the file; its folder is there.
        trainee: builds the model on a backend; asked for Keras' own files only, which TensorFlow's backend writes.
        plan: the model's.
        weights: by ``layer/weight``.

    Returns:
        What somebody who loads the file has to know, a sentence each.

    Raises:
        InputError: the ending is none of those.
        UnsupportedArgument: torch has no counterpart of a layer; it is named.
        ParityError: the model of Keras' own layers computes something else; nothing is written.
        CheckpointError: the file cannot be written.
    """
    path = Path(path)
    ending = export_ending(path)
    if ending == ".keras":
        return _save_model(trainee("tensorflow"), plan, path)
    if ending == ".weights.h5":
        _save(trainee("tensorflow").native.save_weights, path)
    elif ending == NEUTRAL:
        save_weights(path, weights)
    else:
        state = write_torch_state(expected_layers(plan), weights, {})
        if ending.endswith(NEUTRAL):
            save_weights(path, state)
        else:
            _torch_files().save_state_dict(path, state)
    return []


def export_ending(path: Path | str) -> str:
    """The ending that names a file's format.

    Raises:
        InputError: it is none that is written.
    """
    for ending in EXPORTS:
        if Path(path).name.endswith(ending):
            return ending
    raise InputError(f"{path}: the ending names no format; expected one of {', '.join(EXPORTS)}")


def _expected(layer: PlannedLayer) -> ExpectedLayer:
    spec = layer.spec.layer if isinstance(layer.spec, BidirectionalSpec) else layer.spec
    settings: dict[str, Any] = {}
    if isinstance(spec, GRUSpec):
        for key in ("activation", "recurrent_activation"):
            chosen = getattr(spec, key)
            settings[key] = "linear" if chosen is None else chosen.class_name
        settings |= {"reset_after": spec.reset_after, "go_backwards": spec.go_backwards}
    shapes = {weight.name: weight.shape for weight in layer.weights}
    return ExpectedLayer(layer.name, layer.kind, shapes, getattr(layer.spec, "name", None), settings)


def _save_model(trainee: Trainee, plan: ModelPlan, path: Path) -> list[str]:
    """Writes the whole model, of Keras' own layers where they compute the same."""
    from framework.backends.tensorflow.plain_keras import plain_model
    from framework.backends.tensorflow.whole_model import outputs_of

    plain, obstacles = plain_model(trainee.native)
    if plain is not None:
        inputs = _some_inputs(plan)
        theirs = outputs_of(plain, inputs)
        compare_outputs(trainee.predict(inputs), dict(zip(plan.outputs, theirs, strict=True)), ("the run", "Keras' own layers"))
    _save((plain or trainee.native).save, path)
    if plain is not None:
        return [f"plain Keras loads it: keras.saving.load_model({path.name!r})"]
    return [*obstacles, f"to load it: import {LAYERS}, keras; keras.saving.load_model({path.name!r})"]


def _some_inputs(plan: ModelPlan) -> dict[str, NDArray[Any]]:
    """A batch of seven steps that the model takes, drawn at random."""
    rng = np.random.default_rng(0)
    least = min((int(one.spec.input_dim) for one in plan.layers if isinstance(one.spec, EmbeddingSpec)), default=2)
    inputs: dict[str, NDArray[Any]] = {}
    for name, tensor in plan.inputs.items():
        shape = [plan.batch_size or 2, *(7 if size is None else size for size in tensor.shape[1:])]
        whole = np.issubdtype(np.dtype(tensor.dtype), np.integer)
        inputs[name] = (rng.integers(0, least, shape) if whole else rng.normal(size=shape)).astype(tensor.dtype)
    return inputs


def _save(save: Callable[..., Any], path: Path) -> None:
    try:
        with replacing(path) as part:
            save(part, overwrite=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot write {path}: {error}") from error


def _read_torch(path: Path) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = _torch_files().load_state_dict(path)
    return found


def _torch_files() -> Any:
    load_backend("torch")  # says how to get torch where it is not there
    from framework.backends.torch import state_dict

    return state_dict
