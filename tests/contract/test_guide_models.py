"""The GRU models of Keras' guide, as YAML: the same outputs on both backends from the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.backends.base.registry import load_backend
from framework.builder.plan import ModelPlan
from framework.builder.planner import plan_model
from framework.config.fill import fill_sizes
from framework.config.location import shipped_configs
from framework.config.yaml_file import read_yaml
from framework.spec.backend import BackendSpec
from framework.spec.trainer import TrainerSpec
from framework.spec.validate import validate_model
from framework.weights.initializers import initial_weights

GUIDE = shipped_configs() / "model" / "guide"
BATCH = 3
pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]


def with_batch(mapping: Any) -> Any:
    """The mapping with ``${data.batch_size}`` put in, as composing does."""
    if isinstance(mapping, dict):
        return {key: with_batch(value) for key, value in mapping.items()}
    return BATCH if mapping == "${data.batch_size}" else mapping


def planned(path: Path) -> ModelPlan:
    mapping = fill_sizes(with_batch(read_yaml(path)), {"tokens": 20})
    return plan_model(validate_model(mapping), seed=3)


def inputs_of(plan: ModelPlan, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    made = {}
    for name, tensor in plan.inputs.items():
        shape = [BATCH, *(7 if length is None else length for length in tensor.shape[1:])]
        if tensor.dtype.startswith("int"):
            made[name] = random.integers(0, 20, shape, dtype=np.int32)
            made[name][0, 4:] = 0  # padding at the end, in front, and everywhere
            made[name][1, :3] = 0
        else:
            made[name] = random.normal(size=shape).astype(np.float32)
    return made


def built(plan: ModelPlan) -> dict[str, Any]:
    weights = initial_weights(plan)
    return {name: load_backend(name).build(plan, weights, TrainerSpec(), BackendSpec(name=name)) for name in ("torch", "tensorflow")}  # type: ignore[arg-type]


@pytest.mark.parametrize("path", sorted(GUIDE.glob("*.yaml")), ids=lambda path: path.stem)
def test_both_backends_compute_the_same(path: Path) -> None:
    plan = planned(path)
    inputs = inputs_of(plan)
    outputs = {name: trainee.predict(inputs) for name, trainee in built(plan).items()}
    assert outputs["torch"].keys() == outputs["tensorflow"].keys() == plan.outputs.keys()
    for name in plan.outputs:
        np.testing.assert_allclose(outputs["torch"][name], outputs["tensorflow"][name], rtol=0, atol=2e-6)


def test_a_stateful_model_goes_on_and_begins_again_after_reset_states() -> None:
    plan = planned(GUIDE / "stateful.yaml")
    first, second = inputs_of(plan, 1), inputs_of(plan, 2)
    for trainee in built(plan).values():
        trainee.reset_states()
        fresh = trainee.stepper()
        whole, _ = fresh.step(np.concatenate([first["tokens"], second["tokens"]], axis=1), fresh.start({}, BATCH))[:2]
        halves, state = fresh.step(first["tokens"], fresh.start({}, BATCH))[:2]
        halves, state = fresh.step(second["tokens"], state)[:2]
        np.testing.assert_allclose(halves, whole, rtol=0, atol=2e-6)
        again, _ = fresh.step(second["tokens"], fresh.start({}, BATCH))[:2]
        assert np.abs(again - whole).max() > 1e-4
