"""The backend's own duties: the process, its environment, versions."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from framework.backends.tensorflow import TensorFlowBackend
from framework.backends.tensorflow.environment import prepare
from framework.errors import BackendUnavailable
from framework.spec.backend import BackendSpec

pytestmark = pytest.mark.tensorflow


def configure(seed: int = 0, **spec: Any) -> None:
    TensorFlowBackend().configure(BackendSpec(name="tensorflow", **spec), seed)


def test_versions() -> None:
    assert TensorFlowBackend().versions() == {"tensorflow": tf.__version__, "keras": keras.__version__}


def test_seeds_of_the_process() -> None:
    drawn = []
    for seed in (1, 1, 2):
        configure(seed)
        drawn.append((np.random.random(), float(tf.random.uniform(())), float(keras.random.uniform(()))))
    assert drawn[0] == drawn[1]
    assert all(one != other for one, other in zip(drawn[0], drawn[2], strict=True))


def test_a_gpu_that_is_not_there() -> None:
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU here")
    with pytest.raises(BackendUnavailable, match=r"backend\.device=gpu: TensorFlow sees no GPU here; use backend\.device=auto or cpu"):
        configure(device="gpu")
    configure(device="cpu")


def test_threads_cannot_change_once_tensorflow_runs() -> None:
    tf.constant(1) + 1
    with pytest.raises(BackendUnavailable, match=r"backend\.threads=3: TensorFlow already runs in this process; start a new one"):
        configure(threads=3)


@pytest.mark.parametrize("wanted", ["torch", "jax"])
def test_keras_on_another_library_is_refused(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setenv("KERAS_BACKEND", wanted)
    with pytest.raises(BackendUnavailable, match=f"needs Keras on TensorFlow, but KERAS_BACKEND={wanted} is set; set KERAS_BACKEND=tensor"):
        prepare()


def test_keras_that_already_runs_on_another_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(BackendUnavailable, match="Keras was imported on jax before"):
        prepare()


@pytest.mark.slow
def test_a_fresh_process_is_quiet_and_has_its_threads() -> None:
    program = (
        "import os, sys\n"
        "from framework.backends.base.registry import load_backend\n"
        "from framework.spec.backend import BackendSpec\n"
        "backend = load_backend('tensorflow')\n"
        "for seed in range(2):\n"
        "    backend.configure(BackendSpec(name='tensorflow', threads=1), seed)\n"
        "    import tensorflow as tf\n"
        "    tf.constant(1) + 1\n"
        "print(os.environ['KERAS_BACKEND'], tf.config.threading.get_intra_op_parallelism_threads(), file=sys.stdout)\n"
        "print('heard', file=sys.stderr)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tensorflow", "1"]
    if not tf.config.list_physical_devices("GPU"):
        assert done.stderr == "heard\n"
