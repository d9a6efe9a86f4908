"""A planned model as a LightningModule, which any Lightning Trainer can train."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from framework.backends.base.ledger import check_finite
from framework.backends.base.objective import Objective
from framework.backends.base.state import current_name
from framework.backends.torch.counted import counted_steps
from framework.backends.torch.layers.base import Setting
from framework.backends.torch.loss import Loss, batch_loss
from framework.backends.torch.model import Cut, Graph
from framework.backends.torch.optimizers import KerasOptimizer, clip_gradients, make_optimizer
from framework.backends.torch.processes import TorchProcesses
from framework.backends.torch.signal import Signal
from framework.backends.torch.tracing import as_one_node
from framework.backends.torch.weights import write_weights
from framework.builder.plan import ModelPlan
from framework.spec.optimizer import AdamSpec, OptimizerSpec

Inputs = Mapping[str, Tensor] | Tensor
NativeBatch = tuple[Any, ...]
"""``(inputs, targets)`` or ``(inputs, targets, weights)``; inputs by name, or the one tensor of a model with one input. Where it is a
part of a whole batch, a fourth says which (:class:`framework.data.batches.Part`)."""


class GraphModule(lightning.LightningModule):
    """A model built from a plan, with the loss that it is trained for.

    Works under a Trainer of one's own: batches are ``(inputs, targets)`` or ``(inputs, targets, weights)``, such as ``inputs (batch, time)
    int``, ``targets (batch, time) int``, ``weights (batch, time) float``. Logs ``loss`` and ``val_loss``.

    Args:
        plan: of the whole model.
        setting: what its layers have in common; that of the plan, in float32, when not given.
        objective: what it is trained for; sparse categorical cross-entropy from its logits when not given.

    Attributes:
        trained: name of the output that is compared with the targets.
        optimizer_spec: what :meth:`configure_optimizers` makes; Keras' Adam unless set.
        learning_rate: rate by optimizer step, counted from 0; the optimizer's own, constant, when None.
        steps: optimizer steps done.
        optimizer: what :meth:`configure_optimizers` gives instead of a new one, where training goes on.
        quiet: log nothing; for a Trainer that is told otherwise.
        processes: that train together, where batches say which rows of a whole one they are.

    Raises:
        UnsupportedArgument: a layer cannot be built as its config says; layer and argument are named.
    """

    def __init__(self, plan: ModelPlan, setting: Setting | None = None, objective: Objective | None = None) -> None:
        super().__init__()
        self.plan = plan
        self.objective = objective or Objective()
        self.trained = self.objective.output_of(plan.outputs)
        self.network = Graph(plan, setting or Setting(seed=plan.seed))
        self.optimizer_spec: OptimizerSpec = AdamSpec()
        self.learning_rate: Callable[[int], float] | None = None
        self.steps = 0
        self.optimizer: KerasOptimizer | None = None
        self.quiet = False
        self.processes: TorchProcesses | None = None
        # The states of the training, while a validation, a test or a prediction runs.
        self._training_states: dict[str, Tensor | None] | None = None

    @property
    def layers(self) -> nn.ModuleDict:
        """The layers by name."""
        return self.network.layers

    def forward(self, inputs: Inputs) -> Any:
        """Logits ``(batch, time, vocabulary)``; by name for a model of several outputs."""
        node = as_one_node(self, "this model", *(inputs.values() if isinstance(inputs, dict) else [inputs]))
        if node is not None:
            return node
        outputs = self.run(inputs)
        if len(outputs) == 1:
            return next(iter(outputs.values())).value
        return {name: signal.value for name, signal in outputs.items()}

    def run(self, inputs: Inputs, cut: Cut | None = None) -> dict[str, Signal]:
        """The outputs by name, with their masks; ``cut`` says what is left out."""
        named = {next(iter(self.plan.inputs)): inputs} if isinstance(inputs, Tensor) else inputs
        return self.network(named, cut)  # type: ignore[no-any-return]

    def trained_output(self, inputs: Inputs) -> Signal:
        """The output that is compared with the targets, with its mask."""
        return self.run(inputs)[self.trained]

    def loss(self, batch: NativeBatch) -> Loss:
        """What the loss of a batch is in training, penalties left out."""
        inputs, targets, *rest = batch
        cut, targets, weights = counted_steps(self.plan, self.trained, targets, rest[0] if rest else None)
        return batch_loss(self.objective, self.run(inputs, cut)[self.trained], targets, weights, smooth=True)

    def optimized_loss(self, batch: NativeBatch) -> tuple[Tensor, Loss]:
        """What the optimizer gets the gradient of, penalties included, and the loss without them."""
        loss = self.loss(batch)
        total, penalties = self.objective.optimized(*loss, len(batch[1])), self.network.losses()
        return (total if not penalties else total + sum(penalty.to(total.dtype) for penalty in penalties)), loss

    def _shared_loss(self, batch: NativeBatch, processes: TorchProcesses) -> tuple[Tensor, Loss]:
        """The same for a process's rows of a whole batch; the loss is the whole batch's.

        DistributedDataParallel takes the mean of all processes' gradients, and theirs is a sum, so each is as many times as large.
        """
        loss, part = self.loss(batch[:3]), batch[3]
        mean, weight = processes.whole_loss(loss)
        total = self.objective.share(loss.mean, loss.weight, weight.clamp_min(torch.finfo(weight.dtype).tiny), part.whole)
        penalties = self.network.losses()
        if penalties:
            total = total + sum(penalty.to(total.dtype) for penalty in penalties) * (part.rows / part.whole)
        return (total * processes.size).to(loss.mean.dtype), Loss(mean, weight)

    def training_step(self, batch: NativeBatch, batch_idx: int) -> dict[str, Any]:
        """The loss to optimize, and as ``mean`` and ``weight`` what there is to report of it, without penalties.

        Raises:
            TrainingError: the loss is not finite. Looked at on CPUs only: on a GPU, that would wait for the device.
        """
        shared = self.processes is not None and len(batch) > 3
        total, loss = self._shared_loss(batch, self.processes) if shared and self.processes else self.optimized_loss(batch)
        if total.device.type == "cpu":
            check_finite(float(loss.mean if shared else total.detach()), self.steps + 1)
        if not self.quiet:
            self.log("loss", loss.mean.detach(), prog_bar=True, batch_size=len(batch[1]))
        return {"loss": total, "mean": loss.mean.detach(), "weight": loss.weight}

    def validation_step(self, batch: NativeBatch, batch_idx: int) -> dict[str, Signal]:
        """The output that is compared with the targets; logs its mean loss, penalties left out."""
        output = self.trained_output(batch[0])
        if not self.quiet:
            loss = batch_loss(self.objective, output, batch[1], batch[2] if len(batch) > 2 else None)
            self.log("val_loss", loss.mean, prog_bar=True, batch_size=len(batch[1]))
        return {"output": output}

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        """What :meth:`forward` gives for the inputs of a batch, with or without targets."""
        return self(batch[0] if isinstance(batch, (tuple, list)) else batch)

    def configure_optimizers(self) -> KerasOptimizer:
        """The optimizer for the weights that are trained."""
        return self.optimizer or make_optimizer(self.optimizer_spec, self.parameters())

    def on_train_start(self) -> None:
        """A training begins, or goes on, with the step that :attr:`steps` tells."""
        self.put_states_back()
        self.network.forget_calls()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Tells dropout the step to come and this process's rows, and sets the learning rate."""
        self.network.start_step(self.steps, batch[3].first if len(batch) > 3 else self.global_rank * len(batch[1]))
        if self.learning_rate is not None:
            optimizer = self.trainer.optimizers[0]
            assert isinstance(optimizer, KerasOptimizer)
            optimizer.set_learning_rate(self.learning_rate(self.steps))

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clips as Keras does, where the Trainer is told to clip."""
        if gradient_clip_val:
            clip_gradients(self.parameters(), float(gradient_clip_val), gradient_clip_algorithm or "norm")

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """One step, after which the constrained weights are projected."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.network.apply_constraints()
        self.steps += 1

    def on_validation_start(self) -> None:
        """Validation starts from zero states; those of the training are put aside."""
        self._put_states_aside()

    def on_validation_end(self) -> None:
        """Puts the states of the training back."""
        self.put_states_back()

    def on_test_start(self) -> None:
        """As for validation."""
        self._put_states_aside()

    def on_test_end(self) -> None:
        """As for validation."""
        self.put_states_back()

    def on_predict_start(self) -> None:
        """As for validation."""
        self._put_states_aside()

    def on_predict_end(self) -> None:
        """As for validation."""
        self.put_states_back()

    def _put_states_aside(self) -> None:
        self.put_states_back()
        self._training_states = self.network.swap_states({})

    def put_states_back(self) -> None:
        """Gives stateful layers the states of the training back, where a validation, a test or a prediction put them aside."""
        if self._training_states is not None:
            self.network.swap_states(self._training_states)
            self._training_states = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the count of steps, which the learning rate and dropout depend on, and the states of stateful layers."""
        states = self._training_states or {path: gru.state for path, gru in self.network.stateful_grus()}
        checkpoint["gatework_steps"] = self.steps
        checkpoint["gatework_states"] = {path: state for path, state in states.items() if state is not None}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes them back."""
        self.steps = int(checkpoint.get("gatework_steps", 0))
        states = {current_name(f"states/{name}"): state for name, state in checkpoint.get("gatework_states", {}).items()}
        for name, gru in self.network.stateful_grus():
            if f"states/{name}" in states:
                gru.reset_states(states[f"states/{name}"])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Takes what was saved when the layers lay under ``graph``, a name that what torch records has for something else."""
        before, now = f"{prefix}graph.", f"{prefix}network."
        for name in [one for one in state_dict if one.startswith(before)]:
            state_dict[now + name.removeprefix(before)] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def set_weights(self, weights: Mapping[str, NDArray[np.generic]]) -> None:
        """Sets weights by ``layer/weight``, which must be all of this model's, in its shapes.

        Raises:
            InputError: a weight is parametrized or pruned in a way that cannot give its value; it is named.
        """
        for planned in self.plan.layers:
            places = self.network.layer(planned.name).places()
            values = [(place, torch.from_numpy(np.ascontiguousarray(weights[f"{planned.name}/{name}"]))) for name, place in places]
            write_weights(f"layer '{planned.name}'", values)
