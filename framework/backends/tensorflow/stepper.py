"""The derived decoding step: a model as ``step(tokens, state) -> logits, state``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from framework.backends.base.backend import State
from framework.backends.base.training import Arrays
from framework.backends.tensorflow.layers import BuildContext
from framework.backends.tensorflow.objective import trained_output
from framework.backends.tensorflow.steps import StepGraph
from framework.builder.plan import ModelPlan
from framework.errors import InputError


class KerasStepper:
    """What :class:`framework.backends.base.backend.Stepper` promises, for Keras.

    It has its own copy of the weights, in float32 or float64, and no fixed number of rows: one graph serves all. A prompt is read by the
    same step in a loop inside a second graph, made when first needed. Several threads may use one stepper at the same time.

    Args:
        plan: of the model.
        weights: by ``layer/weight``.
        context: of the model.

    Raises:
        UnsupportedArgument: a layer on the way has no step form; it is named.
    """

    def __init__(self, plan: ModelPlan, weights: Arrays, context: BuildContext) -> None:
        self._graph = StepGraph(plan, weights, context, trained_output(plan))
        self._names = list(self._graph.state_shapes)
        self._token = self._compile(self._graph.step, time=())
        self._prompt: Any = None
        self._making = threading.Lock()

    def initial_state(self, rows: int) -> State:
        """Zero states for ``rows`` rows."""
        return {name: tf.zeros((rows, *shape), self._graph.dtype) for name, shape in self._graph.state_shapes.items()}

    def __call__(self, tokens: NDArray[np.integer[Any]], state: State) -> tuple[NDArray[np.float32], State]:
        """One step.

        Args:
            tokens: ``(rows,) int``, or ``(rows, time) int`` to read a whole prompt at once.
            state: from :meth:`initial_state` or the step before.

        Returns:
            Logits of the last step, ``(rows, vocabulary) float32``, valid until the next call, and the new state.

        Raises:
            InputError: the tokens have no step, or another shape.
        """
        run = self._token if tokens.ndim == 1 else self._prompt_graph(tokens)
        logits, *states = run(tf.constant(tokens, tf.int32), *(state[name] for name in self._names))
        return np.asarray(memoryview(logits)), dict(zip(self._names, states, strict=True))

    def select(self, state: State, rows: NDArray[np.integer[Any]]) -> State:
        """The states of ``rows`` in that order, for beams and finished rows."""
        numbers = tf.constant(rows, tf.int32)
        return {name: tf.gather(tensor, numbers) for name, tensor in state.items()}

    def _prompt_graph(self, tokens: NDArray[np.integer[Any]]) -> Any:
        if tokens.ndim != 2 or tokens.shape[1] == 0:
            raise InputError(f"tokens have the shape {tokens.shape}: expected (rows,), or (rows, time) with at least one step")
        with self._making:
            if self._prompt is None:
                self._prompt = self._compile(self._graph.read, time=(None,))
            return self._prompt

    def _compile(self, function: Any, time: tuple[None, ...]) -> Any:
        states = [tf.TensorSpec((None, *shape), self._graph.dtype) for shape in self._graph.state_shapes.values()]
        tokens = tf.TensorSpec((None, *time), tf.int32)
        return _direct_call(tf.function(function, autograph=False).get_concrete_function(tokens, *states))


def _direct_call(graph: Any) -> Callable[..., Sequence[tf.Tensor]]:
    """A way to run a graph without the checks of its arguments, which cost more than a small step; the usual way where there is none."""
    call = getattr(getattr(graph, "_inference_function", None), "call_flat", None)
    if call is None:
        return cast(Callable[..., Sequence[tf.Tensor]], graph)
    captured = graph.captured_inputs
    return lambda *tensors: call(*tensors, *captured)
