"""A native Keras model with its optimizer: trained, saved, restored, asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from framework.backends.base.ledger import Ledger
from framework.backends.base.objective import Objective, Totals, measured
from framework.backends.base.state import ITERATIONS, join_state, split_state
from framework.backends.base.training import Arrays, Training, TrainingEvents
from framework.backends.tensorflow.compiled import CompiledModel, Shapes, TrainStep, batch_shapes, batch_tensors, model_inputs
from framework.backends.tensorflow.decoding.stepper import KerasStepper
from framework.backends.tensorflow.fitting import Fitting
from framework.backends.tensorflow.layers import BuildContext
from framework.backends.tensorflow.loss import keras_loss, loss_dtype
from framework.backends.tensorflow.model import build_model
from framework.backends.tensorflow.optimizers import make_optimizer, optimizer_identity, optimizer_variables
from framework.backends.tensorflow.processes import TensorFlowProcesses
from framework.backends.tensorflow.state import ModelVariables, read, shapes, write
from framework.builder.plan import ModelPlan
from framework.data.batches import Batch, Batches
from framework.decoding.precision import Precision
from framework.errors import TrainingError
from framework.spec.backend import BackendSpec
from framework.spec.trainer import TrainerSpec
from framework.weights.store import check_weights


class KerasTrainee:
    """What :class:`framework.backends.base.backend.Trainee` promises, for Keras.

    All but :meth:`fit` starts from zero states and leaves the states, weights and random numbers of the training as they were.

    Args:
        plan: what to build.
        weights: initial weights by ``layer/weight``.
        trainer: precision and clipping.
        backend: cuDNN.
        objective: what it is trained for; cross-entropy in nats a token when not given.

    Attributes:
        native: the functional ``keras.Model``; compiled once it is trained.
        plan: what it was built from.
        ledger: where its training stands.
    """

    def __init__(
        self, plan: ModelPlan, weights: Arrays, trainer: TrainerSpec, backend: BackendSpec, objective: Objective | None = None
    ) -> None:
        self.plan = plan
        self.objective = objective or Objective()
        self.trained = self.objective.output_of(plan.outputs)
        self.context = BuildContext.of(plan.seed, trainer, backend)
        self.trainer = trainer
        self.native, layers = build_model(plan, self.context)
        self.variables = ModelVariables(plan, layers, self.native)
        self.ledger = Ledger()
        self._compiled: CompiledModel | None = None
        self._train_step: TrainStep | None = None
        self._optimizer_identity = ""
        self._loaded: Arrays | None = None
        self.set_weights(weights)

    @property
    def compiled(self) -> CompiledModel:
        """The model's graphs."""
        if self._compiled is None:
            self._compiled = CompiledModel(self.native, self.objective, self.trained, loss_dtype(self.trainer.precision))
        return self._compiled

    def weights(self) -> dict[str, NDArray[np.generic]]:
        """Weights by ``layer/weight`` in Keras' layout and order, copied."""
        return read(self.variables.weights)

    def set_weights(self, weights: Arrays) -> None:
        """Sets weights by ``layer/weight``.

        Raises:
            CheckpointError: a name is missing or unknown, or a shape differs.
        """
        write("weights", self.variables.weights, weights)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Everything that going on to the same bits needs, copied; see :mod:`framework.backends.base.state`.

        Raises:
            TrainingError: the loss of a step that was not read yet is not finite.
        """
        optimizer = {name: np.array(value) for name, value in self._optimizer_arrays().items()}
        return join_state(
            weights=self.weights(),
            optimizer=optimizer if int(optimizer.get(ITERATIONS, 0)) else {},
            states=read(self.variables.states),
            random=read(self.variables.random),
            progress=self.ledger.arrays(),
        )

    def load_state(self, state: Arrays) -> None:
        """Takes back what :meth:`state` gave; the optimizer's part is taken when training starts.

        Raises:
            CheckpointError: it does not fit this model; nothing is changed then.
        """
        parts = split_state(state, [layer.name for layer in self.plan.layers])
        random = {name: value for name, value in parts["random"].items() if name in self.variables.random}
        states = {**{name: np.zeros(shape) for name, shape in shapes(self.variables.states).items()}, **parts["states"]}
        check_weights(shapes(self.variables.weights), parts["weights"])
        check_weights(shapes(self.variables.states), states, "kept states")
        generators = {name: self.variables.random[name] for name in random}
        check_weights(shapes(generators), random, "random numbers")
        self.ledger.restore(parts["progress"])
        write("weights", self.variables.weights, parts["weights"])
        write("kept states", self.variables.states, states)
        write("random numbers", generators, random)
        self._loaded = parts["optimizer"]

    def fit(self, training: Training, events: TrainingEvents) -> None:
        """Trains with Keras' ``Model.fit`` and tells ``events``.

        Raises:
            TrainingError: the loss is not finite, memory ran out, or no layer is trainable.
            CheckpointError: a loaded state is of another optimizer.
        """
        if not self.native.trainable_variables:
            raise TrainingError("no layer of the model is trainable")
        train_step = self._prepare(training)
        self.variables.start_step(training.start.step)
        if isinstance(training.processes, TensorFlowProcesses):
            train_step = self.compiled.shared_step(self.native.optimizer, training.processes)
        Fitting(self, train_step, training, events).run()

    def evaluate(self, batches: Batches, limit: int | None = None) -> Totals:
        """Sums over batches from zero states.

        Raises:
            DataError: there are no batches.
        """
        totals = Totals()
        with self._aside():
            usual: Shapes | None = None
            for batch in islice(batches.epoch(0), limit):
                tensors = batch_tensors(self.native, batch)
                usual = usual or batch_shapes(*tensors)
                found = {name: float(value) for name, value in self.compiled.evaluate(usual, *tensors).items()}
                totals += Totals(found, found.pop("count"), batch.rows)
        return measured(totals)

    def loss_and_gradients(self, batch: Batch) -> tuple[float, dict[str, NDArray[np.generic]]]:
        """Loss without penalties, and the gradients that the optimizer would get, penalties included, by trainable weight.

        From zero states, without dropout and clipping.
        """
        with self._aside():
            loss, gradients = self.compiled.gradients(*batch_tensors(self.native, batch))
        return float(loss), {name: value.numpy() for name, value in zip(self.variables.trainable(), gradients, strict=True)}

    def predict(self, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
        """Model outputs by name for one batch, without dropout and from zero states; bfloat16 comes as float32."""
        with self._aside():
            result = self.compiled.forward(model_inputs(self.native, inputs))
        outputs = result if isinstance(result, dict) else {next(iter(self.plan.outputs)): result}
        return {name: (tf.cast(value, tf.float32) if value.dtype == tf.bfloat16 else value).numpy() for name, value in outputs.items()}

    def stepper(self, decoded: str | None = None, precision: Precision = "float32") -> KerasStepper:
        """The derived decoding step with the weights of now; see the protocol."""
        return KerasStepper(self.plan, self.weights(), self.context, decoded, precision)

    def reset_states(self) -> None:
        """Puts the states of stateful layers to zeros."""
        for state in self.variables.states.values():
            state.assign(tf.zeros_like(state.value))

    def _prepare(self, training: Training) -> TrainStep:
        """The compiled step; the native model is compiled with the optimizer, which has what was loaded, or goes on as it is."""
        identity = optimizer_identity(training.optimizer, training.trainer)
        kept = self._optimizer_arrays()
        if self._train_step is None or self._optimizer_identity != identity:
            optimizer = make_optimizer(training.optimizer, training.trainer, self.trainer.precision)
            optimizer.build(self.native.trainable_variables)
            self._restore_optimizer(optimizer, training.optimizer.kind, kept)
            loss = keras_loss(self.objective, self.trainer.precision)
            self.native.compile(optimizer=optimizer, loss=loss, run_eagerly=False, jit_compile=False)
            self._train_step, self._optimizer_identity = self.compiled.train_step(optimizer), identity
        elif self._loaded is not None:
            self._restore_optimizer(self.native.optimizer, training.optimizer.kind, kept)
        self._loaded = None
        return self._train_step

    def _restore_optimizer(self, optimizer: keras.optimizers.Optimizer, kind: str, kept: Arrays) -> None:
        """Gives the optimizer what was kept of one; of nothing, its start."""
        variables = optimizer_variables(optimizer, self.variables.trainable())
        if kept:
            write(f"{kind}'s variables", variables, kept)
        else:
            for variable in variables.values():
                variable.assign(tf.zeros_like(variable.value))

    def _optimizer_arrays(self) -> Arrays:
        """What the optimizer keeps: as it was loaded, or else of the running one, or nothing."""
        if self._loaded is not None or self._train_step is None:
            return self._loaded or {}
        return read(optimizer_variables(self.native.optimizer, self.variables.trainable()))

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Zero states within, the states of before afterwards."""
        before = {name: tf.identity(state.value) for name, state in self.variables.states.items()}
        self.reset_states()
        try:
            yield
        finally:
            for name, state in self.variables.states.items():
                state.assign(before[name])
