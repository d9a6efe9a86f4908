"""Penalties on outputs: those of all calls of a step, as Keras adds them up, and of no other step."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import keras
import numpy as np
import pytest
import torch
from small_models import VOCABULARY, Workshop, language_model
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from framework.backends.torch import GRU
from framework.errors import UnsupportedArgument

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]

FACTOR = 0.01
"""Of Keras' ``l2``."""


def gru(**arguments: Any) -> GRU:
    torch.manual_seed(0)
    return GRU(4, input_dim=4, return_sequences=True, activity_regularizer="l2", **arguments)


def batch(number: int, rows: int = 3) -> Tensor:
    return torch.randn(rows, 5, 4, generator=torch.Generator().manual_seed(number))


def by_hand(*outputs: Tensor) -> Tensor:
    """The penalty of outputs of calls: each a mean over its rows."""
    return sum((FACTOR * output.square().sum() / len(output) for output in outputs), torch.zeros(()))


class Twice(nn.Module):
    """Calls one layer twice, the second time on other rows."""

    def __init__(self, layer: GRU) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(x), self.layer(x[:2].tanh())


def test_a_shared_layer_has_the_penalties_that_keras_adds_up() -> None:
    theirs = keras.layers.GRU(4, return_sequences=True, return_state=True, activity_regularizer="l2", kernel_regularizer="l1")

    class KerasTwice(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.layer = theirs

        def call(self, x: Any) -> Any:
            return self.layer(self.layer(x)[0][:2])

    model = KerasTwice()
    x = batch(0)
    for _ in range(2):
        model(x.numpy())
        expected = float(sum(theirs.losses))
    ours = GRU(4, return_sequences=True, return_state=True, activity_regularizer="l2", kernel_regularizer="l1", input_dim=4)
    ours.set_weights(theirs.get_weights())
    for _ in range(2):
        ours(ours(x)[0][:2])
        assert float(sum(ours.losses()).detach()) == pytest.approx(expected, rel=1e-5)


def test_every_step_has_its_own() -> None:
    model = Twice(gru())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for number in range(3):
        optimizer.zero_grad()
        outputs = model(batch(number))
        penalty = sum(model.layer.losses())
        torch.testing.assert_close(penalty, by_hand(*outputs))
        assert torch.equal(sum(model.layer.losses()), penalty), "asked for twice, they are the same"
        (outputs[0].mean() + penalty).backward()
        found = [one.grad.clone() for one in model.parameters()]
        outputs = model(batch(number))
        expected = torch.autograd.grad(outputs[0].mean() + by_hand(*outputs), list(model.parameters()))
        torch.testing.assert_close(found, list(expected))
        model.layer.losses()
        optimizer.step()


def test_a_step_ends_with_its_backward_pass_even_if_nobody_asked() -> None:
    model = Twice(gru())
    sum(one.sum() for one in model(batch(0))).backward()
    torch.testing.assert_close(sum(model.layer.losses()), sum(model.layer.losses()))
    outputs = model(batch(1))
    torch.testing.assert_close(sum(model.layer.losses()), by_hand(*outputs))


def test_a_gradient_within_the_step_does_not_end_it() -> None:
    layer = gru()
    x = batch(0).requires_grad_()
    first = layer(x)
    torch.autograd.grad(first.sum(), x, create_graph=True)
    second = layer(batch(1))
    torch.testing.assert_close(sum(layer.losses()), by_hand(first, second))


def test_looking_at_a_layer_in_between_belongs_to_no_step() -> None:
    model = Twice(gru())
    with torch.no_grad():
        for number in range(3):
            model(batch(number))
    outputs = model(batch(4))
    torch.testing.assert_close(sum(model.layer.losses()), by_hand(*outputs))
    outputs = model(batch(5))
    model.eval()
    with torch.no_grad():
        evaluated = model(batch(6))
    torch.testing.assert_close(sum(model.layer.losses()), by_hand(*evaluated))
    outputs = model.train()(batch(7))
    torch.testing.assert_close(sum(model.layer.losses()), by_hand(*outputs))


def test_checkpointed_calls_count_once() -> None:
    layer = gru(recurrent_dropout=0.5, seed=1)
    plain = gru(recurrent_dropout=0.5, seed=1)
    for number in range(3):
        x = batch(number)
        results = []
        for one, run in ((plain, lambda x, one=plain: one(x)), (layer, lambda x: checkpoint(layer, x, use_reentrant=False))):
            loss = run(run(x)).mean()
            penalty = sum(one.losses())
            results.append((penalty, torch.autograd.grad(loss + 10.0 * penalty, list(one.parameters()))))
        torch.testing.assert_close(results[1], results[0])


def test_a_checkpoint_that_would_lose_the_gradient_says_so() -> None:
    layer = gru(name="mine")
    output = checkpoint(layer, batch(0).requires_grad_(), use_reentrant=True)
    with pytest.raises(UnsupportedArgument, match=r"GRU 'mine': activity_regularizer gets no gradient .* use_reentrant=False keeps it"):
        (output.sum() + sum(layer.losses())).backward()


def test_a_model_that_is_called_twice_has_both_penalties(workshop: Workshop) -> None:
    layers = {
        "gru": {"kind": "gru", "units": 4, "return_sequences": True, "activity_regularizer": "l2"},
        "between": {"kind": "dense", "units": 3, "activity_regularizer": "l2"},
    }
    native = workshop.trainee(language_model(**layers)).native
    tokens = [torch.randint(0, VOCABULARY, (4, 6), generator=torch.Generator().manual_seed(one)) for one in range(2)]

    def penalties(*given: Tensor) -> Tensor:
        for one in given:
            native(one)
        return torch.stack(native.network.losses())

    each = [penalties(one) for one in tokens]
    torch.testing.assert_close(penalties(*tokens), each[0] + each[1])
    with torch.no_grad():
        torch.testing.assert_close(penalties(tokens[1]), each[1])


def test_penalties_hold_no_layer_alive_and_are_in_no_copy() -> None:
    layer = gru()
    layer(batch(0))
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert again.losses() == []
        again(batch(0))
        torch.testing.assert_close(again.losses(), layer.losses())
        layer(batch(0))
    seen = weakref.ref(layer)
    del layer
    gc.collect()
    assert seen() is None


def test_per_row_gradients_with_penalties() -> None:
    """Transforms of torch leave nothing behind that the next step would add."""
    layer = gru()
    weights = {name: weight.detach() for name, weight in layer.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        output = torch.func.functional_call(layer, weights, (x[None],))
        return output.mean() + sum(layer.losses())

    for _ in range(2):
        found = torch.func.vmap(torch.func.grad(loss), (None, 0))(weights, batch(0))
    output = layer(batch(0)[:1])
    expected = torch.autograd.grad(output.mean() + by_hand(output), layer.kernel)[0]
    torch.testing.assert_close(found["kernel"][0], expected)
    np.testing.assert_allclose(float(sum(layer.losses()).detach()), float(by_hand(output).detach()), rtol=1e-5)
