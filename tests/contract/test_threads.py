"""One model, many threads: each gets the text it would get alone, as behind a server."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from small_experiments import small, text  # noqa: F401 - fixtures

import framework
from framework.backends.base.registry import load_backend
from framework.builder.planner import plan_model
from framework.decoding.generate import generate
from framework.decoding.sampling import Sampling
from framework.engine.model import run as run_module
from framework.engine.model.run import Run
from framework.spec.backend import BackendSpec
from framework.spec.trainer import TrainerSpec
from framework.spec.validate import validate_model
from framework.weights.initializers import initial_weights

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]

THREADS, VOCABULARY = 6, 13

LAYERS: dict[str, dict[str, Any]] = {
    "folded": {"gru": {"kind": "gru", "units": 96, "return_sequences": True}},
    "masked": {
        "embedding": {"kind": "embedding", "input_dim": VOCABULARY, "output_dim": 8, "mask_zero": True},
        "drop": {"kind": "dropout", "rate": 0.3},
        "gru": {"kind": "gru", "units": 64, "return_sequences": True, "stateful": True, "recurrent_dropout": 0.2},
    },
    "reset before": {"gru": {"kind": "gru", "units": 64, "return_sequences": True, "reset_after": False, "activation": "relu"}},
    "stacked": {
        "one": {"kind": "gru", "units": 48, "return_sequences": True, "dtype": "float64"},
        "norm": {"kind": "layer_normalization"},
        "two": {"kind": "gru", "units": 64, "return_sequences": True},
    },
}


@pytest.fixture(autouse=True)
def quick_switches() -> Iterator[None]:
    """Threads take turns often, so that they meet within a step; torch starts none of its own, which would only be in their way."""
    interval, threads = sys.getswitchinterval(), torch.get_num_threads()
    sys.setswitchinterval(1e-4)
    torch.set_num_threads(1)
    yield
    sys.setswitchinterval(interval)
    torch.set_num_threads(threads)


def at_once(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """The results of all works, each in a thread of its own; all start together."""
    barrier = threading.Barrier(len(works))

    def started(work: Callable[[], Any]) -> Any:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(started, work) for work in works]]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", LAYERS)
def test_threads_on_one_stepper_get_the_tokens_of_one_alone(backend: str, kind: str) -> None:
    if backend == "tensorflow" and kind != "masked":
        pytest.skip("one graph is as another there, and each takes seconds to make")
    model = {
        "inputs": {"tokens": {"dtype": "int32", "shape": [None], "batch_size": 4}},
        "layers": {
            "embedding": {"kind": "embedding", "input_dim": VOCABULARY, "output_dim": 8},
            **LAYERS[kind],
            "logits": {"kind": "dense", "units": VOCABULARY},
        },
        "outputs": "logits",
    }
    plan = plan_model(validate_model(model), 3)
    trainee = load_backend(backend).build(plan, initial_weights(plan), TrainerSpec(), BackendSpec(device="cpu"))

    def tokens(stepper: Any, number: int) -> list[list[int]]:
        # Prompts of different lengths and numbers of rows, half of them the same number in all threads.
        prompts = [[1 + (number + row) % 7] * (1 + (number + row) % 3) for row in range(2 + number % 2)]
        return [row.tolist() for row in generate(stepper, prompts, Sampling(temperature=0.7), length=40, seed=number).result().tokens]

    stepper = trainee.stepper()
    alone = [tokens(stepper, number) for number in range(THREADS)]
    assert len({str(one) for one in alone}) == THREADS
    for _ in range(2):
        stepper = trainee.stepper()  # a new one each time: what it makes when first needed is made by several at once
        found = at_once([partial(tokens, stepper, number) for number in range(THREADS)])
        assert found == alone


@pytest.mark.parametrize("backend", BACKENDS)
def test_threads_on_one_run_get_their_own_texts(backend: str, small: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    run = framework.train(small(f"backend={backend}", "trainer.max_epochs=1", "model.layers.gru.units=64"))
    prompts = ["gate", "s", "upd", "hidden, ", "re", "gate state"]
    alone = [run.generate(prompt, length=30, seed=number) for number, prompt in enumerate(prompts)]

    opened = []
    open_model = run_module.open_model
    monkeypatch.setattr(run_module, "open_model", lambda folder, precision="float32": opened.append(folder) or open_model(folder))
    fresh = Run(run.folder)
    found = at_once([partial(fresh.generate, prompt, length=30, seed=number) for number, prompt in enumerate(prompts)])
    assert found == alone
    assert len(opened) == 1, "the model is loaded once"
