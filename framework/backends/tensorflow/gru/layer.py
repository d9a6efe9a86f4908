"""The GRU layer of TensorFlow's documentation, on Keras 3."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from framework.backends.base.gru_arguments import CONFIG, check_arguments, mask_count
from framework.backends.tensorflow.activations import serialize_activation
from framework.backends.tensorflow.gru import calls, masks
from framework.backends.tensorflow.gru.arguments import full_shape, keras_functions, own_value
from framework.backends.tensorflow.gru.cudnn import cudnn_obstacles, run_cudnn, runs_on_cudnn
from framework.backends.tensorflow.gru.dropout import DropoutMasks, MaskCache, in_training
from framework.backends.tensorflow.gru.errors import CallError, NotStateful
from framework.backends.tensorflow.gru.initialization import in_float32
from framework.backends.tensorflow.gru.loop import loop
from framework.backends.tensorflow.gru.scan import scan, should_scan
from framework.backends.tensorflow.gru.step import Step, project
from framework.backends.tensorflow.recomputation import Call, CallLog


@keras.saving.register_keras_serializable(package="gatework")
class GRU(DropoutMasks, keras.layers.GRU):  # type: ignore[misc]
    """Gated recurrent unit with every argument, method and property of TensorFlow's documented layer.

    Called with ``inputs: (batch, time, features)``, or ``(time, batch, features)`` with ``time_major``, it returns the last output
    ``(batch, units)``, or with ``return_sequences`` all outputs with the inputs' first two axes; with ``return_state`` a list of that and
    the last state ``(batch, units)``. Weights: ``kernel (features, 3 units)``, ``recurrent_kernel (units, 3 units)``, ``bias
    (2, 3 units)``, or ``(3 units,)`` without ``reset_after``; gates stand in the order z, r, h.

    Where the documented layer, its successors and Keras 3 differ:

    - Masked steps carry the state and repeat the last output (zeros before the first valid step), whatever the mask, on every device.
    - Dropout masks are drawn once a batch and shared over time; a rate of 1 drops everything.
    - An ``initial_state`` in the call wins over the recorded one of a stateful layer.
    - A mask that came with the inputs is used also when an initial state is given, which Keras 3 forgets.
    - ``compute_mask`` follows the order of the outputs: ``go_backwards`` reverses it.

    Args:
        units: number of units, positive.
        activation: of the candidate state; None is linear.
        recurrent_activation: of the gates; None is linear.
        use_bias: whether there is a bias.
        kernel_initializer: of ``kernel``.
        recurrent_initializer: of ``recurrent_kernel``.
        bias_initializer: of ``bias``.
        kernel_regularizer: penalty on ``kernel``.
        recurrent_regularizer: penalty on ``recurrent_kernel``.
        bias_regularizer: penalty on ``bias``.
        activity_regularizer: penalty on what the layer returns, divided by the first axis; the state counts too if returned.
        kernel_constraint: applied to ``kernel`` after each optimizer step.
        recurrent_constraint: applied to ``recurrent_kernel`` after each optimizer step.
        bias_constraint: applied to ``bias`` after each optimizer step.
        dropout: fraction of the inputs to drop, 0 to 1.
        recurrent_dropout: fraction of the state to drop, 0 to 1; not zero forces ``implementation=1``.
        implementation: 1 draws a dropout mask a gate, 2 one for all.
        return_sequences: return all outputs instead of the last.
        return_state: also return the last state.
        go_backwards: process the sequence backwards and return the reversed sequence.
        stateful: begin a batch with the states that the batch before ended with; needs a fixed batch size.
        unroll: write every step into the graph; needs a known number of steps.
        time_major: time is the first axis of inputs, mask and output sequence.
        reset_after: apply the reset gate after the product with the state.
        **kwargs: ``name``, ``dtype``, ``trainable``, ``autocast``; Keras 3's ``seed``, ``use_cudnn``, ``zero_output_for_mask``; and
            ``batch_input_shape``, ``batch_shape``, ``input_shape``, or ``input_dim`` with ``input_length``, which build the layer at
            once, and ``weights`` to start from.

    Raises:
        ArgumentError: an argument has a value that is not allowed, or is unknown; every one is named.

    Source: TensorFlow 2.0 API documentation, ``tf.compat.v2.keras.layers.GRU``; Cho et al. 2014 (arXiv 1406.1078).
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        implementation: int = 2,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        time_major: bool = False,
        reset_after: bool = True,
        **kwargs: Any,
    ) -> None:
        autocast = {"autocast": kwargs.pop("autocast")} if "autocast" in kwargs else {}
        arguments = check_arguments(locals(), kwargs, own_value)
        values = {**arguments.values, **keras_functions(arguments)}
        time_major = values.pop("time_major")
        super().__init__(**values, **autocast)
        self.time_major: bool = time_major
        self._first_weights = arguments.weights
        self._dropout_masks = MaskCache(self.dropout, self.cell.seed_generator, 1)
        self._recurrent_dropout_masks = MaskCache(self.recurrent_dropout, self.cell.seed_generator, 2)
        self._calls = CallLog()
        self.cudnn_explained = False
        # XLA has no such kernel: without support for it, Keras leaves jit_compile="auto" off.
        self.supports_jit = bool(cudnn_obstacles(self, masked=True))
        self._given_shape = full_shape(arguments.shape, self.time_major)
        if self._given_shape is not None:
            self._input_shape_arg = self._given_shape[1:]
            self.build(self._given_shape)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> GRU:
        """The layer of a config, Keras 3's or an older one's."""
        dtype = config.get("dtype")
        if isinstance(dtype, dict) and dtype.get("class_name") == "Policy":  # how Keras 2 wrote it
            config = {**config, "dtype": dtype["config"]["name"]}
        return cls(**config)

    @property
    def implementation(self) -> int:
        """1: a dropout mask a gate; 2: one dropout mask for all gates."""
        return int(self.cell.implementation)

    def build(self, inputs_shape: Sequence[int | None], initial_state_shape: Any = None) -> None:
        """Creates the weights, those of activations that are layers too, and the states of a stateful layer.

        Args:
            inputs_shape: the inputs' full shape.
            initial_state_shape: not needed.

        Raises:
            CallError: the number of features, or the batch size of a stateful layer, is not known.
        """
        batch, time = self._batch_and_time(inputs_shape)
        if inputs_shape[2] is None:
            raise CallError(f"inputs have shape {tuple(inputs_shape)}: the last axis, the number of features, must be known")
        if self.stateful and batch is None:
            raise CallError(
                f"stateful=True needs a fixed batch size, but the inputs have shape {tuple(inputs_shape)}: "
                "give it by batch_input_shape, or by keras.Input(batch_shape=…)"
            )
        given = self.cell.recurrent_initializer
        self.cell.recurrent_initializer = in_float32(given)
        super().build((batch, time, inputs_shape[2]))
        self.cell.recurrent_initializer = given
        if self._first_weights is not None:
            self.set_weights(self._first_weights)
            self._first_weights = None
        for function in (self.activation, self.recurrent_activation):
            if isinstance(function, keras.layers.Layer) and not function.built:  # its weights are there with the layer's own
                function.build((batch, self.units))

    def __call__(self, inputs: Any, initial_state: Any = None, mask: Any = None, training: Any = None, **kwargs: Any) -> Any:
        """Checks the arguments, then calls as every Keras layer.

        Args:
            inputs: ``(batch, time, features)``, or ``[inputs, initial_state]``.
            initial_state: ``(batch, units)``, or a list of that.
            mask: ``(batch, time)``, zero where masked.
            training: whether dropout is on; None asks the surrounding call.
            **kwargs: call context arguments of surrounding layers.

        Raises:
            CallError: an argument is of the wrong form; shapes and what is allowed are named.
        """
        inputs, initial_state = calls.split_inputs(inputs, initial_state)
        calls.check_inputs(inputs, self.time_major, self.unroll, self.cell.kernel.shape[0] if self.cell.built else None)
        batch, _ = self._batch_and_time(inputs.shape)
        if self.stateful and self.states is not None:
            calls.check_fixed_batch(batch, self.states[0].shape[0])
        if mask is not None:
            mask = calls.single("mask", mask)
            masks.check_mask_shape(mask, inputs, self.time_major)
            kwargs["mask"] = mask
        if initial_state is not None:
            initial_state = calls.single("initial_state", initial_state)
            calls.check_state(initial_state, batch, self.units)
            kwargs["initial_state"] = initial_state
        if training is not None:
            kwargs["training"] = training
        return super().__call__(inputs, **kwargs)

    def call(self, inputs: tf.Tensor, mask: Any = None, training: Any = None, initial_state: Any = None) -> Any:
        """Runs the layer.

        Args:
            inputs: ``(batch, time, features)``, or ``(time, batch, features)`` with ``time_major``.
            mask: the inputs' first two axes, zero where masked; by default the one that came with the inputs.
            training: whether dropout is on.
            initial_state: ``(batch, units)``; by default zeros, or the recorded state of a stateful layer.

        Returns:
            The output, or ``[output, state]`` with ``return_state``.
        """
        if mask is None:
            mask = getattr(inputs, "_keras_mask", None)
        sequence = inputs if self.time_major else tf.transpose(inputs, (1, 0, 2))
        if mask is not None:
            mask = masks.time_major_mask(mask, sequence, self.time_major)
            sequence = masks.without_masked(sequence, mask)
        if self.go_backwards:
            sequence = tf.reverse(sequence, [0])
            mask = None if mask is None else tf.reverse(mask, [0])
        call = self._enter(training)
        states = self._run(sequence, self._first_state(sequence, initial_state, call), mask, training, call)
        if self.stateful and not call.again:
            self.states[0].assign(states[-1])
        return self._results(states, mask)

    def _enter(self, training: Any) -> Call:
        """The call, which only matters where running it again would move something: dropout, or the recorded state."""
        moves = self.stateful or (in_training(training) and (self.dropout or self.recurrent_dropout))
        return self._calls.enter(self.name) if moves else Call(False, {})

    def _run(self, sequence: tf.Tensor, state: tf.Tensor, mask: tf.Tensor | None, training: Any, call: Call) -> tf.Tensor:
        """The states after each step, ``(time, batch, units)``, from time-major inputs in the order of processing."""
        weights = kernel, recurrent_kernel, bias, recurrent_bias = self._weights()
        on_cudnn = runs_on_cudnn(self, mask is not None)
        key = cache(self.cell.seed_generator.next)  # one for both kinds of masks
        with (
            self._dropout_masks.applied(call, key, sequence[0], training, mask_count(self.implementation)) as input_masks,
            self._recurrent_dropout_masks.applied(call, key, state, training, 3) as state_masks,
        ):
            if on_cudnn and len(input_masks) < 2:
                return run_cudnn(sequence * input_masks[0] if input_masks else sequence, state, mask, weights)
            step = Step(recurrent_kernel, recurrent_bias, self.activation, self.recurrent_activation, self.reset_after, state_masks)
            projection = partial(project, kernel=kernel, bias=bias, masks=input_masks)
            run = scan if in_training(training) and should_scan(step, sequence) else loop
            return run(step, projection, sequence, state, mask, self.unroll)

    def _results(self, states: tf.Tensor, mask: tf.Tensor | None) -> Any:
        """What the layer returns, from the states after each step."""
        if self.return_sequences:
            output = masks.outputs_of(states, mask, self.zero_output_for_mask)
            output = output if self.time_major else tf.transpose(output, (1, 0, 2))
        else:
            output = masks.last_output_of(states, mask, self.zero_output_for_mask)
        return [output, states[-1]] if self.return_state else output

    def step(self, inputs: Any, state: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """One time step without dropout, for decoding.

        Args:
            inputs: ``(batch, features)``.
            state: ``(batch, units)``, or a list of that.

        Returns:
            The output and the new state, which are the same tensor, ``(batch, units)``.
        """
        inputs = tf.cast(tf.convert_to_tensor(inputs), self.compute_dtype)
        state = tf.cast(tf.convert_to_tensor(calls.single("state", state)), self.compute_dtype)
        if not self.built:
            self.build((1, inputs.shape[0], inputs.shape[1]) if self.time_major else (inputs.shape[0], 1, inputs.shape[1]))
        kernel, recurrent_kernel, bias, recurrent_bias = self._weights()
        step = Step(recurrent_kernel, recurrent_bias, self.activation, self.recurrent_activation, self.reset_after)
        new = step(project(inputs, kernel, bias), state)
        return new, new

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of what the layer returns: with ``return_sequences`` the inputs' mask in the outputs' order."""
        mask = keras.tree.flatten(previous_mask)[0] if previous_mask is not None else None
        if not self.return_sequences:
            mask = None
        if mask is not None and self.go_backwards:
            mask = keras.ops.flip(mask, axis=0 if self.time_major else 1)
        return [mask, None] if self.return_state else mask

    def compute_output_shape(self, inputs_shape: Sequence[int | None], initial_state_shape: Any = None) -> Any:
        """Shape of the output, or a list of the shapes of output and state."""
        batch, _ = self._batch_and_time(inputs_shape)
        state = (batch, self.units)
        output = (inputs_shape[0], inputs_shape[1], self.units) if self.return_sequences else state
        return [output, state] if self.return_state else output

    def get_initial_state(self, inputs: Any = None, batch_size: Any = None) -> list[tf.Tensor]:
        """Zeros to begin with.

        Args:
            inputs: the layer's inputs, of which only the batch size counts; a bare number is a batch size.
            batch_size: instead of ``inputs``.

        Returns:
            A list of one tensor ``(batch, units)``.
        """
        if batch_size is None:
            if inputs is None:
                raise CallError("get_initial_state needs inputs or batch_size")
            shape = np.shape(inputs) if not hasattr(inputs, "shape") else inputs.shape
            batch_size = inputs if len(shape) == 0 else self._batch_and_time(shape)[0]
            if batch_size is None:
                batch_size = self._batch_and_time(tf.shape(inputs))[0]
        return [tf.zeros(tf.stack([batch_size, self.units]) if tf.is_tensor(batch_size) else (batch_size, self.units), self.compute_dtype)]

    def reset_states(self, states: Any = None) -> None:
        """Sets the recorded states of a stateful layer.

        Args:
            states: ``(batch, units)`` or a list of that, NumPy or tensor; None sets zeros.

        Raises:
            NotStateful: the layer is not stateful.
            CallError: it is not built yet, or the shape is another.
        """
        if not self.stateful:
            raise NotStateful(f"layer {self.name!r} has no states to reset: it was made without stateful=True")
        if self.states is None:
            raise CallError(f"layer {self.name!r} has no states yet: call or build it with a fixed batch size first")
        recorded = self.states[0]
        if states is None:
            recorded.assign(tf.zeros(recorded.shape, recorded.dtype))
            return
        value = np.asarray(calls.single("states", states)) if not tf.is_tensor(states) else states
        if tuple(value.shape) != tuple(recorded.shape):
            raise CallError(f"states have shape {tuple(value.shape)}: expected (batch, units) = {tuple(recorded.shape)}")
        recorded.assign(value)

    def get_config(self) -> dict[str, Any]:
        """Everything that makes the same layer again, weights and states aside."""
        found = {
            **super().get_config(),
            "activation": serialize_activation(self.activation),
            "recurrent_activation": serialize_activation(self.recurrent_activation),
            "implementation": self.implementation,
            "time_major": self.time_major,
            "use_cudnn": self.use_cudnn,
        }
        config = {name: found[name] for name in CONFIG}
        if not self.autocast:
            config["autocast"] = False
        if self._given_shape is not None:
            config["batch_input_shape"] = self._given_shape
        return config

    def _batch_and_time(self, shape: Any) -> tuple[Any, Any]:
        return (shape[1], shape[0]) if self.time_major else (shape[0], shape[1])

    def _first_state(self, sequence: tf.Tensor, initial_state: Any, call: Call) -> tf.Tensor:
        """The state to begin with, ``(batch, units)``, for time-major inputs."""
        if initial_state is None and self.stateful:
            initial_state = call.first("state", lambda: tf.identity(self.states[0].value))
        if initial_state is None:
            batch = sequence.shape[1] if sequence.shape[1] is not None else tf.shape(sequence)[1]
            return self.get_initial_state(batch_size=batch)[0]
        state = tf.cast(tf.convert_to_tensor(calls.single("initial_state", initial_state)), self.compute_dtype)
        return tf.ensure_shape(state, (sequence.shape[1], self.units))

    def _weights(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None, tf.Tensor | None]:
        """Kernel, recurrent kernel, bias, recurrent bias in the compute data type, each read once."""
        cell = self.cell
        kernel, recurrent_kernel = (tf.cast(weight.value, self.compute_dtype) for weight in (cell.kernel, cell.recurrent_kernel))
        if cell.bias is None:
            return kernel, recurrent_kernel, None, None
        bias = tf.cast(cell.bias.value, self.compute_dtype)
        return (kernel, recurrent_kernel, bias[0], bias[1]) if self.reset_after else (kernel, recurrent_kernel, bias, None)
