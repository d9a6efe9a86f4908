"""What does not count in a training is not made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from attention_models import sentences, translation
from small_models import Workshop

from framework.backends.torch import counted
from framework.backends.torch.module import GraphModule
from framework.data.batches import Batch
from framework.errors import InputError

pytestmark = pytest.mark.torch

COUNTS = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0.5, 1]], np.float32)


def batch(weights: np.ndarray | None = COUNTS, steps: int = 4) -> Batch:
    given = sentences()
    return Batch(given, np.random.default_rng(2).integers(0, 11, (3, steps)), weights)


def made(workshop: Workshop, model: Any, given: Batch) -> tuple[int, float, dict[str, Any]]:
    """How many steps the logits were made for, the loss, and the gradients."""
    trainee, rows = workshop.trainee(model, precision="64-true"), []
    logits = trainee.native.layers["logits"]
    logits.register_forward_hook(lambda module, read, output: rows.append(output["output"].value[..., 0].numel()))
    loss, gradients = trainee.loss_and_gradients(given)
    return rows[0], loss, gradients


def test_padding_has_no_logits(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, loss, gradients = made(workshop, translation(), batch())
    assert rows == 7
    monkeypatch.setattr(counted, "MOST", 0.0)
    every, expected, slopes = made(workshop, translation(), batch())
    assert every == 12
    assert loss == pytest.approx(expected, rel=1e-13)
    for name, gradient in slopes.items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=0, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("weights", [None, np.ones((3, 4), np.float32), np.zeros((3, 4), np.float32)], ids=["none", "all", "no one"])
def test_all_logits_are_made_where_all_or_none_count(workshop: Workshop, weights: np.ndarray | None) -> None:
    assert made(workshop, translation(), batch(weights))[0] == 12


def test_all_logits_are_made_where_something_else_is_made_of_them(workshop: Workshop) -> None:
    model = translation()
    model["layers"]["logits"]["activity_regularizer"] = {"class_name": "L2", "config": {"l2": 0.1}}
    assert made(workshop, model, batch())[0] == 12, "their penalty"
    model = translation()
    model["layers"]["more"] = {"kind": "dense", "inputs": "logits", "units": 3}
    model["outputs"] = {"output": "logits", "more": "more"}
    assert made(workshop, model, batch())[0] == 12, "another output"


def test_weights_of_other_steps_are_refused(workshop: Workshop) -> None:
    native: GraphModule = workshop.trainee(translation()).native
    inputs = {name: torch.from_numpy(value) for name, value in sentences().items()}
    targets, weights = torch.zeros(3, 5, dtype=torch.int64), torch.tensor([[1.0, 0, 0, 0, 0]] * 3)
    with pytest.raises(InputError, match=r"layer 'logits' makes outputs for steps of the shape \(3, 4\), and the targets .* \(3, 5\)"):
        native.loss((inputs, targets, weights))
