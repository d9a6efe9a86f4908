"""The GRU layer of TensorFlow's documentation, as a torch module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from framework.backends.base.gru_arguments import CONFIG, check_arguments
from framework.backends.torch.activity import ActivityPenalties
from framework.backends.torch.gru import calls, cudnn, state, weights
from framework.backends.torch.gru.arguments import as_config, own_value
from framework.backends.torch.gru.dropout import masks_for_cell
from framework.backends.torch.gru.loop import step
from framework.backends.torch.gru.masks import output_mask, read_mask
from framework.backends.torch.gru.routes import choose, run_route
from framework.backends.torch.gru.settings import GRUSettings
from framework.backends.torch.precision import DTYPES
from framework.backends.torch.tracing import as_one_node, refuse_keeping, refuse_scripting
from framework.builder.cudnn import CudnnVerdict
from framework.errors import InputError
from framework.spec.layers.gru import GRUSpec


class GRU(GRUSettings):
    """Gated recurrent unit with the arguments, methods and numbers of TensorFlow's documented layer.

    Weights are parameters in Keras' layout with gates z, r, h: ``kernel (features, 3·units)``, ``recurrent_kernel (units, 3·units)``,
    ``bias (2, 3·units)`` with ``reset_after``, else ``(3·units,)``. They are created at the first call, or at once when the input's width
    is given; an optimizer made before that would miss them.

    Where frameworks disagree: dropout masks are drawn once a batch and shared by all steps; a call's ``initial_state`` wins over the kept
    state of a ``stateful`` layer; ``hard_sigmoid`` is Keras 3's; a masked step repeats the output before it, at first zeros.

    Args:
        units: width of the state and of the output, positive.
        activation: of the candidate state: a Keras name, a torch function or module; None is linear. Likewise all functions below, which
            may also be ``{class_name, config}`` mappings.
        recurrent_activation: of the gates.
        use_bias: whether there is a bias.
        kernel_initializer: draws the first ``kernel``.
        recurrent_initializer: draws the first ``recurrent_kernel``.
        bias_initializer: draws the first ``bias``.
        kernel_regularizer: penalty on ``kernel``, in :meth:`losses`.
        recurrent_regularizer: penalty on ``recurrent_kernel``.
        bias_regularizer: penalty on ``bias``.
        activity_regularizer: penalty on what the layer returns, divided by the length of its first axis.
        kernel_constraint: of ``kernel``, put in force by :meth:`apply_constraints`.
        recurrent_constraint: of ``recurrent_kernel``.
        bias_constraint: of ``bias``.
        dropout: fraction of the inputs to drop, 0 to 1.
        recurrent_dropout: fraction of the state to drop, 0 to 1; not zero means ``implementation=1``, as in Keras.
        implementation: 1 draws a dropout mask a gate, 2 one for all.
        return_sequences: return all outputs instead of the last.
        return_state: also return the last state.
        go_backwards: process the sequence backwards and return the reversed sequence.
        stateful: a batch starts from the state that the batch before ended with.
        unroll: without effect: the steps are run one by one from Python anyway.
        time_major: inputs, mask and output sequence are ``(time, batch, …)``.
        reset_after: apply the reset gate after the product with the recurrent kernel, as cuDNN does.
        **kwargs: ``name``, ``trainable``; ``dtype``, a torch or Keras name or ``mixed_bfloat16``; ``seed`` of the dropout; ``use_cudnn``:
            True, False or ``"auto"``; ``zero_output_for_mask``; the input's shape as ``input_shape=(time, features)``,
            ``batch_input_shape=(batch, time, features)``, ``batch_shape`` or ``input_dim`` with ``input_length`` and ``batch_size``;
            ``weights``, the first weights in Keras' order.

    Call arguments:
        inputs: ``(batch, time, features)``, or a list of that and the first state.
        mask: ``(batch, time)``, which steps count.
        training: whether dropout applies; None is the module's own mode.
        initial_state: ``(batch, units)``, or a list of that.

    Example:
        >>> layer = GRU(4, return_sequences=True, return_state=True, input_shape=(None, 8))
        >>> outputs, last = layer(torch.randn(32, 10, 8))
        >>> outputs.shape, last.shape
        (torch.Size([32, 10, 4]), torch.Size([32, 4]))

    Raises:
        ArgumentError: arguments are not accepted; every one is named.
        UnsupportedArgument: ``use_cudnn=True`` and cuDNN cannot run this layer; every reason is named.

    Source: TensorFlow 2.0 API documentation, ``tf.compat.v2.keras.layers.GRU``; Keras 3 documentation, "GRU layer"; Cho et al. 2014.
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
        super().__init__(check_arguments(locals(), kwargs, own_value))
        self.activity_penalties = ActivityPenalties()
        cudnn.require(self, self.cudnn_verdict())
        if self.arguments.shape.features is not None:
            self.build(self.arguments.shape.features)

    def build(self, input_shape: int | Sequence[int | None], device: torch.device | str | None = None) -> None:
        """Creates the weights, and the kept state where the batch size is known.

        Args:
            input_shape: width of the input, or its whole shape; only the last number counts.
            device: where; torch's default device when not given.

        Raises:
            InputError: the width is not known, or the layer is built for another one.
        """
        features = input_shape if isinstance(input_shape, int) else input_shape[-1]
        if features is None:
            raise InputError(f"{self.label}: the input shape {tuple(input_shape)} does not say how wide a step is")  # type: ignore[arg-type]
        if self.built:
            calls.check_width(self, int(features))
            return
        weights.create_weights(self, int(features), DTYPES.get(self.dtype or "", torch.get_default_dtype()), device)
        if self.arguments.weights is not None:
            self.set_weights(self.arguments.weights)
        if self.stateful and self.arguments.shape.batch is not None:
            state.keep(self, state.zeros(self, self.arguments.shape.batch))

    def forward(self, inputs: Any, mask: Any = None, training: bool | None = None, initial_state: Any = None) -> Any:
        """Runs a batch of sequences; see the class for the arguments, which have time first with ``time_major``.

        Returns:
            The last output ``(batch, units)``, or with ``return_sequences`` the outputs ``(batch, time, units)`` in the layout of the
            inputs and the order of processing; with ``return_state`` the tuple of that and the last state ``(batch, units)``.

        Raises:
            InputError: a shape or data type does not fit; the message names the argument.
            UnsupportedArgument: ``use_cudnn=True`` off a GPU; or a tracer or an export records a layer that is stateful or drops out.
        """
        node = as_one_node(self, self.label, inputs, mask, training, initial_state)
        if node is not None:
            return node
        sequence, initial_state = calls.read_inputs(self, inputs, initial_state)
        if not self.built:
            self.build(sequence.shape[-1], sequence.device)
        sequence = calls.in_compute_type(self, sequence)
        time_mask = read_mask(mask, sequence.shape[1], sequence.shape[0], self.time_major, sequence.device)
        training = self.training if training is None else training
        call = calls.enter(self, training)
        first = state.first_state(self, initial_state, sequence, call)
        if self.go_backwards:
            sequence = sequence.flip(0)
            time_mask = None if time_mask is None else time_mask.flip(0)
        given = calls.with_dropout(self, sequence, first, time_mask, call if training else None)
        own_weights, cell = weights.in_type(self, sequence.dtype)
        route = choose(given, own_weights, cell, cudnn.runs_on_cudnn(self, sequence, time_mask is not None))
        with calls.without_autocast(sequence):
            hidden, last = run_route(route, given, own_weights, cell)
        if self.stateful and not (call is not None and call.again):
            refuse_keeping(self.label, last, self.recurrent_kernel)
            state.keep(self, last)
        output = calls.output_of(self, hidden, last, time_mask)
        results = (output, last) if self.return_state else (output,)
        if self.activity_regularizer is not None:
            self.activity_penalties.record(self.activity_regularizer, results, self.training, self.label)
        return results if self.return_state else output

    def step(self, inputs: Tensor, state: Tensor) -> Tensor:
        """One step without dropout, for decoding.

        Args:
            inputs: ``(batch, features)``.
            state: ``(batch, units)``.

        Returns:
            The new state ``(batch, units)``, which is the output as well.
        """
        weights.weights_of(self)  # which brings pruned weights up to date
        own_weights, cell = weights.in_type(self, inputs.dtype)
        projected = inputs @ own_weights.kernel
        if own_weights.input_bias is not None:
            projected = projected + own_weights.input_bias
        return step(projected, state, own_weights, cell)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output: that of the inputs in the order of the outputs with ``return_sequences``, else None.

        With ``return_state``, the list of it and None.
        """
        through = output_mask(mask, self.time_major, self.go_backwards) if self.return_sequences else None
        return [through, None] if self.return_state else through

    def get_initial_state(self, inputs: Tensor | None = None, batch_size: int | None = None) -> list[Tensor]:
        """Zeros ``[(batch, units)]`` for a batch like ``inputs``, or of ``batch_size`` rows as in Keras 3.

        Raises:
            InputError: neither is given.
        """
        if inputs is not None:
            batch_size = inputs.shape[1] if self.time_major and inputs.dim() == 3 else inputs.shape[0]
        if batch_size is None:
            raise InputError(f"{self.label}: get_initial_state needs inputs or batch_size")
        return [state.zeros(self, batch_size, inputs)]

    def reset_states(self, states: Any = None) -> None:
        """Sets the kept state of a stateful layer.

        Args:
            states: ``(batch, units)`` or a list with it, a tensor or array; zeros when not given.

        Raises:
            InputError: the layer is not stateful, or the shape does not fit.
        """
        state.reset(self, states)

    def get_dropout_mask_for_cell(self, inputs: Tensor, training: bool | None, count: int = 1) -> Any:
        """The dropout mask on the inputs, which the layer's next call will apply, or its last call applied.

        Args:
            inputs: of one step ``(batch, features)``, or of the whole sequence; their product with the mask is the dropped input.
            training: True, False, or None for the module's own mode.
            count: how many masks; three are the gates' z, r and h.

        Returns:
            None when ``dropout`` is 0; a mask for a ``count`` of 1, else a list; ones when not training.
        """
        return masks_for_cell(self.dropout_masks, inputs, self.training if training is None else training, self.time_major, count)

    def get_recurrent_dropout_mask_for_cell(self, inputs: Tensor, training: bool | None, count: int = 1) -> Any:
        """The dropout mask on the state ``inputs (batch, units)``; otherwise as :meth:`get_dropout_mask_for_cell`."""
        return masks_for_cell(self.recurrent_dropout_masks, inputs, self.training if training is None else training, self.time_major, count)

    def set_dropout_masks(self, inputs: Sequence[Tensor] = (), recurrent: Sequence[Tensor] = ()) -> None:
        """Makes the next call in training apply these masks instead of drawing them, for comparisons.

        Args:
            inputs: masks ``(batch, features)``: one, or z, r, h with ``implementation`` 1.
            recurrent: masks ``(batch, units)`` z, r, h.
        """
        if inputs:
            self.dropout_masks.put(inputs)
        if recurrent:
            self.recurrent_dropout_masks.put(recurrent)

    def reset_dropout_mask(self) -> None:
        """Forgets the dropout masks on the inputs; the next call draws new ones."""
        self.dropout_masks.clear()

    def reset_recurrent_dropout_mask(self) -> None:
        """Forgets the dropout masks on the state; the next call draws new ones."""
        self.recurrent_dropout_masks.clear()

    def losses(self) -> list[Tensor]:
        """Penalties to add to the loss: of each regularized weight, and of the outputs of all calls of the step.

        The calls of a step are those since the penalties were last asked for, or since a backward pass went through an output.
        """
        penalties = [(weights.function_of(self, name, "regularizer"), weight) for name, weight in weights.weights_of(self).items()]
        of_weights: list[Tensor] = [penalty(weight) for penalty, weight in penalties if penalty is not None]
        return of_weights if self.activity_regularizer is None else [*of_weights, *self.activity_penalties.read()]

    def apply_constraints(self) -> None:
        """Projects the constrained weights, in place; to be called after each optimizer step.

        Raises:
            InputError: a weight is computed in a way that cannot give its projection; it is named.
        """
        weights.project_weights(self)

    def get_weights(self) -> list[NDArray[np.generic]]:
        """Copies of the weights as arrays in Keras' layout and order; bfloat16 as float32. Empty before they exist."""
        return weights.arrays_of(self)

    def set_weights(self, arrays: Sequence[Any]) -> None:
        """Sets the weights from arrays or tensors in Keras' layout and order.

        Raises:
            InputError: their number or a shape differs, or a weight is computed in a way that cannot give the value; nothing is changed.
        """
        weights.write_arrays(self, arrays)

    def get_config(self) -> dict[str, Any]:
        """Everything that :meth:`from_config` needs for the same layer, under the constructor's names; weights are not in it.

        A module given for a function is in it as a copy, so that layers made of the config do not share its parameters.
        """
        values = {name: self.arguments[name] for name in CONFIG}
        config = {name: deepcopy(one) if isinstance(one, nn.Module) else as_config(one) for name, one in values.items()}
        return {**config, **self.arguments.shape_options}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> GRU:
        """The layer of :meth:`get_config`, or of the configs that Keras 3 and tf-keras write for their GRU."""
        return cls(**{key: value for key, value in config.items() if key != "autocast"})

    def cudnn_verdict(self, device: str = "auto", dtype: str = "float32", masked: bool = False) -> CudnnVerdict:
        """Whether cuDNN can run this layer, and why; see :func:`framework.backends.torch.gru.cudnn.verdict_on`."""
        return cudnn.verdict_on(self, device, dtype, masked)

    def extra_repr(self) -> str:
        """What differs from the defaults, for ``print``."""
        default = GRUSpec(units=self.units)
        changed = {name: self.arguments[name] for name in CONFIG if self.arguments[name] != getattr(default, name)}
        return ", ".join([str(self.units), *(f"{name}={as_config(value)!r}" for name, value in changed.items())])

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moves and casts the kept state with the weights. It is no buffer: each process and each copy of a model has its own rows."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.state = state.moved(self.state, fn)
        return self

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        kernel = state_dict.get(f"{prefix}kernel")
        if kernel is not None and not self.built:
            self.build(kernel.shape[0])
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def __prepare_scriptable__(self) -> None:
        """Tells ``torch.jit.script``, which compiles Python's source, what it cannot do."""
        refuse_scripting(self.label)
