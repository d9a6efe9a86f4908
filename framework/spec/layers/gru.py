"""The documented GRU: every argument of ``tf.compat.v2.keras.layers.GRU`` under its name and with its default."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from framework.spec.base import Dimension
from framework.spec.identifiers import Activation, Constraint, Identifier, Initializer, Regularizer
from framework.spec.layers.base import LayerSpec, References, layer_kind


@layer_kind("gru")
class GRUSpec(LayerSpec):
    """Gated recurrent unit, Cho et al. 2014.

    Reads ``(batch, time, features)``, or ``(time, batch, features)`` with ``time_major``; gives ``(batch, units)``, or
    ``(batch, time, units)`` with ``return_sequences``; ``name.state`` is ``(batch, units)`` with ``return_state``.

    Source: TensorFlow 2.0 API documentation, ``tf.compat.v2.keras.layers.GRU``; Keras 3 documentation, "GRU layer", for ``seed``,
    ``use_cudnn`` and ``zero_output_for_mask``.
    """

    reference_fields: ClassVar[tuple[str, ...]] = ("inputs", "initial_state")
    outputs: ClassVar[tuple[str, ...]] = ("output", "state")

    kind: Literal["gru"] = "gru"

    units: Dimension
    """Dimensionality of the output space."""

    activation: Activation | None = Identifier(class_name="tanh")
    """Activation of the candidate state; null is linear."""

    recurrent_activation: Activation | None = Identifier(class_name="sigmoid")
    """Activation of the update and reset gates; null is linear."""

    use_bias: bool = True
    """Whether the layer has a bias."""

    kernel_initializer: Initializer | None = Identifier(class_name="glorot_uniform")
    """Initializer of the weights on the inputs."""

    recurrent_initializer: Initializer | None = Identifier(class_name="orthogonal")
    """Initializer of the weights on the state."""

    bias_initializer: Initializer | None = Identifier(class_name="zeros")
    """Initializer of the bias."""

    kernel_regularizer: Regularizer | None = None
    """Penalty on the weights on the inputs."""

    recurrent_regularizer: Regularizer | None = None
    """Penalty on the weights on the state."""

    bias_regularizer: Regularizer | None = None
    """Penalty on the bias."""

    activity_regularizer: Regularizer | None = None
    """Penalty on the layer's output."""

    kernel_constraint: Constraint | None = None
    """Constraint on the weights on the inputs, applied after each optimizer step."""

    recurrent_constraint: Constraint | None = None
    """Constraint on the weights on the state, applied after each optimizer step."""

    bias_constraint: Constraint | None = None
    """Constraint on the bias, applied after each optimizer step."""

    dropout: float = Field(0.0, ge=0.0, le=1.0)
    """Fraction of the inputs to drop, the same for every step of a batch."""

    recurrent_dropout: float = Field(0.0, ge=0.0, le=1.0)
    """Fraction of the state to drop, the same for every step of a batch."""

    implementation: Literal[1, 2] = 2
    """1: smaller products, a dropout mask a gate; 2: fused products, one mask."""

    return_sequences: bool = False
    """Return the whole output sequence instead of the last output."""

    return_state: bool = False
    """Also return the last state, read as ``name.state``."""

    go_backwards: bool = False
    """Process the sequence backwards and return the reversed sequence."""

    stateful: bool = False
    """Row i of a batch starts from the state that row i of the batch before ended with; needs a fixed batch."""

    unroll: bool = False
    """Write every step into TensorFlow's graph instead of a loop; torch has no graph. Needs a known number of steps."""

    time_major: bool = False
    """Inputs, mask and output sequence are (time, batch, …) instead of (batch, time, …)."""

    reset_after: bool = True
    """Apply the reset gate after the product with the recurrent weights (as cuDNN does) instead of before."""

    name: str | None = None
    """Name of the built layer; the key under ``layers`` when not given."""

    seed: int | None = None
    """Seed of the layer's dropout; derived from the run's seed when not given."""

    use_cudnn: bool | Literal["auto"] = "auto"
    """true: refuse to run elsewhere; false: never; auto: where the conditions hold, and say why where they do not."""

    zero_output_for_mask: bool = False
    """Give zeros at masked steps instead of repeating the output before."""

    initial_state: References | None = None
    """Layer or output, such as ``encoder.state``, that gives the first state ``(batch, units)``; zeros when not given."""
