"""The TensorFlow backend's GRU on a GPU, or on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.backends.tensorflow.environment import prepare
from gpu.batch import Trial

prepare()

import keras  # noqa: E402 - the environment decides what Keras runs on
import tensorflow as tf  # noqa: E402


class Side:
    """Layers and training steps of TensorFlow.

    Args:
        on_gpu: whether they are to run on the GPU.
    """

    def __init__(self, on_gpu: bool) -> None:
        self.version = f"tensorflow {tf.__version__}, keras {keras.__version__}"
        self._on_gpu = on_gpu
        tf.config.experimental.enable_tensor_float_32_execution(False)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)  # another library may need some

    @staticmethod
    def gpu() -> str | None:
        """Name of the GPU; None where TensorFlow sees none."""
        gpus = tf.config.list_physical_devices("GPU")
        return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", gpus[0].name)) if gpus else None

    def layer(self, units: int, shape: tuple[int, ...], **arguments: Any) -> Any:
        """A GRU for inputs of this shape."""
        from framework.backends.tensorflow import GRU

        return GRU(units, return_sequences=True, batch_input_shape=shape, **arguments)

    def step(self, layer: Any, trial: Trial, training: bool) -> Any:
        """A training step: the output and all gradients, each time it is called; a ``tf.function`` without arguments."""
        inputs, gradient = (tf.constant(one, layer.compute_dtype) for one in (trial.inputs, trial.gradient))
        mask = None if trial.mask is None else tf.constant(trial.mask)

        def step() -> list[Any]:
            given = tf.identity(inputs)  # else the graph would hold what it is to compute
            with tf.GradientTape() as tape:
                tape.watch(given)
                output = layer(given, mask=mask, training=training)
            sources = [given, *(weight.value for weight in layer.trainable_variables)]
            return [output, *tape.gradient(output, sources, output_gradients=gradient)]

        return tf.function(step, autograph=False, jit_compile=False)

    @staticmethod
    def arrays(results: list[Any]) -> list[np.ndarray[Any, Any]]:
        """What a step gave, as float64."""
        return [tf.cast(one, tf.float64).numpy() for one in results]

    @staticmethod
    def operators(step: Any) -> set[str]:
        """Types of the operators in the graph of a step, which is run: one that has no kernel here fails."""
        from framework.backends.tensorflow.proof import graph_operators

        concrete = step.get_concrete_function()
        concrete()
        return {operator for _, operator in graph_operators(concrete.graph)}

    def wait(self) -> None:
        """Returns when all that was asked for is computed."""
        if self._on_gpu:
            tf.test.experimental.sync_devices()
