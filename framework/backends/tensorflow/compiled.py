"""The graphs that a model is trained and evaluated with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from framework.backends.base.objective import Objective
from framework.backends.tensorflow.loss import Loss, batch_loss, batch_sums
from framework.backends.tensorflow.processes import TensorFlowProcesses
from framework.data.batches import Batch

Shape = tuple[int | None, ...]
Shapes = tuple[Shape | None, ...]
"""Of each tensor of a batch: inputs, targets, weights; None where there is none."""

TrainStep = Callable[..., Any]
"""Called with usual shapes, inputs, targets, weights and learning rate; see :class:`CompiledModel` for what it takes and gives."""


class BatchGraph:
    """A function of a batch, traced for its shape alone, whatever came before: a training that is taken up again runs the same graphs.

    That is why it is no ``tf.function`` that relaxes shapes: what is left open there depends on the order of the batches, and a graph with
    open shapes gives other last digits.

    Args:
        function: of inputs, targets, weights, and what else has always the same shape.
        native: the model whose inputs are given.

    Attributes:
        traces: graphs by the shapes that they take.
    """

    def __init__(self, function: Callable[..., Any], native: keras.Model) -> None:
        self.traces: dict[Shapes, Any] = {}
        self._function = function
        self._declared: list[Shape] = [tuple(one.shape) for one in tf.nest.flatten(native.input)]

    def __call__(self, usual: Shapes, *arguments: Any) -> Any:
        """Runs the graph of a batch.

        Args:
            usual: the shapes of the batch that most are like, such as the data's first.
            *arguments: the batch's tensors, and what else is taken.
        """
        taken = self._taken(usual, batch_shapes(*arguments))
        graph = self.traces.get(taken)
        if graph is None:
            flat = tf.nest.flatten(arguments)
            specs = [None if one is None else tf.TensorSpec(shape, one.dtype) for one, shape in zip(flat, taken, strict=True)]
            # A tf.function of its own: one and the same would take an open graph that it has for shapes that are not.
            function = tf.function(self._function, autograph=False, jit_compile=False)
            graph = self.traces[taken] = function.get_concrete_function(*tf.nest.pack_sequence_as(arguments, specs))
        return graph(*arguments)

    def _taken(self, usual: Shapes, given: Shapes) -> Shapes:
        """The shapes of a batch's graph: its own where it is like most, with open rows where it only has others, else as the model's."""
        of_batch, others = given[: len(usual)], given[len(usual) :]
        if of_batch == usual:
            return given
        if [one and one[1:] for one in of_batch] == [one and one[1:] for one in usual]:
            return (*(one and (None, *one[1:]) for one in of_batch), *others)
        known = len(self._declared)
        return (*self._declared, *(one and (None,) * len(one) for one in of_batch[known:]), *others)


def batch_shapes(*tensors: Any) -> Shapes:
    """The shapes of tensors, in order, whatever they lie in."""
    return tuple(None if one is None else tuple(one.shape) for one in tf.nest.flatten(tensors))


class CompiledModel:
    """Forward pass, loss and gradients of a native model as graphs, each traced when first called.

    Args:
        native: the model.
        objective: what it is trained for.
        output: name of the output that is compared with the targets.
        dtype: data type of the loss.
    """

    def __init__(self, native: keras.Model, objective: Objective, output: str, dtype: str) -> None:
        self.native = native
        self.objective = objective
        self.output = output
        self.dtype = dtype
        self.forward = _graph(self._forward)
        self.evaluate = BatchGraph(self._evaluate, native)
        self.gradients = _graph(self._gradients)

    def train_step(self, optimizer: keras.optimizers.Optimizer) -> TrainStep:
        """One step of the optimizer, called with usual shapes, inputs, targets, weights and learning rate; the loss without penalties."""

        def step(inputs: Any, targets: tf.Tensor, weights: tf.Tensor | None, rate: tf.Tensor) -> Loss:
            optimizer.learning_rate.assign(rate)
            loss, gradients = self._loss_and_gradients(inputs, targets, weights, training=True)
            optimizer.apply_gradients(zip(gradients, self.native.trainable_variables, strict=True))
            return loss

        return BatchGraph(step, self.native)

    def shared_step(self, optimizer: keras.optimizers.Optimizer, processes: TensorFlowProcesses) -> TrainStep:
        """The same for a process's rows of a whole batch, whose loss it gives, and how many wish to stop.

        It takes three numbers more: how many of the whole batch's rows this process has, how many that has, and this process's own wish.
        """

        def step(
            inputs: Any,
            targets: tf.Tensor,
            weights: tf.Tensor | None,
            rate: tf.Tensor,
            rows: tf.Tensor,
            whole_rows: tf.Tensor,
            wish: tf.Tensor,
        ) -> tuple[Loss, tf.Tensor]:
            optimizer.learning_rate.assign(rate)
            with tf.GradientTape() as tape:
                loss = batch_loss(self.objective, self._output(inputs, training=True), targets, weights, self.dtype, smooth=True)
                with tape.stop_recording():
                    whole, wishes = processes.whole_loss(loss, wish)
                    weight = tf.cast(tf.where(whole.weight > 0, whole.weight, tf.ones_like(whole.weight)), self.dtype)
                part = tf.cast(rows / whole_rows, self.dtype)
                optimized = self.objective.share(loss.mean, loss.weight, weight, tf.cast(whole_rows, self.dtype))
                optimized = tf.add_n([optimized, *(tf.cast(tf.reduce_sum(penalty), self.dtype) * part for penalty in self.native.losses)])
            gradients = processes.added_gradients(_dense(tape.gradient(optimized, self.native.trainable_variables)))
            optimizer.apply_gradients(zip(gradients, self.native.trainable_variables, strict=True))
            return whole, wishes

        return BatchGraph(step, self.native)

    def _forward(self, inputs: Any) -> dict[str, tf.Tensor] | tf.Tensor:
        return self.native(inputs, training=False)

    def _evaluate(self, inputs: Any, targets: tf.Tensor, weights: tf.Tensor | None) -> dict[str, tf.Tensor]:
        return batch_sums(self.objective, self._output(inputs, training=False), targets, weights, self.dtype)

    def _gradients(self, inputs: Any, targets: tf.Tensor, weights: tf.Tensor | None) -> tuple[tf.Tensor, list[tf.Tensor]]:
        loss, gradients = self._loss_and_gradients(inputs, targets, weights, training=False)
        zeros = (tf.zeros_like(variable.value) for variable in self.native.trainable_variables)
        return loss.mean, [zero if gradient is None else gradient for gradient, zero in zip(gradients, zeros, strict=True)]

    def _loss_and_gradients(
        self, inputs: Any, targets: tf.Tensor, weights: tf.Tensor | None, training: bool
    ) -> tuple[Loss, list[tf.Tensor | None]]:
        """The loss without penalties, and the gradients of what is optimized, with them, by trainable variable."""
        with tf.GradientTape() as tape:
            loss = batch_loss(self.objective, self._output(inputs, training), targets, weights, self.dtype, smooth=True)
            optimized = self.objective.optimized(*loss, tf.cast(tf.shape(targets)[0], self.dtype))
            # Keras empties the list of penalties at each call of the model, so it holds those of this call.
            optimized = tf.add_n([optimized, *(tf.cast(tf.reduce_sum(penalty), self.dtype) for penalty in self.native.losses)])
        return loss, _dense(tape.gradient(optimized, self.native.trainable_variables))

    def _output(self, inputs: Any, training: bool) -> tf.Tensor:
        """The output that is compared with the targets."""
        result = self.native(inputs, training=training)
        return result[self.output] if isinstance(result, dict) else result


def _graph(function: Callable[..., Any]) -> Any:
    """A ``tf.function`` that runs as written: no rewriting of Python's control flow, and errors as they were raised."""
    return tf.function(function, reduce_retracing=True, autograph=False, jit_compile=False)


def _dense(gradients: list[Any]) -> list[tf.Tensor | None]:
    """Gradients of tables as whole arrays.

    TensorFlow gives a gather's gradient as one slice an occurrence, and Keras 3's optimizers square and clip the slices as they are: a
    token that occurs twice in a batch would count by the sum of two squares instead of the square of the sum.
    """
    return [None if gradient is None else tf.convert_to_tensor(gradient) for gradient in gradients]


def model_inputs(native: keras.Model, inputs: Mapping[str, Any]) -> Any:
    """Inputs by name in the form that the native model takes: bare where there is one."""
    tensors = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
    return tensors if isinstance(native.input, dict) else next(iter(tensors.values()))


def batch_tensors(native: keras.Model, batch: Batch) -> tuple[Any, tf.Tensor, tf.Tensor | None]:
    """Inputs, targets and weights of a batch as tensors."""
    weights = None if batch.weights is None else tf.convert_to_tensor(batch.weights)
    return model_inputs(native, batch.inputs), tf.convert_to_tensor(np.asarray(batch.targets)), weights
