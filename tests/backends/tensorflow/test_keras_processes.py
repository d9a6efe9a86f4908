"""What a process does before it meets others on TensorFlow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import tensorflow as tf

from framework.backends.base.processes import World
from framework.backends.tensorflow.backend import _choose_device
from framework.errors import BackendUnavailable

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two GPUs, and what is made visible of them."""
    made: dict[str, Any] = {"grown": []}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["first", "second"])
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, kind: made.update(visible=devices))
    growth = SimpleNamespace(set_memory_growth=lambda gpu, on: made["grown"].append(gpu))
    monkeypatch.setattr(tf.config, "experimental", growth)
    return made


def world(local_rank: int, local_size: int) -> World:
    return World(local_rank, local_size, local_rank, local_size, (), "torchrun", "a:1")


def test_each_process_of_a_machine_computes_on_its_own_gpu(gpus: dict[str, Any]) -> None:
    _choose_device("auto", world(1, 2))
    assert gpus == {"visible": ["second"], "grown": ["second"]}


def test_one_process_has_all_gpus(gpus: dict[str, Any]) -> None:
    _choose_device("auto")
    assert gpus == {"grown": ["first", "second"]}


def test_more_processes_than_gpus_are_refused(gpus: dict[str, Any]) -> None:
    with pytest.raises(BackendUnavailable, match=r"trainer.devices=3: TensorFlow sees 2 GPUs; lower it, or backend.device=cpu"):
        _choose_device("auto", world(2, 3))
    _choose_device("cpu", world(2, 3))
    assert gpus["visible"] == []
