"""The processes of a training as torchrun, Slurm, submitit or TF_CONFIG started them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping

from framework.backends.base.processes import World
from framework.errors import InputError
from framework.spec.trainer import TrainerSpec

_FIRST_PORT, _PORTS = 15_000, 40_000
"""Where ports of jobs lie that are told none."""


def is_member(trainer: TrainerSpec, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process was started to help another one, which writes the run and tells of it."""
    world = found_world(trainer, environment)
    return world is not None and world.rank > 0


def found_world(trainer: TrainerSpec, environment: Mapping[str, str] = os.environ) -> World | None:
    """The processes that this one was started with; None where it was started alone, or is to train alone.

    Args:
        trainer: how many there must be.
        environment: of this process.

    Raises:
        InputError: there are more or fewer, or there are several machines and nothing has started processes there.
    """
    wanted = trainer.processes
    if wanted == 1:
        return None
    for read in (_torchrun, _tensorflow, _submitit, _slurm):
        world = read(environment)
        if world is None or world.size == 1:
            continue
        if (world.size, world.local_size) != (wanted, trainer.devices):
            nodes = world.size // world.local_size
            raise InputError(
                f"{world.started_by} started {world.size} processes, {world.local_size} on each machine, but trainer.devices is "
                f"{trainer.devices} and trainer.num_nodes {trainer.num_nodes}; expected trainer.devices={world.local_size} "
                f"trainer.num_nodes={nodes}"
            )
        return world
    if trainer.num_nodes > 1:
        raise InputError(
            f"trainer.num_nodes={trainer.num_nodes}: nothing has started processes on {trainer.num_nodes} machines; use "
            "hydra/launcher=submitit_slurm, srun, torchrun or TF_CONFIG"
        )
    return None


def _torchrun(environment: Mapping[str, str]) -> World | None:
    """Source: torch documentation, "torchrun (Elastic Launch)", section "Environment Variables"."""
    if "WORLD_SIZE" not in environment or "MASTER_ADDR" not in environment or "RANK" not in environment:
        return None
    number = _Numbers(environment, "torchrun")
    size = number("WORLD_SIZE")
    local_size = number("LOCAL_WORLD_SIZE", size)
    host, port = environment["MASTER_ADDR"], number("MASTER_PORT", _FIRST_PORT)
    listening = environment.get("TORCHELASTIC_USE_AGENT_STORE", "False") == "True"
    # Who started them listens at that port; only on one machine is it known where each process runs.
    addresses = tuple(f"{host}:{port + 1 + rank}" for rank in range(size)) if local_size == size else ()
    meeting = "-".join(environment.get(name, "") for name in ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"))
    rank = number("RANK")
    return World(rank, size, number("LOCAL_RANK", rank), local_size, addresses, "torchrun", f"{host}:{port}", listening, meeting)


def _tensorflow(environment: Mapping[str, str]) -> World | None:
    """Source: TensorFlow guide, "Distributed training with TensorFlow", section "TF_CONFIG"."""
    if "TF_CONFIG" not in environment:
        return None
    try:
        told = json.loads(environment["TF_CONFIG"])
        addresses = tuple(str(one) for one in told["cluster"]["worker"])
        kind, rank = str(told["task"]["type"]), int(told["task"]["index"])
        if set(told["cluster"]) != {"worker"} or kind != "worker" or not 0 <= rank < len(addresses):
            raise ValueError("expected workers alone, and which of them this is")
    except (ValueError, KeyError, TypeError) as error:
        form = '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}'
        raise InputError(f"TF_CONFIG cannot be used: {error!r}; expected {form}") from error
    hosts = [one.rpartition(":")[0] for one in addresses]
    return World(rank, len(addresses), hosts[:rank].count(hosts[rank]), hosts.count(hosts[rank]), addresses, "TF_CONFIG", addresses[0])


def _submitit(environment: Mapping[str, str]) -> World | None:
    """The local executor of submitit, which starts several tasks as Slurm would."""
    if environment.get("SUBMITIT_EXECUTOR") != "local" or "SUBMITIT_LOCAL_NTASKS" not in environment:
        return None
    number = _Numbers(environment, "submitit")
    size, rank = number("SUBMITIT_LOCAL_NTASKS"), number("SUBMITIT_LOCAL_GLOBALID")
    port = _port_of(environment.get("SUBMITIT_LOCAL_JOB_ID", ""))
    addresses = tuple(f"127.0.0.1:{port + one}" for one in range(size))
    return World(rank, size, number("SUBMITIT_LOCAL_LOCALID", rank), size, addresses, "submitit", addresses[0])


def _slurm(environment: Mapping[str, str]) -> World | None:
    """Source: Slurm documentation, "srun", section "OUTPUT ENVIRONMENT VARIABLES"."""
    if "SLURM_PROCID" not in environment or "SLURM_NTASKS" not in environment:
        return None
    number = _Numbers(environment, "Slurm")
    size, rank = number("SLURM_NTASKS"), number("SLURM_PROCID")
    hosts = list(hosts_of(environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_NODELIST", ""))) or ["127.0.0.1"]
    local_size = max(1, size // len(hosts))
    port = int(environment.get("MASTER_PORT") or _port_of(environment.get("SLURM_JOB_ID", "")))
    addresses = tuple(f"{hosts[one // local_size]}:{port + one % local_size}" for one in range(size))
    return World(rank, size, number("SLURM_LOCALID", rank % local_size), local_size, addresses, "Slurm", addresses[0])


def hosts_of(text: str) -> Iterator[str]:
    """The hosts of a list as Slurm writes it, such as ``a[01-03,7],b``.

    Source: Slurm documentation, "scontrol", command ``show hostlist``.
    """
    for part in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", text):
        match = re.fullmatch(r"([^\[]*)\[([^\]]*)\](.*)", part)
        if match is None:
            yield part
            continue
        before, ranges, after = match.groups()
        for one in ranges.split(","):
            first, _, last = one.partition("-")
            for number in range(int(first), int(last or first) + 1):
                yield from hosts_of(f"{before}{number:0{len(first)}d}{after}")


def _port_of(job: str) -> int:
    """The first port of a job, the same for all its processes and another for other jobs."""
    digits = re.sub(r"\D", "", job)
    return _FIRST_PORT + int(digits or 0) * 64 % _PORTS


class _Numbers:
    """Reads whole numbers of an environment."""

    def __init__(self, environment: Mapping[str, str], started_by: str) -> None:
        self._environment, self._started_by = environment, started_by

    def __call__(self, name: str, default: int | None = None) -> int:
        text = self._environment.get(name)
        if text is None and default is not None:
            return default
        try:
            return int(text or "")
        except ValueError as error:
            raise InputError(f"{name}={text!r}, as {self._started_by} sets it, is no whole number") from error
