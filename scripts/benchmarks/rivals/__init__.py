"""A recipe's model by hand, as one writes it without Gatework: what its training steps are measured against."""

from __future__ import annotations

import importlib
from types import ModuleType

from framework.errors import InputError
from framework.spec.experiment import Experiment

_MODULES = {
    ("embedding", "gru", "dense"): "language_model",
    ("embedding", "gru", "embedding", "attention_decoder", "dense"): "translation",
    ("dense", "embedding", "attention_decoder", "dense", "dense"): "captioning",
}


def rival_of(experiment: Experiment) -> ModuleType:
    """The module of the model with an experiment's kinds of layers.

    It has ``torch_step(prepared, weights)`` and ``tensorflow_step(prepared, weights)``, which give a function that trains on a batch and
    returns its loss as a float, in the experiment's own normalization; and ``products(prepared, batch)``, the matrix products of a step.

    Raises:
        InputError: no such model was written by hand.
    """
    kinds = tuple(layer.kind for layer in experiment.model.layers.values())
    if kinds not in _MODULES:
        known = "; ".join(", ".join(one) for one in _MODULES)
        raise InputError(f"no plain loop was written for a model of {', '.join(kinds)}; expected the layers {known}")
    return importlib.import_module(f"{__name__}.{_MODULES[kinds]}")
