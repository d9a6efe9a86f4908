"""Weights that others stand in for: what is written to them is there afterwards, or an error names them; what is read is of now."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small_models import Listener, Windows, Workshop, language_model
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from framework.backends.torch import GRU
from framework.errors import InputError

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::FutureWarning")]

WEIGHTS = ("kernel", "recurrent_kernel", "bias")


class Doubled(nn.Module):
    """A parametrization that can be turned round."""

    def forward(self, original: Tensor) -> Tensor:
        return 2.0 * original

    def right_inverse(self, value: Tensor) -> Tensor:
        return value / 2.0


class OneWay(nn.Module):
    """A parametrization that cannot."""

    def forward(self, original: Tensor) -> Tensor:
        return original.abs()


def old_weight_norm(module: nn.Module, name: str) -> None:
    torch.nn.utils.weight_norm(module, name, dim=1)


def weight_norm(module: nn.Module, name: str) -> None:
    parametrizations.weight_norm(module, name, dim=1)


def doubled(module: nn.Module, name: str) -> None:
    parametrize.register_parametrization(module, name, Doubled())


def one_way(module: nn.Module, name: str) -> None:
    parametrize.register_parametrization(module, name, OneWay())


def spectral_norm(module: nn.Module, name: str) -> None:
    parametrizations.spectral_norm(module, name)


def pruned(module: nn.Module, name: str) -> None:
    prune.l1_unstructured(module, name, amount=0.25)


TAKES_VALUES = [weight_norm, doubled]
REFUSES = [one_way, spectral_norm, old_weight_norm, pruned]

Put = Callable[[nn.Module, str], None]


def gru(**arguments: Any) -> GRU:
    torch.manual_seed(0)
    return GRU(3, input_dim=4, bias_initializer="glorot_uniform", return_sequences=True, **arguments)


def values(seed: int = 1) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    return [random.normal(size=shape).astype(np.float32) for shape in ((4, 9), (3, 9), (2, 9))]


@pytest.mark.parametrize("put", TAKES_VALUES)
def test_values_that_are_set_are_there(put: Put) -> None:
    layer, plain, x = gru(), gru(), torch.randn(2, 5, 4)
    for name in WEIGHTS:
        put(layer, name)
    layer.set_weights(values())
    plain.set_weights(values())
    for found, wanted in zip(layer.get_weights(), values(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(layer(x), plain(x))


@pytest.mark.parametrize("put", REFUSES)
def test_values_that_cannot_be_are_refused_by_name_and_nothing_changes(put: Put) -> None:
    layer = gru(name="mine")
    doubled(layer, "kernel")
    put(layer, "recurrent_kernel")
    layer.eval()
    before = layer.get_weights()
    with pytest.raises(InputError, match=r"GRU 'mine': recurrent_kernel is (parametrized|computed|pruned)"):
        layer.set_weights(values())
    for found, wanted in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_refusals_say_what_stands_in_the_way() -> None:
    for put, part in (
        (one_way, r"parametrized \(OneWay\) in a way that takes no values"),
        (spectral_norm, r"parametrized \(SpectralNorm\) and cannot be what it is set to: 36 of 36 values would be others"),
        (old_weight_norm, "computed from kernel_g, kernel_v at each call"),
        (pruned, "pruned, and 9 of the values that it is set to are not zero where it is; torch.nn.utils.prune.remove"),
    ):
        layer = gru()
        put(layer, "kernel")
        with pytest.raises(InputError, match=part):
            layer.set_weights(values())


def test_a_pruned_layer_takes_weights_that_are_pruned_as_it_is() -> None:
    layer = gru()
    pruned(layer, "kernel")
    wanted = [2.0 * weight for weight in layer.get_weights()]
    layer.set_weights(wanted)
    for found, want in zip(layer.get_weights(), wanted, strict=True):
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("put", [weight_norm, doubled, pruned])
def test_constraints_hold(put: Put) -> None:
    layer = gru(kernel_constraint="max_norm", recurrent_constraint="unit_norm", bias_constraint="non_neg")
    for name in WEIGHTS[:2] if put is weight_norm else WEIGHTS:
        put(layer, name)
    optimizer = torch.optim.SGD(layer.parameters(), lr=5.0)
    for _ in range(2):
        optimizer.zero_grad()
        layer(torch.randn(2, 5, 4)).square().sum().backward()
        optimizer.step()
        layer.apply_constraints()
    kernel, recurrent, bias = layer.get_weights()
    assert np.linalg.norm(kernel, axis=0).max() <= 2.0 + 1e-5
    np.testing.assert_allclose(np.linalg.norm(recurrent, axis=0), 1.0, atol=1e-5)
    assert bias.min() >= 0.0


def test_a_constraint_that_cannot_hold_is_named_and_one_that_holds_already_is_none() -> None:
    layer = gru(kernel_constraint="non_neg")
    one_way(layer, "kernel")
    layer.apply_constraints()
    layer = gru(kernel_constraint="unit_norm", name="mine")
    one_way(layer, "kernel")
    with pytest.raises(InputError, match=r"GRU 'mine': kernel is parametrized \(OneWay\)"):
        layer.apply_constraints()


@pytest.mark.parametrize("put", [weight_norm, old_weight_norm, doubled, pruned])
def test_what_is_read_is_of_now(put: Put) -> None:
    """Pruned weights and those of the older weight_norm are computed at a call; between an optimizer's step and it they were old."""
    layer = gru(kernel_regularizer="l2")
    put(layer, "kernel")
    put(layer, "recurrent_kernel")
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    x = torch.randn(2, 5, 4)
    layer(x).square().sum().backward()
    optimizer.step()
    read, penalty, stepped = layer.get_weights(), layer.losses()[0], layer.step(x[:, 0], torch.zeros(2, 3))
    called = layer(x)
    for found, wanted in zip(read, (layer.kernel, layer.recurrent_kernel, layer.bias), strict=True):
        np.testing.assert_array_equal(found, wanted.detach().numpy())
    torch.testing.assert_close(penalty, 0.01 * layer.kernel.square().sum())
    torch.testing.assert_close(stepped, called[:, 0])
    assert penalty.requires_grad


