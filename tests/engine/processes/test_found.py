"""Processes as torchrun, Slurm, submitit and TF_CONFIG tell of them."""

from __future__ import annotations

import json

import pytest

from framework.backends.base.processes import World
from framework.engine.processes.found import found_world, hosts_of, is_member
from framework.errors import InputError
from framework.spec.trainer import TrainerSpec

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "one",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "TORCHELASTIC_RUN_ID": "abc",
    "TORCHELASTIC_RESTART_COUNT": "0",
}
SLURM = {
    "SLURM_PROCID": "2",
    "SLURM_NTASKS": "4",
    "SLURM_LOCALID": "0",
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_NODELIST": "node[01-02]",
    "MASTER_PORT": "20000",
}
TF_CONFIG = {"cluster": {"worker": ["a:1", "a:2", "b:1", "b:2"]}, "task": {"type": "worker", "index": 3}}


def _trainer(devices: int = 2, num_nodes: int = 2) -> TrainerSpec:
    return TrainerSpec(devices=devices, num_nodes=num_nodes)


def test_torchrun() -> None:
    assert found_world(_trainer(), TORCHRUN) == World(3, 4, 1, 2, (), "torchrun", "one:29500", True, "abc-0")


def test_torchrun_on_one_machine_has_an_address_for_each_and_leaves_its_own_port() -> None:
    world = found_world(_trainer(4, 1), {**TORCHRUN, "LOCAL_WORLD_SIZE": "4"})
    assert world is not None
    assert world.addresses == ("one:29501", "one:29502", "one:29503", "one:29504")
    assert world.store == "one:29500"


def test_slurm() -> None:
    addresses = ("node01:20000", "node01:20001", "node02:20000", "node02:20001")
    assert found_world(_trainer(), SLURM) == World(2, 4, 0, 2, addresses, "Slurm", "node01:20000")


def test_tf_config() -> None:
    found = found_world(_trainer(), {"TF_CONFIG": json.dumps(TF_CONFIG)})
    assert found == World(3, 4, 1, 2, ("a:1", "a:2", "b:1", "b:2"), "TF_CONFIG", "a:1")


def test_submitit() -> None:
    told = {"SUBMITIT_EXECUTOR": "local", "SUBMITIT_LOCAL_NTASKS": "2", "SUBMITIT_LOCAL_GLOBALID": "1", "SUBMITIT_LOCAL_LOCALID": "1"}
    world = found_world(_trainer(2, 1), told)
    assert world is not None
    assert (world.rank, world.size, world.local_size, len(world.addresses)) == (1, 2, 2, 2)


def test_one_process_trains_alone_wherever_it_runs() -> None:
    assert found_world(_trainer(1, 1), {**TORCHRUN, **SLURM, "TF_CONFIG": "{"}) is None


def test_nobody_started_others() -> None:
    assert found_world(_trainer(2, 1), {}) is None
    assert found_world(_trainer(2, 1), {"SLURM_PROCID": "0", "SLURM_NTASKS": "1"}) is None


@pytest.mark.parametrize(
    ("trainer", "environment", "told"),
    [
        (_trainer(1, 2), {}, "trainer.num_nodes=2: nothing has started processes on 2 machines"),
        (_trainer(3, 1), TORCHRUN, "expected trainer.devices=2 trainer.num_nodes=2"),
        (_trainer(), {"TF_CONFIG": "{}"}, "TF_CONFIG cannot be used: KeyError"),
        (_trainer(), {**TORCHRUN, "RANK": "x"}, "RANK='x', as torchrun sets it, is no whole number"),
    ],
)
def test_what_does_not_fit_is_told(trainer: TrainerSpec, environment: dict[str, str], told: str) -> None:
    with pytest.raises(InputError) as error:
        found_world(trainer, environment)
    assert told in str(error.value)


def test_a_process_has_the_threads_that_it_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(64)), raising=False)
    world = World(0, 4, 0, 2, (), "Slurm", "a:1")
    assert world.threads == 32
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {4, 5, 6, 7}, raising=False)
    assert world.threads == 4, "a cluster that binds each process has shared already"


def test_who_helps() -> None:
    assert is_member(_trainer(), TORCHRUN)
    assert not is_member(_trainer(), {**TORCHRUN, "RANK": "0"})
    assert not is_member(_trainer(1, 1), TORCHRUN)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("n[1-3,7]", ["n1", "n2", "n3", "n7"]),
        ("n[08-10]x,b", ["n08x", "n09x", "n10x", "b"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
    ],
)
def test_slurms_lists_of_hosts(text: str, hosts: list[str]) -> None:
    assert list(hosts_of(text)) == hosts
