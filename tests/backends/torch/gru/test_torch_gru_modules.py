"""The layer as a module among modules: hooks and checkpoints see what it returns, and modules given for functions are parts of it."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from framework.backends.torch import GRU
from framework.backends.torch.gru.loop import Cell, Weights, loop

pytestmark = pytest.mark.torch


def batch() -> Tensor:
    return torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1))


def test_states_come_as_a_tuple() -> None:
    for sequences in (False, True):
        layer = GRU(3, input_dim=4, return_state=True, return_sequences=sequences)
        assert isinstance(layer(batch()), tuple)
        output, state = layer(batch())
        torch.testing.assert_close(output[:, -1] if sequences else output, state)


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradients_pass_a_checkpoint(reentrant: bool) -> None:
    layer = GRU(3, input_dim=4, return_state=True, return_sequences=True)
    x, h = batch().requires_grad_(), torch.randn(2, 3, requires_grad=True)
    tensors = [x, h, *layer.parameters()]

    def gradients(run: Any) -> tuple[Tensor | None, ...]:
        for one in tensors:
            one.grad = None
        output, state = run(x, None, None, h)
        (output.square().sum() + state.sum()).backward()
        return tuple(one.grad for one in tensors)

    expected = gradients(layer)
    found = gradients(lambda *given: checkpoint(layer, *given, use_reentrant=reentrant))
    assert all(one is not None for one in found)
    torch.testing.assert_close(found, expected)


def test_backward_hooks_see_both_outputs() -> None:
    layer = GRU(3, input_dim=4, return_state=True, return_sequences=True)
    seen: list[Any] = []
    layer.register_full_backward_hook(lambda module, inputs, outputs: seen.append((inputs, outputs)))
    layer.register_full_backward_pre_hook(lambda module, outputs: seen.append(outputs))
    x = batch().requires_grad_()
    output, state = layer(x)
    (output.sum() + 2.0 * state.sum()).backward()
    before, (of_inputs, of_outputs) = seen
    assert [tuple(one.shape) for one in before] == [(2, 5, 3), (2, 3)]
    torch.testing.assert_close(of_outputs, (torch.ones(2, 5, 3), torch.full((2, 3), 2.0)))
    torch.testing.assert_close(of_inputs[0], x.grad)


# Modules for functions ---------------------------------------------------------------------------------------------------------------


def sloped(**arguments: Any) -> tuple[GRU, nn.PReLU]:
    torch.manual_seed(0)
    slope = nn.PReLU(init=0.3)
    return GRU(3, activation=slope, input_dim=4, return_sequences=True, **arguments), slope


def test_parameters_of_an_activation_are_the_layers() -> None:
    layer, slope = sloped()
    assert [name for name, _ in layer.named_parameters()] == ["kernel", "recurrent_kernel", "bias", "activation_function.weight"]
    assert layer.state_dict()["activation_function.weight"].tolist() == [pytest.approx(0.3)]
    assert layer.activation is slope
    assert len(layer.get_weights()) == 3, "Keras' weights of a GRU"
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    layer(batch()).sum().backward()
    optimizer.step()
    assert float(slope.weight) != pytest.approx(0.3)
    again, _ = sloped()
    again.load_state_dict(layer.state_dict())
    torch.testing.assert_close(again(batch()), layer(batch()))


def test_its_gradient_is_that_of_plain_autograd() -> None:
    layer, slope = sloped()
    cell = Cell(lambda x: functional.prelu(x, slope.weight), torch.sigmoid, True)
    weights = Weights(layer.kernel, layer.recurrent_kernel, layer.bias)
    expected = loop(batch().transpose(0, 1), torch.zeros(2, 3), weights, cell).transpose(0, 1)
    torch.testing.assert_close(layer(batch()), expected)
    tensors = list(layer.parameters())
    found = torch.autograd.grad(layer(batch()).square().sum(), tensors)
    torch.testing.assert_close(found, torch.autograd.grad(expected.square().sum(), tensors))


def test_it_moves_with_the_layer() -> None:
    layer, slope = sloped()
    assert layer.double()(batch().double()).dtype == torch.float64 and slope.weight.dtype == torch.float64
    assert layer.to("meta")(batch().double().to("meta")).is_meta and layer.activation.weight.is_meta


@pytest.mark.parametrize("mixed", ["dtype", "autocast"])
def test_it_computes_in_the_layers_data_type(mixed: str) -> None:
    layer, slope = sloped(**({"dtype": "mixed_bfloat16"} if mixed == "dtype" else {}))
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed == "autocast"):
        output = layer(batch())
        output.float().sum().backward()
    assert output.dtype == torch.bfloat16
    assert slope.weight.grad is not None and slope.weight.grad.dtype == torch.float32
    plain, _ = sloped()
    torch.testing.assert_close(output.float(), plain(batch()), atol=3e-2, rtol=0)
    torch.testing.assert_close(layer.step(batch()[:, 0].bfloat16(), torch.zeros(2, 3).bfloat16()), output[:, 0])


def test_copies_have_their_own() -> None:
    layer, slope = sloped(recurrent_activation=nn.Sequential(nn.Linear(3, 3), nn.Sigmoid()))
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    configured = GRU.from_config(layer.get_config())
    configured.set_weights(layer.get_weights())
    expected = layer(batch())
    with torch.no_grad():
        slope.weight.fill_(-5.0)
        layer.recurrent_activation_function[0].bias.fill_(3.0)
    for again in (*copies, configured):
        torch.testing.assert_close(again(batch()), expected)
        assert not {id(one) for one in again.parameters()} & {id(one) for one in layer.parameters()}
    assert not torch.allclose(layer(batch()), expected)


def test_parameters_in_place_of_an_activations_own() -> None:
    layer, _ = sloped()
    other = torch.full((1,), 0.7)
    found = torch.func.functional_call(layer, {"activation_function.weight": other}, (batch(),))
    with torch.no_grad():
        layer.activation_function.weight.copy_(other)
    torch.testing.assert_close(found, layer(batch()))


def test_one_module_for_both_functions_is_one_set_of_parameters() -> None:
    slope = nn.PReLU()
    layer = GRU(3, activation=slope, recurrent_activation=slope, input_dim=4)
    assert sum(one is slope.weight for one in layer.parameters()) == 1
    assert layer.cell.activation is layer.cell.recurrent_activation is slope


def test_other_functions_may_be_modules_too() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(2.0))

        def forward(self, weight: Tensor) -> Tensor:
            return self.factor * weight.square().sum()

    layer = GRU(3, kernel_regularizer=Scale(), activity_regularizer=Scale(), input_dim=4)
    assert {"kernel_regularizer_function.factor", "activity_regularizer_function.factor"} <= set(layer.state_dict())
    layer(batch())
    sum(layer.losses()).backward()
    torch.testing.assert_close(layer.kernel_regularizer_function.factor.grad, layer.kernel.square().sum())
