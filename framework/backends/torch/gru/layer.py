"""The documented GRU as a torch module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from framework.backends.torch.activity import ActivityPenalties
from framework.backends.torch.gru.arguments import DTYPES, SPEC_OPTIONS, parse_arguments
from framework.backends.torch.gru.calls import GRUCalls
from framework.backends.torch.gru.dropout import DropoutMasks
from framework.backends.torch.gru.loop import Cell
from framework.backends.torch.gru.properties import WEIGHTS, GRUProperties
from framework.backends.torch.gru.surface import GRUSurface
from framework.backends.torch.recomputation import CallLog
from framework.backends.torch.weights import read_weight, write_weights
from framework.errors import InputError
from framework.spec.layers.gru import GRUSpec

DOCUMENTED = (
    "units", "activation", "recurrent_activation", "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer",
    "kernel_regularizer", "recurrent_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint",
    "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout", "implementation", "return_sequences", "return_state",
    "go_backwards", "stateful", "unroll", "time_major", "reset_after",
)  # fmt: skip
"""Every argument of the documented constructor, in its order."""


class GRU(GRUCalls, GRUSurface, GRUProperties, nn.Module):
    """Gated recurrent unit, Cho et al. 2014, with the arguments, methods and numbers of ``tf.compat.v2.keras.layers.GRU``.

    Weights are parameters in Keras' layout with gates z, r, h: ``kernel (features, 3·units)``, ``recurrent_kernel (units, 3·units)``,
    ``bias (2, 3·units)`` with ``reset_after``, else ``(3·units,)``. They are created at the first call, or at once when the input's
    width is given (``input_shape=(time, features)``, ``batch_input_shape=(batch, time, features)`` or ``input_dim=features``); an
    optimizer made before that would miss them.

    The arguments are the documented ones, in their order and with their defaults, and these keywords: ``name``, ``dtype`` (a torch or
    Keras name, or ``mixed_bfloat16``), ``trainable``, ``seed`` (of the dropout), ``use_cudnn``, ``zero_output_for_mask``, the forms of
    the input shape named above with ``batch_shape``, ``input_length`` and ``batch_size``, and ``weights`` (first weights in Keras'
    order). Activations, initializers, regularizers and constraints are Keras names, ``{class_name, config}`` mappings or torch functions.

    Where frameworks disagree: dropout masks are drawn once a batch and shared by all steps; a call's ``initial_state`` wins over the kept
    state of a ``stateful`` layer; ``hard_sigmoid`` is Keras 3's; a ``dropout`` of 1 drops everything.
    With or without ``unroll``, the steps are run one by one from Python, so it changes nothing.

    Raises:
        SpecError: arguments are not accepted; every one is named.
        UnsupportedArgument: ``use_cudnn=True`` and cuDNN cannot run this layer; every reason is named.

    Source: TensorFlow 2.0 API documentation, ``tf.compat.v2.keras.layers.GRU``; Keras 3 documentation, "GRU layer".
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
        given = locals()
        super().__init__()
        self.arguments = parse_arguments({name: given[name] for name in DOCUMENTED}, kwargs)
        for argument, function in self.arguments.functions.items():
            if isinstance(function, nn.Module):  # a part of this one: trained, moved and saved with it
                self.add_module(f"{argument}_function", function)
        self._cell = Cell(self.activation, self.recurrent_activation, self.reset_after)
        self.activity_penalties = ActivityPenalties()
        self.call_log = CallLog()
        self.dropout_masks = DropoutMasks(self.dropout, self.seed, 1, "dropout mask", self.call_log)
        self.recurrent_dropout_masks = DropoutMasks(self.recurrent_dropout, self.seed, 2, "recurrent dropout mask", self.call_log)
        for name in WEIGHTS:
            self.register_parameter(name, None)
        self.state = None
        self._told = False
        self._refuse_impossible_cudnn()
        if self.arguments.shape.features is not None:
            self.build(self.arguments.shape.features)

    @classmethod
    def from_spec(cls, spec: GRUSpec, features: int | None = None, batch_size: int | None = None, **options: Any) -> GRU:
        """The layer of a config's ``gru``.

        Args:
            spec: with its sizes filled in.
            features: width of the input, so that the weights are created at once.
            batch_size: rows of every batch, where fixed.
            options: keywords that win over the spec's, such as ``name``, ``seed``, ``dtype`` or ``use_cudnn``.
        """
        documented = {name: getattr(spec, name) for name in DOCUMENTED}
        keywords = {name: getattr(spec, name) for name in SPEC_OPTIONS}
        return cls(**documented, **{**keywords, "input_dim": features, "batch_size": batch_size, **options})

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self.recurrent_kernel is not None

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
            self._check_width(int(features))
            return
        dtype = DTYPES.get(self.arguments.spec.dtype or "", torch.get_default_dtype())
        with torch.inference_mode(False):  # a first call to look at the layer must not make weights that cannot be trained
            for name, shape in self._weight_shapes(int(features)).items():
                value = self._initializer(name)(shape, dtype=dtype).to(device or torch.get_default_device())
                # An orthogonal matrix comes out turned, and autograd would copy each of its gradients into that order.
                self.register_parameter(name, nn.Parameter(value.contiguous(), self.arguments.spec.trainable))
        if self.arguments.weights is not None:
            self.set_weights(self.arguments.weights)
        if self.stateful and self.arguments.shape.batch is not None:
            self._keep(self._zeros(self.arguments.shape.batch))

    def get_weights(self) -> list[NDArray[Any]]:
        """Copies of the weights as arrays in Keras' layout and order; bfloat16 as float32. Empty before they exist."""
        weights = [weight.detach().cpu() for weight in self._weights().values()]
        return [(weight.float() if weight.dtype == torch.bfloat16 else weight).numpy().copy() for weight in weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Sets the weights from arrays or tensors in Keras' layout and order.

        Raises:
            InputError: the layer has no weights yet, their number differs, or a shape does; both sides are shown. Or a weight is
                parametrized or pruned in a way that cannot give the value; it is named, and all weights are as they were.
        """
        own = self._weights()
        if not own:
            raise InputError(f"{self.label} has no weights yet: call it, or build(input_shape), before set_weights")
        if len(own) != len(weights):
            raise InputError(f"{self.label} has {len(own)} weights ({', '.join(own)}), but {len(weights)} were given")
        values = [torch.as_tensor(np.asarray(value) if not isinstance(value, Tensor) else value) for value in weights]
        for (name, weight), value in zip(own.items(), values, strict=True):
            if weight.shape != value.shape:
                raise InputError(f"{self.label}: {name} has the shape {tuple(weight.shape)}, but {tuple(value.shape)} was given")
        write_weights(self.label, (((self, name), value) for name, value in zip(own, values, strict=True)))

    def get_config(self) -> dict[str, Any]:
        """Everything that :meth:`from_config` needs for the same layer, under the constructor's names; weights are not in it.

        A module given for a function is in it as a copy, so that layers made of the config do not share its parameters.
        """
        arguments = self.arguments
        functions = {name: deepcopy(one) if isinstance(one, nn.Module) else one for name, one in arguments.functions.items()}
        config = {name: _as_config(functions.get(name, getattr(arguments.spec, name))) for name in (*DOCUMENTED, *SPEC_OPTIONS)}
        return {**config, **arguments.shape_options}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> GRU:
        """The layer of :meth:`get_config`, or of the configs that Keras 3 and tf-keras write for their GRU."""
        unknown_to_torch = {"autocast", "dynamic", "batch_input_shape" if config.get("batch_input_shape") is None else ""}
        return cls(**{key: value for key, value in config.items() if key not in unknown_to_torch})

    def extra_repr(self) -> str:
        """What differs from the defaults, for ``print``."""
        default = GRUSpec.model_validate({"units": self.units})
        config = {name: getattr(self.arguments.spec, name) for name in (*DOCUMENTED, *SPEC_OPTIONS)}
        config.update(self.arguments.functions)
        changed = [f"{name}={_as_config(value)!r}" for name, value in config.items() if value != getattr(default, name)]
        return ", ".join([str(self.units), *changed])

    def _weights(self) -> dict[str, Tensor]:
        return {name: read_weight(self, name) for name in WEIGHTS if getattr(self, name) is not None}

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        kernel = state_dict.get(f"{prefix}kernel")
        if kernel is not None and not self.built:
            self.build(kernel.shape[0])
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _as_config(value: Any) -> Any:
    if hasattr(value, "class_name"):
        return {"class_name": value.class_name, "config": dict(value.config)} if value.config else value.class_name
    return value
