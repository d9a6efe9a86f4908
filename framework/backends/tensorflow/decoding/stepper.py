"""The derived decoding step: a model as ``step(tokens, state) -> logits, state``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from framework.backends.base.training import Arrays
from framework.backends.tensorflow.decoding.form import LOWER
from framework.backends.tensorflow.decoding.step import StepGraph
from framework.backends.tensorflow.layers import BuildContext
from framework.builder.plan import ModelPlan
from framework.builder.step import derive_step
from framework.decoding.precision import Precision
from framework.decoding.stepper import State, Stepped, check_prompt, check_start
from framework.errors import UnsupportedArgument


class KerasStepper:
    """What :class:`framework.decoding.stepper.Stepper` promises, for Keras.

    It has its own copy of the weights, in float32 or float64, and no fixed number of rows: one graph serves all. A prompt is read by the
    same step in a loop inside a second graph, made when first needed. Several threads may use one stepper at the same time.

    Args:
        plan: of the model.
        weights: by ``layer/weight``.
        context: of the model.
        decoded: the model input that is decoded; the only one that can be, when not given.
        precision: of the large kernels of GRU cells.

    Raises:
        UnsupportedArgument: something on the way has no step form; it is named. Or ``precision`` is int8.
    """

    def __init__(
        self, plan: ModelPlan, weights: Arrays, context: BuildContext, decoded: str | None = None, precision: Precision = "float32"
    ) -> None:
        if precision != "float32" and precision not in LOWER:
            raise UnsupportedArgument(
                f"precision {precision}: TensorFlow has no CPU product of it; expected float32 or {', '.join(LOWER)} (backend torch has it)"
            )
        derived = derive_step(plan, decoded).require()
        self._others = [name for name in plan.inputs if name != derived.decoded]
        self._graph = StepGraph(plan, derived, weights, context, precision)
        self._start = tf.function(self._graph.start, reduce_retracing=True, autograph=False)
        self._names, self._constants = list(self._graph.state_shapes), list(self._graph.constant_specs)
        self._token = self._compile(self._graph.step, time=())
        self._prompt: Any = None
        # A tensor of one token costs as much to make as a small product: each is made once.
        self._single: dict[int, tf.Tensor] = {}
        self._making = threading.Lock()

    def start(self, inputs: Arrays, rows: int) -> State:
        """The state before the first step; see the protocol."""
        check_start(self._others, inputs, rows)
        given = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
        arguments = (given, tf.constant(rows))
        # Its graph is called, not the function: samples of each epoch have a new step, and TensorFlow would warn of so many graphs.
        made = self._start.get_concrete_function(*arguments)(*arguments)
        constants, states = made[: len(self._constants)], made[len(self._constants) :]
        return State(dict(zip(self._constants, constants, strict=True)), dict(zip(self._names, states, strict=True)), rows)

    def step(self, tokens: NDArray[np.integer[Any]], state: State) -> Stepped:
        """One step, or a whole prompt; see the protocol.

        Raises:
            InputError: the tokens have no step, or another shape.
        """
        run = self._token if tokens.ndim == 1 else self._prompt_graph(tokens)
        held = (*(state.constant[name] for name in self._constants), *(state.carried[name] for name in self._names))
        logits, *rest = run(self._tensor(tokens), *held)
        watched, states = rest[: len(self._graph.watched)], rest[len(self._graph.watched) :]
        told = {name: np.asarray(memoryview(weights)) for name, weights in zip(self._graph.watched, watched, strict=True)}
        carried = dict(zip(self._names, states, strict=True))
        return Stepped(np.asarray(memoryview(logits)), State(state.constant, carried, state.rows, state.width), told)

    def select(self, state: State, rows: NDArray[np.integer[Any]], width: int = 1) -> State:
        """The state of ``rows`` in that order, in groups of ``width``."""
        return state.select(rows, width, lambda tensor, chosen: tf.gather(tensor, tf.constant(chosen, tf.int32)))

    def _tensor(self, tokens: NDArray[np.integer[Any]]) -> tf.Tensor:
        if tokens.shape != (1,):
            return tf.constant(tokens, tf.int32)
        token = tokens.item()
        made = self._single.get(token)
        if made is None:
            made = self._single[token] = tf.constant(tokens, tf.int32)
        return made

    def _prompt_graph(self, tokens: NDArray[np.integer[Any]]) -> Any:
        check_prompt(tokens.shape)
        with self._making:
            if self._prompt is None:
                self._prompt = self._compile(self._graph.read, time=(None,))
            return self._prompt

    def _compile(self, function: Any, time: tuple[None, ...]) -> Any:
        states = [tf.TensorSpec((None, *shape), self._graph.dtype) for shape in self._graph.state_shapes.values()]
        tokens = tf.TensorSpec((None, *time), tf.int32)
        held = (*self._graph.constant_specs.values(), *states)
        return _direct_call(tf.function(function, autograph=False).get_concrete_function(tokens, *held))


def _direct_call(graph: Any) -> Callable[..., Sequence[tf.Tensor]]:
    """A way to run a graph without the checks of its arguments, which cost more than a small step; the usual way where there is none."""
    call = getattr(getattr(graph, "_inference_function", None), "call_flat", None)
    if call is None:
        return cast(Callable[..., Sequence[tf.Tensor]], graph)
    captured = graph.captured_inputs
    return lambda *tensors: call(*tensors, *captured)
