"""A built torch model with its optimizer: trained, evaluated, saved and restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from framework.backends.base.ledger import Ledger
from framework.backends.base.objective import Totals, measured
from framework.backends.base.training import Arrays, Training, TrainingEvents
from framework.backends.torch.arrays import as_array, as_tensor
from framework.backends.torch.decoding.stepper import TorchStepper
from framework.backends.torch.fitting import fit
from framework.backends.torch.loader import BatchLoader, as_tensors
from framework.backends.torch.loss import RunningTotals
from framework.backends.torch.module import GraphModule
from framework.backends.torch.optimizers import make_optimizer
from framework.backends.torch.state import check_plan_weights, read_state, read_weights, write_optimizer, write_state
from framework.builder.plan import ModelPlan
from framework.data.batches import Batch, Batches
from framework.data.limit import limit as cut
from framework.decoding.precision import Precision
from framework.spec.optimizer import OptimizerSpec
from framework.spec.trainer import TrainerSpec


class TorchTrainee:
    """Implements :class:`framework.backends.base.backend.Trainee`.

    Args:
        native: the model, its weights set.
        trainer: the precision to compute in.
        device: to run on.
    """

    def __init__(self, native: GraphModule, trainer: TrainerSpec, device: torch.device) -> None:
        self.native: GraphModule = native
        self.plan: ModelPlan = native.plan
        self.precision = trainer.precision
        self.device = device
        self.ledger = Ledger()
        # What load_state gave the optimizer, until the training that makes one.
        self.pending_slots: dict[str, NDArray[np.generic]] = {}
        self._optimizer_spec: OptimizerSpec | None = None

    def weights(self) -> dict[str, NDArray[np.generic]]:
        """Weights by ``layer/weight`` in Keras' layout and order, copied; bfloat16 as float32."""
        return read_weights(self.native)

    def set_weights(self, weights: Arrays) -> None:
        """Sets weights by ``layer/weight``.

        Raises:
            CheckpointError: a name is missing or unknown, or a shape differs; both sides are shown.
        """
        check_plan_weights(self.plan, weights)
        self.native.set_weights(weights)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Everything that going on to the same bits needs, copied; see :mod:`framework.backends.base.state`."""
        return read_state(self.native, self.ledger, self.pending_slots)

    def load_state(self, state: Arrays) -> None:
        """Takes back what :meth:`state` gave; the optimizer's part is taken when training starts.

        Raises:
            CheckpointError: it does not fit this model; nothing is changed then.
        """
        self.pending_slots = write_state(self.native, self.ledger, state)

    def fit(self, training: Training, events: TrainingEvents) -> None:
        """Trains with Lightning's Trainer and tells ``events``; a further call with the same optimizer goes on with its state.

        Raises:
            TrainingError: the loss is not finite, or memory ran out.
        """
        if self.native.optimizer is None or self._optimizer_spec != training.optimizer:
            self.native.optimizer_spec = self._optimizer_spec = training.optimizer
            self.native.optimizer = make_optimizer(training.optimizer, self.native.parameters())
        if self.pending_slots:
            write_optimizer(self.native, self.native.optimizer, self.pending_slots)
            self.pending_slots = {}
        fit(self.native, training, events, self.ledger, self.device)

    def evaluate(self, batches: Batches, limit: int | None = None) -> Totals:
        """Sums over batches from zero states; training states are left as they were.

        Raises:
            DataError: there are no batches.
        """
        running = RunningTotals(self.native.objective)
        with torch.no_grad(), self._apart():
            for inputs, targets, weights, *_ in BatchLoader(cut(batches, limit), device=self.device):
                running.add(self.native.trained_output(inputs), targets, weights)
        return measured(running.value())

    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, NDArray[np.generic]]]:
        """Mean loss without penalties, and the gradients that the optimizer would get, penalties included, by trained weight.

        From zero states, without dropout and clipping; nothing is changed.
        """
        trained = {name: weight for name, weight in self.native.network.weights() if weight.requires_grad}
        with torch.enable_grad(), self._apart():
            total, loss = self.native.optimized_loss(as_tensors(batch, self.device))
            found = torch.autograd.grad(total, list(trained.values()), allow_unused=True, materialize_grads=True)
        return float(loss.mean.detach()), {name: as_array(gradient) for name, gradient in zip(trained, found, strict=True)}

    def predict(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Model outputs by name for one batch, in inference mode, from zero states; training states are left as they were."""
        with torch.no_grad(), self._apart():
            outputs = self.native.run({name: as_tensor(array, self.device) for name, array in inputs.items()})
        return {name: as_array(signal.value) for name, signal in outputs.items()}

    def stepper(self, decoded: str | None = None, precision: Precision = "float32") -> TorchStepper:
        """The derived decoding step with the weights of now; see the protocol."""
        self.native.to(self.device)
        return TorchStepper(self.native.network, decoded, precision)

    def reset_states(self) -> None:
        """Puts the states of stateful layers to zeros."""
        self.native.network.reset_states()

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Within, the model is in inference mode, on its device, in its precision, and its training states are put aside."""
        training = self.native.training
        self.native.to(self.device)
        self.native.eval()
        try:
            with self.native.network.fresh_states(), self._precision():
                yield
        finally:
            self.native.train(training)

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16-mixed")
