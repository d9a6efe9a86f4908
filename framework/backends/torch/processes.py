"""The processes of a training over torch's own process group: gloo on processors, NCCL on GPUs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
from numpy.typing import NDArray
from torch import Tensor, distributed

from framework.backends.base.processes import Processes, World
from framework.backends.torch.loss import Loss
from framework.errors import BackendUnavailable, LostProcess

PATIENCE = timedelta(days=7)
"""How long a process waits for the others: one writes samples and scores meanwhile. One that is gone is noticed at once."""


class TorchProcesses(Processes):
    """The default process group.

    Args:
        world: the processes, and which of them this is.
        device: that this one computes on.

    Raises:
        BackendUnavailable: the others cannot be reached, or this process is in a group already.
    """

    def __init__(self, world: World, device: torch.device) -> None:
        super().__init__(world.rank, world.size)
        self.world, self.device = world, device
        if distributed.is_initialized():
            raise BackendUnavailable("torch is in a process group already; a training of several processes makes its own")
        try:
            store = self._meet()
            kind = "nccl" if device.type == "cuda" else "gloo"
            distributed.init_process_group(kind, store=store, timeout=PATIENCE, world_size=world.size, rank=world.rank)
        except (RuntimeError, ValueError) as error:
            raise BackendUnavailable(f"{world} could not reach the others at {world.store}: {_first_line(error)}") from error

    def _meet(self) -> Any:
        """Where the processes find each other, once all are there; who started them may listen there itself."""
        world, patience = self.world, timedelta(seconds=self.world.patience)
        host, _, port = world.store.rpartition(":")
        listens = world.rank == 0 and not world.listening
        store = distributed.TCPStore(host, int(port), is_master=listens, timeout=patience, wait_for_workers=False)  # type: ignore[attr-defined]
        meeting = distributed.PrefixStore(f"gatework/{world.meeting}", store)  # type: ignore[attr-defined]
        meeting.set(f"here/{world.rank}", "")
        meeting.wait([f"here/{rank}" for rank in range(world.size)], patience)
        return meeting

    def add_up(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over all processes; see the base class."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        self._reduce(tensor)
        return np.asarray(tensor.cpu().numpy())

    def whole_loss(self, loss: Loss) -> tuple[Tensor, Tensor]:
        """Weighted mean and weight of the whole batch, float64; this process's wish to stop is told with them."""
        mean = loss.mean.detach().double()
        weight = torch.as_tensor(loss.weight, dtype=torch.float64, device=mean.device)
        sums = torch.stack([mean * weight, weight, torch.as_tensor(float(self.wish()), dtype=torch.float64, device=mean.device)])
        self._reduce(sums)
        self.hear(sums[2])
        return sums[0] / sums[1].clamp_min(torch.finfo(torch.float64).tiny), sums[1]

    def leave(self) -> None:
        """Ends the group."""
        if distributed.is_initialized():
            distributed.destroy_process_group()

    def _reduce(self, tensor: Tensor) -> None:
        try:
            distributed.all_reduce(tensor)
        except RuntimeError as error:
            raise lost(error) from error


def lost(error: BaseException) -> LostProcess:
    """What a failed exchange means."""
    return LostProcess(f"another process of the training is gone: {_first_line(error)}")


def is_lost(error: BaseException) -> bool:
    """Whether an error of torch's is one of an exchange between processes."""
    return isinstance(error, distributed.DistBackendError) or any(word in str(error) for word in ("gloo", "Connection", "NCCL"))


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


class StartedProcesses(ClusterEnvironment):
    """Tells Lightning of processes that are there already.

    Args:
        world: the processes, and which of them this is.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    @property
    def creates_processes_externally(self) -> bool:
        """They are there."""
        return True

    @property
    def main_address(self) -> str:
        """Host of process 0."""
        return self.world.store.rpartition(":")[0]

    @property
    def main_port(self) -> int:
        """Its port."""
        return int(self.world.store.rpartition(":")[2])

    @staticmethod
    def detect() -> bool:
        """Lightning is told of them."""
        return False

    def world_size(self) -> int:
        """All processes."""
        return self.world.size

    def set_world_size(self, size: int) -> None:
        """It is known."""

    def global_rank(self) -> int:
        """Number of this process."""
        return self.world.rank

    def set_global_rank(self, rank: int) -> None:
        """It is known."""

    def local_rank(self) -> int:
        """Its number on this machine."""
        return self.world.local_rank

    def node_rank(self) -> int:
        """Number of this machine."""
        return self.world.rank // self.world.local_size
