"""The processes of a training over TensorFlow's own cluster and collectives.

``tf.distribute.MultiWorkerMirroredStrategy`` makes the cluster and watches over it. The sums of a step are TensorFlow's collectives
themselves: the strategy's own numbers them in the order in which graphs are traced, and a process whose rows have another shape traces
other graphs than the rest, which then wait for each other for ever. (Keras' ``fit`` does not run under the strategy.)
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from framework.backends.base.processes import Processes, World
from framework.backends.tensorflow.loss import Loss
from framework.errors import BackendUnavailable, LostProcess

_GROUP = 20150
"""Number of the group of all processes; the strategy's own are small."""

_SUMS, _GRADIENTS, _VALUES = 1, 10, 10_000
"""Numbers of the collectives: of a step's sums, of the first gradient, and of ``n`` values the last one plus ``n``."""


class TensorFlowProcesses(Processes):
    """A cluster of workers.

    Args:
        world: the processes, and which of them this is.

    Raises:
        BackendUnavailable: the addresses of the others are not known, they cannot be reached, or TensorFlow already runs here.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world.rank, world.size)
        self.world = world
        if len(world.addresses) != world.size:
            raise BackendUnavailable(
                f"TensorFlow needs the address of every process, and {world.started_by} tells that of the first alone; start them with "
                "trainer.devices on one machine, with Slurm, or with TF_CONFIG set"
            )
        cluster = tf.train.ClusterSpec({"worker": list(world.addresses)})
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster, task_type="worker", task_id=world.rank, rpc_layer="grpc")
        try:
            self._strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
        except RuntimeError as error:
            raise BackendUnavailable(
                "TensorFlow already runs in this process, and cannot join others any more; start the training in a new process"
            ) from error
        except (tf.errors.OpError, ValueError) as error:
            raise BackendUnavailable(f"{world} could not reach the others at {', '.join(world.addresses)}: {error}") from error

    def add_up(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over all processes; see the base class."""
        try:
            return np.asarray(self._sum(tf.constant(values, tf.float64), _VALUES + len(values)).numpy())
        except tf.errors.OpError as error:
            raise lost(error) from error

    def whole_loss(self, loss: Loss, wish: tf.Tensor) -> tuple[Loss, tf.Tensor]:
        """The loss of the whole batch, float64, and how many wish to stop; of a step's graph."""
        weight = tf.cast(loss.weight, tf.float64)
        sums = self._sum(tf.stack([tf.cast(loss.mean, tf.float64) * weight, weight, wish]), _SUMS)
        return Loss(tf.math.divide_no_nan(sums[0], sums[1]), sums[1]), sums[2]

    def added_gradients(self, gradients: list[tf.Tensor | None]) -> list[tf.Tensor | None]:
        """The sums of all processes' gradients; of a step's graph."""
        numbered = enumerate(gradients, _GRADIENTS)
        return [None if one is None else self._sum(one, number) for number, one in numbered]

    def leave(self) -> None:
        """Nothing: a process stays in its cluster until it ends."""

    def _sum(self, value: tf.Tensor, number: int) -> tf.Tensor:
        return tf.raw_ops.CollectiveReduceV2(
            input=value,
            group_size=self.size,
            group_key=_GROUP,
            instance_key=number,
            ordering_token=[],
            merge_op="Add",
            final_op="Id",
            communication_hint="auto",
        )


def lost(error: tf.errors.OpError) -> LostProcess:
    """What a failed exchange means."""
    return LostProcess(f"another process of the training is gone: {str(error).strip().partition(chr(10))[0]}")
