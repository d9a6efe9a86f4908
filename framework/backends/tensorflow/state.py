"""Names of a native model's variables: weights, recurrent states, random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from framework.backends.base.training import Arrays
from framework.backends.tensorflow.dropout_masks import numbered_call
from framework.backends.tensorflow.model import parts_of
from framework.backends.tensorflow.recomputation import CountsCalls
from framework.builder.plan import ModelPlan, PlannedLayer
from framework.errors import UnsupportedArgument
from framework.weights.store import check_weights

Variables = dict[str, keras.Variable]


class ModelVariables:
    """Every variable of a model that training changes, by name.

    Attributes:
        weights: by ``layer/weight``, in the plan's order, which is Keras'.
        states: of stateful layers, by ``layer/number``; Keras keeps them outside ``model.variables``.
        random: states of random numbers that a layer counts itself, by ``layer/number``.
    """

    def __init__(self, plan: ModelPlan, layers: Mapping[str, keras.layers.Layer], native: keras.Model) -> None:
        self._native = native
        self.weights: Variables = {}
        self.states: Variables = {}
        self.random: Variables = {}
        self._dropout: list[keras.random.SeedGenerator] = []
        for planned in plan.layers:
            layer = layers[planned.name]
            self.weights.update(_named_weights(planned, layer))
            states = [state for state in getattr(layer, "states", None) or () if isinstance(state, keras.Variable)]
            self.states.update({f"{planned.name}/{number}": state for number, state in enumerate(states)})
            dropout = [part.call_numbers for part in parts_of(layer) if isinstance(part, CountsCalls)]
            self._dropout += dropout
            known = {id(variable) for variable in (*layer.weights, *(generator.state for generator in dropout))}
            others = [variable for variable in layer.variables if id(variable) not in known]
            self.random.update({f"{planned.name}/{number}": variable for number, variable in enumerate(others)})

    def trainable(self) -> Variables:
        """The weights that the optimizer changes, in its order, which is the model's: Keras orders branches by their depth, not by ours."""
        names = {id(weight): name for name, weight in self.weights.items()}
        return {names[id(weight)]: weight for weight in self._native.trainable_variables}

    def start_step(self, step: int, first_row: int = 0) -> None:
        """Tells all dropout which training step is coming, and which row of the whole batch is this process's first."""
        for generator in self._dropout:
            generator.state.assign([generator.state[0], numbered_call(step, first_row)])


def _named_weights(planned: PlannedLayer, layer: keras.layers.Layer) -> Iterator[tuple[str, keras.Variable]]:
    made = [(weight.name, tuple(weight.shape)) for weight in layer.weights]
    wanted = [(weight.name.rpartition("/")[2], weight.shape) for weight in planned.weights]
    if made != wanted:
        raise UnsupportedArgument(f"model.layers.{planned.name}: Keras made the weights {made}, the plan has {wanted}")
    for weight, variable in zip(planned.weights, layer.weights, strict=True):
        yield f"{planned.name}/{weight.name}", variable


def read(variables: Mapping[str, keras.Variable], prefix: str = "") -> dict[str, NDArray[np.generic]]:
    """Copies of the values, by name with ``prefix`` in front."""
    return {f"{prefix}{name}": np.array(variable.numpy()) for name, variable in variables.items()}


def shapes(variables: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes by name."""
    return {name: tuple(variable.shape) for name, variable in variables.items()}


def write(what: str, variables: Mapping[str, keras.Variable], values: Arrays) -> None:
    """Sets all ``variables``, or none of them.

    Raises:
        CheckpointError: names or shapes differ.
    """
    check_weights(shapes(variables), values, what)
    for name, variable in variables.items():
        variable.assign(values[name])