def test_first_weights_and_saved_ones_go_into_a_parametrized_layer() -> None:
    layer = gru()
    weight_norm(layer, "kernel")
    layer.set_weights(values())
    again = gru()
    weight_norm(again, "kernel")
    again.load_state_dict(layer.state_dict())
    for found, wanted in zip(again.get_weights(), layer.get_weights(), strict=True):
        np.testing.assert_array_equal(found, wanted)


# Models of a config ------------------------------------------------------------------------------------------------------------------


def model(workshop: Workshop) -> Any:
    layers = {
        "gru": {"kind": "gru", "units": 4, "return_sequences": True, "kernel_constraint": "unit_norm"},
        "between": {"kind": "dense", "units": 3, "kernel_constraint": "max_norm", "kernel_regularizer": "l2"},
    }
    return workshop.trainee(language_model(**layers))


def places(trainee: Any) -> list[tuple[nn.Module, str]]:
    layers = trainee.native.layers
    return [(layers["gru"].gru, "kernel"), (layers["between"], "kernel"), (layers["embedding"], "embeddings")]


@pytest.mark.parametrize("put", TAKES_VALUES)
def test_weights_of_a_model_are_set_read_and_constrained(put: Put, workshop: Workshop) -> None:
    trainee, plain = model(workshop), model(workshop)
    for module, name in places(trainee):
        put(module, name)
    wanted = {name: weight + 0.5 for name, weight in plain.weights().items()}
    for one in (trainee, plain):
        one.set_weights(wanted)
        one.native.network.apply_constraints()
    for name, found in trainee.weights().items():
        np.testing.assert_allclose(found, plain.weights()[name], rtol=1e-5, atol=1e-6, err_msg=name)
    torch.testing.assert_close(trainee.native.network.losses(), plain.native.network.losses())


@pytest.mark.parametrize("put", REFUSES)
def test_a_model_names_the_layer_whose_weight_cannot_be_set(put: Put, workshop: Workshop) -> None:
    trainee = model(workshop)
    put(trainee.native.layers["between"], "kernel")
    with pytest.raises(InputError, match="layer 'between': kernel is"):
        trainee.set_weights({name: weight + 0.5 for name, weight in model(workshop).weights().items()})


@pytest.mark.parametrize("put", [weight_norm, doubled, pruned])
def test_a_model_trains_and_decodes_with_such_weights(put: Put, workshop: Workshop) -> None:
    trainee = model(workshop)
    for module, name in places(trainee):
        put(module, name)
    trainee.fit(workshop.training(Windows(2), max_epochs=1), Listener())
    tokens = np.array([[1, 2, 3]], dtype=np.int32)
    stepper = trainee.stepper()
    logits = stepper.step(tokens, stepper.start({}, 1)).logits
    np.testing.assert_allclose(logits, trainee.predict({"tokens": tokens})["output"][:, -1], rtol=1e-4, atol=1e-5)


def test_torch_still_computes_such_weights_as_read_weight_expects() -> None:
    """Names that torch gives to parts of pruned and normalized weights, and attributes of its hooks."""
    layer = gru()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old_weight_norm(layer, "kernel")
    pruned(layer, "recurrent_kernel")
    assert {"kernel_g", "kernel_v", "recurrent_kernel_orig"} <= set(layer._parameters)
    assert "recurrent_kernel_mask" in layer._buffers
    hooks = list(layer._forward_pre_hooks.values())
    assert [getattr(hook, "_tensor_name", getattr(hook, "name", None)) for hook in hooks] == ["kernel", "recurrent_kernel"]
