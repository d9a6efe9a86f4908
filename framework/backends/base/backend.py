"""What each backend implements; the engine, parity and the command line know no more of it than this."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.objective import Objective, Totals
from framework.backends.base.processes import Processes, World
from framework.backends.base.training import Arrays, Training, TrainingEvents
from framework.builder.plan import ModelPlan
from framework.data.batches import Batch, Batches
from framework.decoding.precision import Precision
from framework.decoding.stepper import Stepper
from framework.spec.backend import BackendSpec
from framework.spec.trainer import TrainerSpec


class Trainee(Protocol):
    """A built model with its optimizer: what is trained, saved and restored.

    Attributes:
        native: the ``keras.Model`` or the ``LightningModule``.
        plan: what it was built from.
    """

    native: Any
    plan: ModelPlan

    def weights(self) -> dict[str, NDArray[np.generic]]:
        """Weights by ``layer/weight`` in Keras' layout and order, copied."""
        ...

    def set_weights(self, weights: Arrays) -> None:
        """Sets weights by ``layer/weight``.

        Raises:
            CheckpointError: a name is missing or unknown, or a shape differs; both sides are shown.
        """
        ...

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Everything that going on to the same bits needs, copied; its parts and names are those of :mod:`framework.backends.base.state`.

        Raises:
            TrainingError: the loss of a step that was not read yet is not finite.
        """
        ...

    def load_state(self, state: Arrays) -> None:
        """Takes back what :meth:`state` gave, on either backend, now or in an earlier version; what it has not is as in a new trainee.

        Raises:
            CheckpointError: it does not fit this model; nothing is changed then.
        """
        ...

    def fit(self, training: Training, events: TrainingEvents) -> None:
        """Trains with the backend's own trainer (Lightning ``Trainer.fit``, Keras ``Model.fit``) and tells ``events``.

        Raises:
            TrainingError: the loss is not finite, or memory ran out.
        """
        ...

    def evaluate(self, batches: Batches, limit: int | None = None) -> Totals:
        """Sums over batches of what the objective measures, from zero states; training states are left as they were.

        Raises:
            DataError: there are no batches.
        """
        ...

    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, NDArray[np.generic]]]:
        """Mean loss, and the gradients by weight that the optimizer would get, for one batch without dropout; nothing is changed."""
        ...

    def predict(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Model outputs by name for one batch, in inference mode."""
        ...

    def stepper(self, decoded: str | None = None, precision: Precision = "float32") -> Stepper:
        """The derived decoding step with the weights of now.

        Args:
            decoded: the model input that is decoded; the only one that can be, when not given.
            precision: of large products.

        Raises:
            UnsupportedArgument: a layer on the way has no step form; it is named. Or the backend has no products of that precision.
        """
        ...

    def reset_states(self) -> None:
        """Puts the states of stateful layers to zeros."""
        ...


class Backend(Protocol):
    """One framework behind its floor; made by :func:`framework.backends.base.registry.load_backend`."""

    name: str

    def configure(self, spec: BackendSpec, seed: int) -> None:
        """Threads, device and the process's own random numbers; once a process.

        Raises:
            BackendUnavailable: the device is not there.
        """
        ...

    def build(
        self, plan: ModelPlan, weights: Arrays, trainer: TrainerSpec, backend: BackendSpec, objective: Objective | None = None
    ) -> Trainee:
        """The native model with the given initial weights.

        Args:
            plan: of the model.
            weights: by ``layer/weight``.
            trainer: the precision to compute in.
            backend: device and cuDNN.
            objective: what it is trained for and measured by; cross-entropy in nats a token when not given.

        Raises:
            UnsupportedArgument: this backend cannot honour an argument; layer and argument are named.
        """
        ...

    def join(self, world: World, spec: BackendSpec) -> Processes:
        """Meets the other processes of a training; before anything is built, and left before the next.

        Raises:
            BackendUnavailable: they cannot be reached, or this process has computed something already where it must not have.
        """
        ...

    def versions(self) -> dict[str, str]:
        """Names and versions of the libraries in use."""
        ...
