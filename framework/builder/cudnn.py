"""The one table of conditions for cuDNN's GRU: it decides, and it explains.

Sources: TensorFlow API documentation, ``tf.keras.layers.GRU`` ("The requirements to use the cuDNN implementation are"); Keras 3,
``backend/tensorflow/rnn.py``; PyTorch documentation, ``torch.nn.GRU``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from framework.spec.identifiers import Identifier
from framework.spec.layers.gru import GRUSpec

BACKENDS = ("torch", "tensorflow")


@dataclass(frozen=True)
class GRUTraits:
    """What about a GRU matters to cuDNN: the settings of its spec, and where it runs.

    Attributes:
        backend: ``torch`` or ``tensorflow``.
        device: ``gpu``, ``cpu``, or ``auto`` where it is not known yet.
        dtype: data type of the computation.
        masked: whether a mask comes with the input.
        attends: whether an attention stands between one step and the next.
    """

    backend: str
    device: str = "auto"
    dtype: str = "float32"
    masked: bool = False
    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"
    use_bias: bool = True
    reset_after: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    implementation: int = 2
    unroll: bool = False
    go_backwards: bool = False
    use_cudnn: bool | Literal["auto"] = "auto"
    attends: bool = False

    @classmethod
    def from_spec(
        cls, spec: GRUSpec, backend: str, device: str, dtype: str, masked: bool, use_cudnn: bool | str, attends: bool = False
    ) -> GRUTraits:
        """The traits of a layer of a config; a layer's ``auto`` is the run's ``use_cudnn``."""
        return cls(
            backend=backend,
            device=device,
            dtype=dtype,
            masked=masked,
            attends=attends,
            activation=activation_name(spec.activation),
            recurrent_activation=activation_name(spec.recurrent_activation),
            use_cudnn=spec.use_cudnn if spec.use_cudnn != "auto" else use_cudnn,  # type: ignore[arg-type]
            **{name: getattr(spec, name) for name in SAME_NAMES},
        )


SAME_NAMES = ("use_bias", "reset_after", "dropout", "recurrent_dropout", "implementation", "unroll", "go_backwards")


def activation_name(activation: Identifier | None) -> str:
    """Name of an activation; None is ``linear``."""
    return "linear" if activation is None else activation.class_name


@dataclass(frozen=True)
class Condition:
    """One line of the table.

    Attributes:
        argument: what it is about, as the user writes it.
        met: whether the traits meet it.
        reason: why cuDNN cannot do it otherwise.
        change: the change to the config that would lift it; ``lift`` is what Gatework itself does instead, where the result stays
            the same. Exactly one of the two is given.
        lift: see ``change``.
    """

    argument: str
    met: Callable[[GRUTraits], bool]
    reason: str
    change: str | None = None
    lift: str | None = None


CONDITIONS = (
    Condition("use_cudnn", lambda gru: gru.use_cudnn is not False, "the config switches cuDNN off", "use_cudnn: auto"),
    Condition(
        "device", lambda gru: gru.device != "cpu", "cuDNN runs on CUDA GPUs only", "run on a machine with a GPU, backend.device=auto"
    ),
    Condition(
        "attend",
        lambda gru: not gru.attends,
        "cuDNN runs all steps in one call, and the attention stands between one step and the next",
        "attend: after_cell without input_feeding",
    ),
    Condition(
        "dtype",
        lambda gru: gru.dtype in ("float16", "bfloat16", "float32", "float64"),
        "cuDNN has no kernel for this data type",
        "dtype: float32",
    ),
    Condition("activation", lambda gru: gru.activation == "tanh", "cuDNN's GRU has tanh built in", "activation: tanh"),
    Condition(
        "recurrent_activation",
        lambda gru: gru.recurrent_activation == "sigmoid",
        "cuDNN's GRU has sigmoid built in",
        "recurrent_activation: sigmoid",
    ),
    Condition(
        "recurrent_dropout",
        lambda gru: gru.recurrent_dropout == 0,
        "cuDNN has no dropout on the state within a layer",
        "recurrent_dropout: 0",
    ),
    Condition("reset_after", lambda gru: gru.reset_after, "cuDNN applies the reset gate after the product", "reset_after: true"),
    Condition(
        "implementation",
        lambda gru: gru.implementation == 2 or gru.dropout == 0,
        "implementation 1 drops different inputs for each gate",
        "implementation: 2",
    ),
    Condition("use_bias", lambda gru: gru.use_bias, "cuDNN's GRU has a bias", lift="runs with a bias of zeros"),
    Condition("unroll", lambda gru: not gru.unroll, "cuDNN runs its own loop", lift="the loop's form does not change the result"),
    Condition(
        "dropout", lambda gru: gru.dropout == 0, "cuDNN drops between layers only", lift="the inputs are masked before the kernel runs"
    ),
    Condition("go_backwards", lambda gru: not gru.go_backwards, "the kernel runs forwards", lift="the sequence is reversed first"),
    Condition(
        "mask",
        lambda gru: not gru.masked,
        "cuDNN takes right-padded rows with at least one valid step",
        lift="valid steps are moved to the front, and the outputs moved back",
    ),
)
"""Every condition, the ones that only a change of the config lifts first."""


@dataclass(frozen=True)
class CudnnVerdict:
    """Whether a GRU runs on cuDNN, and why.

    Attributes:
        eligible: whether it can.
        obstacles: conditions that fail and that only a change of the config lifts.
        lifted: conditions that fail and that Gatework lifts without changing the result.
    """

    eligible: bool
    obstacles: tuple[Condition, ...]
    lifted: tuple[Condition, ...]

    def reasons(self) -> list[str]:
        """One line for each obstacle: the argument, why, and the change that lifts it."""
        return [f"{one.argument}: {one.reason}; {one.change} lifts it" for one in self.obstacles]


def judge(gru: GRUTraits) -> CudnnVerdict:
    """The verdict on a GRU."""
    failed = [condition for condition in CONDITIONS if not condition.met(gru)]
    obstacles = tuple(condition for condition in failed if condition.lift is None)
    return CudnnVerdict(not obstacles, obstacles, tuple(condition for condition in failed if condition.lift is not None))
