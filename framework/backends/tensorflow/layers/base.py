"""What every layer of a model shares on Keras: data types, seeds, cuDNN, names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from framework.backends.base.dropout import dropout_seed
from framework.builder.plan import PlannedLayer
from framework.errors import UnsupportedArgument
from framework.spec.backend import BackendSpec
from framework.spec.layers.gru import GRUSpec
from framework.spec.trainer import TrainerSpec

POLICIES = {"32-true": "float32", "64-true": "float64", "bf16-mixed": "mixed_bfloat16"}
"""Keras' data type policies by precision."""

LAYER_DTYPES = ("float16", "bfloat16", "float32", "float64")
"""What a single layer may compute in."""


@dataclass(frozen=True)
class BuildContext:
    """What the layers of one model share.

    Attributes:
        policy: Keras' data type policy of layers that do not say their own ``dtype``.
        seed: seed of the model.
        use_cudnn: what a GRU does that says ``auto`` itself.
    """

    policy: str
    seed: int
    use_cudnn: bool | Literal["auto"] = "auto"

    @classmethod
    def of(cls, seed: int, trainer: TrainerSpec, backend: BackendSpec) -> BuildContext:
        """The context of a run."""
        return cls(POLICIES[trainer.precision], seed, backend.use_cudnn)

    def shared(self, planned: PlannedLayer) -> dict[str, Any]:
        """``name``, ``dtype`` and ``trainable``, which every layer takes.

        Raises:
            UnsupportedArgument: the layer's ``dtype`` is none that Keras computes in.
        """
        spec = planned.spec
        if spec.dtype is not None and spec.dtype not in LAYER_DTYPES:
            raise UnsupportedArgument(f"model.layers.{planned.name}.dtype: no '{spec.dtype}' on TensorFlow; expected one of {LAYER_DTYPES}")
        return {"name": native_name(planned), "dtype": spec.dtype or self.policy, "trainable": spec.trainable}

    def seed_of(self, name: str, given: int | None) -> int:
        """Seed of a layer's random numbers: the given one, or one made from the model's seed and the layer's name."""
        if given is not None:
            return given
        return dropout_seed(self.seed, name)

    def cudnn(self, spec: GRUSpec) -> bool | Literal["auto"]:
        """What a GRU does about cuDNN."""
        return self.use_cudnn if spec.use_cudnn == "auto" else spec.use_cudnn


def native_name(planned: PlannedLayer) -> str:
    """Name of the Keras layer that is built from a planned one."""
    return keras_name(getattr(planned.spec, "name", None) or planned.name)


def keras_name(name: str) -> str:
    """A name that TensorFlow takes for a scope: the config's, with anything else than letters, digits and ``_.-`` replaced."""
    valid = re.sub(r"[^A-Za-z0-9_.\-]", "_", name)
    return valid if re.match(r"[A-Za-z0-9.]", valid) else f"layer{valid}"
