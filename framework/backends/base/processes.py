"""What the processes of one training tell each other, whatever carries it."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.objective import Totals

_TEXT_BLOCK = 1 << 16
"""Bytes of a text that are told at once."""


@dataclass(frozen=True)
class World:
    """The processes of a training, and which of them this is.

    Attributes:
        rank: number of this process, from 0; process 0 alone writes the run.
        size: all processes.
        local_rank: its number among those on this machine.
        local_size: processes on this machine.
        addresses: ``host:port`` where each process can be reached; none where that is not known.
        started_by: what started the processes.
        store: ``host:port`` where all meet: the first address, unless who started the processes listens somewhere else.
        listening: whether who started the processes listens there itself, as torchrun does.
        meeting: tells one meeting at that address from another, where somebody else listens.
        patience: seconds within which all are there, once the first one is.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    addresses: tuple[str, ...]
    started_by: str
    store: str
    listening: bool = False
    meeting: str = ""
    patience: float = 600.0

    def __str__(self) -> str:
        return f"process {self.rank} of {self.size}"

    @property
    def threads(self) -> int:
        """This process's share of the machine's processors, as far as it may use them: a cluster may have given it a share already."""
        own = (os.cpu_count() or 1) // self.local_size
        return max(1, min(own, len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else own)


class Processes(ABC):
    """The processes of a training, as one of them sees them. Each calls the same methods in the same order.

    A wish to stop is told with the sums of a step, so that all stop after the same one.

    Args:
        rank: number of this process.
        size: of all.

    Attributes:
        wish: tells whether this process wants to stop.
        stopping: whether any of them wanted to, as far as that was read.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.wish: Callable[[], bool] = lambda: False
        self.stopping = False
        self._told: SupportsFloat = 0.0

    @abstractmethod
    def add_up(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum over all processes, ``(values,) float64``, in the same order on each.

        Raises:
            LostProcess: another process is gone.
        """

    @abstractmethod
    def leave(self) -> None:
        """Ends the connection; no call may follow."""

    def tell(self, text: str = "") -> str:
        """Process 0's text, on all processes; what others give does not count."""
        content = text.encode() if self.rank == 0 else b""
        length = int(self.add_up(np.array([len(content)], np.float64))[0])
        heard = b""
        for start in range(0, length, _TEXT_BLOCK):
            block = np.zeros(min(_TEXT_BLOCK, length - start), np.float64)
            if self.rank == 0:
                block[:] = np.frombuffer(content[start : start + _TEXT_BLOCK], np.uint8)
            heard += self.add_up(block).astype(np.uint8).tobytes()
        return heard.decode()

    def tell_json(self, value: Any = None) -> Any:
        """As :meth:`tell`, of plain data."""
        return json.loads(self.tell(json.dumps(value)))

    def gathered(self, rows: NDArray[np.generic]) -> NDArray[np.generic]:
        """The rows of all processes, in the order of their numbers, on each.

        Args:
            rows: of this process, ``(rows, …)``, floating-point; the others may have more or fewer.
        """
        counts = np.zeros(self.size)
        counts[self.rank] = len(rows)
        counts = self.add_up(counts).astype(np.int64)
        whole = np.zeros((int(counts.sum()), *rows.shape[1:]), np.float64)
        first = int(counts[: self.rank].sum())
        whole[first : first + len(rows)] = rows
        return self.add_up(whole.reshape(-1)).reshape(whole.shape).astype(rows.dtype)

    def added(self, totals: Totals, names: Sequence[str]) -> Totals:
        """The sums of all processes.

        Args:
            totals: of this one.
            names: of the sums; a process that had no batch has none.
        """
        own = [totals.sums.get(name, 0.0) for name in names]
        *sums, count, rows = self.add_up(np.array([*own, totals.count, totals.rows], np.float64)).tolist()
        return Totals(dict(zip(names, sums, strict=True)), count, round(rows))

    def hear(self, wishes: SupportsFloat) -> None:
        """Keeps how many wanted to stop after this step, which may still be on its device."""
        self._told = wishes

    def read(self) -> None:
        """Reads what :meth:`hear` kept."""
        self.stopping = self.stopping or float(self._told) > 0.0
        self._told = 0.0

    def agree(self) -> None:
        """Asks all whether they want to stop."""
        self.stopping = bool(self.add_up(np.array([float(self.wish())]))[0] > 0.0)


class Alone(Processes):
    """The one process of a training that has no other."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def add_up(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values."""
        return values

    def leave(self) -> None:
        """Nothing."""
