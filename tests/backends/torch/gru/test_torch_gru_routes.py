"""The ways to run a GRU: the scan, torch's own kernel with masks and biases lifted around it, and the plain loop agree."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from framework.backends.base.choices import Choices, using
from framework.backends.torch import GRU
from framework.backends.torch.activations import FUNCTIONS
from framework.backends.torch.gru import products, routes
from framework.backends.torch.gru.kernel import one_stretch, run_kernel
from framework.backends.torch.gru.loop import Cell, Weights, loop
from framework.backends.torch.gru.products import Product, matmul, matmul_turned, turned
from framework.backends.torch.gru.routes import KERNEL_SIZE, Sequences, choose
from framework.backends.torch.gru.scan import scan, scannable
from framework.backends.torch.gru.slopes import slope_of

pytestmark = pytest.mark.torch

PLAIN = Cell(torch.tanh, torch.sigmoid, True)


def make(batch: int, steps: int, features: int, units: int, dtype: torch.dtype = torch.float64, bias: bool = True) -> Any:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(*shape, dtype=dtype, generator=generator) * scale).requires_grad_()

    kernel, recurrent = normal(features, 3 * units, scale=features**-0.5), normal(units, 3 * units, scale=units**-0.5)
    weights = Weights(kernel, recurrent, normal(2, 3 * units, scale=0.3) if bias else None)
    return normal(steps, batch, features, scale=0.5), normal(batch, units), weights


def gradients(states: Tensor, last: Tensor, tensors: list[Tensor]) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    of_states, of_last = (torch.randn(one.shape, dtype=torch.float64, generator=generator).to(one.dtype) for one in (states, last))
    return torch.autograd.grad((states * of_states).sum() + (last * of_last).sum(), tensors)


MASKS = {
    "none": None,
    "right": [[1, 1, 1], [1, 1, 0], [1, 1, 0], [1, 0, 0]],
    "left": [[1, 0, 0], [1, 1, 0], [1, 1, 0], [1, 1, 1]],
    "middle": [[0, 1, 1], [1, 0, 0], [0, 1, 0], [1, 0, 1]],
    "full rows": [[0, 0, 1], [0, 0, 1], [0, 0, 0], [0, 0, 1]],
    "nothing valid": [[0] * 3] * 4,
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS.keys())
@pytest.mark.parametrize("bias", [True, False])
def test_the_kernel_with_its_limits_lifted_is_the_loop(mask: Any, bias: bool) -> None:
    x, h, weights = make(3, 4, 5, 6, bias=bias)
    steps = None if mask is None else torch.tensor(mask, dtype=torch.bool)
    tensors = [one for one in (x, h, weights.kernel, weights.recurrent_kernel, weights.bias) if one is not None]
    expected = loop(x, h, weights, PLAIN, steps)
    found, last = run_kernel(x, h, weights, steps)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(last, expected[-1])
    for one, two in zip(gradients(found, last, tensors), gradients(expected, expected[-1], tensors), strict=True):
        torch.testing.assert_close(one, two)


def test_the_kernel_is_not_harmed_by_what_masked_steps_hold() -> None:
    x, h, weights = make(2, 3, 4, 5)
    mask = torch.tensor([[True, False], [False, True], [True, True]])
    dirty = x.detach().masked_fill(~mask[:, :, None], torch.inf)
    states, _ = run_kernel(dirty, h, weights, mask)
    torch.testing.assert_close(states, run_kernel(x, h, weights, mask)[0])
    states.sum().backward()
    assert all(one.grad.isfinite().all() for one in (weights.kernel, weights.recurrent_kernel, weights.bias))


def test_the_kernels_weights_are_torchs_and_lie_as_cudnn_reads_them() -> None:
    seen: list[Tensor] = []
    x, h, weights = make(2, 3, 4, 5)

    def record(*arguments: Any) -> tuple[Tensor, Tensor]:
        seen.extend(arguments[2])
        return torch.zeros(3, 2, 5), torch.zeros(1, 2, 5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "gru", record)
        run_kernel(x, h, weights)
    own = nn.GRU(4, 5)
    assert [tuple(one.shape) for one in seen] == [tuple(one.shape) for one in own.parameters()]
    stretch = one_stretch(seen)
    assert all(torch.equal(one, two) and one.is_contiguous() for one, two in zip(stretch, seen, strict=True))
    assert [one.storage_offset() for one in stretch] == [0, 60, 60 + 75, 60 + 75 + 15]
    assert len({one.untyped_storage().data_ptr() for one in stretch}) == 1


@pytest.mark.parametrize("name", [name for name, function in FUNCTIONS.items() if slope_of(function)])
@pytest.mark.parametrize("reset_after", [True, False])
def test_hand_written_derivatives_of_every_activation(name: str, reset_after: bool) -> None:
    for cell in (Cell(FUNCTIONS[name], torch.sigmoid, reset_after), Cell(torch.tanh, FUNCTIONS[name], reset_after)):
        x, h, weights = make(3, 2, 4, 5)
        weights = Weights(weights.kernel, weights.recurrent_kernel, weights.bias if reset_after else None)
        tensors = [one for one in (x, h, weights.kernel, weights.recurrent_kernel, weights.bias) if one is not None]
        mask = torch.tensor([[True, False, True], [True, True, False]])
        expected = loop(x, h, weights, cell, mask)
        states, last = scan(x, h, weights, cell, mask)
        torch.testing.assert_close(states, expected)
        for one, two in zip(gradients(states, last, tensors), gradients(expected, expected[-1], tensors), strict=True):
            torch.testing.assert_close(one, two)


def test_activations_without_hand_written_derivatives_run_as_the_loop() -> None:
    x, h, weights = make(3, 3, 4, 5)
    for function in (FUNCTIONS["softmax"], torch.cos):
        cell = Cell(function, torch.sigmoid, True)
        assert not scannable(cell)
        assert choose(Sequences(x, h), weights, cell, True) == "loop"


SIZES = [(1, 20, 8, 210), (40, 20, 8, 210), (2, 3, 4, 5), (1, 1, 8, 5), (2, 2, 9, 5)]
"""One row or many; steps enough, or not, for several chunks; fewer rows in all than features."""


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("reset_after", [True, False])
def test_the_scan_is_the_loop_at_every_size(size: tuple[int, int, int, int], dropped: bool, reset_after: bool) -> None:
    x, h, weights = make(*size, dtype=torch.float32)
    bias = weights.bias if reset_after else weights.bias[0].detach().clone().requires_grad_()
    weights = Weights(weights.kernel, weights.recurrent_kernel, bias)
    batch, _, features, units = size
    cell = Cell(torch.tanh, torch.sigmoid, reset_after)
    masks = [(torch.rand(batch, width) < 0.7) / 0.7 for width in (features,) * 3 + (units,) * 3] if dropped else []
    tensors = [x, h, weights.kernel, weights.recurrent_kernel, bias]
    wide = Weights(*(one.detach().double().requires_grad_() for one in tensors[2:]))
    wide_x, wide_h = x.detach().double().requires_grad_(), h.detach().double().requires_grad_()
    wide_tensors = [wide_x, wide_h, wide.kernel, wide.recurrent_kernel, wide.bias]
    wide_masks = [one.double() for one in masks]
    expected = loop(wide_x, wide_h, wide, cell, None, wide_masks[:3], wide_masks[3:])
    states, last = scan(x, h, weights, cell, None, masks[:3], masks[3:])
    assert (states - expected).abs().max() < 2e-6
    for one, two in zip(gradients(states, last, tensors), gradients(expected, expected[-1], wide_tensors), strict=True):
        assert (one - two).abs().max() < 1e-4 * two.abs().max()


def test_the_scan_differentiates_only_what_is_asked_for() -> None:
    x, h, weights = make(2, 3, 4, 5)
    names = ("kernel", "recurrent_kernel", "bias")
    everything = [x, h, *(getattr(weights, name) for name in names)]
    states, last = scan(x, h, weights, PLAIN)
    expected = gradients(states, last, everything)
    for chosen in itertools.product([False, True], repeat=5):
        if not any(chosen):
            continue
        leaves = [one.detach().requires_grad_(keep) for one, keep in zip(everything, chosen, strict=True)]
        found_states, found_last = scan(leaves[0], leaves[1], Weights(*leaves[2:]), PLAIN)
        wanted = [one for one, keep in zip(leaves, chosen, strict=True) if keep]
        given = [one for one, keep in zip(expected, chosen, strict=True) if keep]
        for one, two in zip(gradients(found_states, found_last, wanted), given, strict=True):
            torch.testing.assert_close(one, two)


def test_gradients_of_one_output_alone() -> None:
    x, h, weights = make(2, 3, 4, 5)
    states, last = scan(x, h, weights, PLAIN)
    (of_last,) = torch.autograd.grad(last.sum(), weights.kernel, retain_graph=True)
    (of_states,) = torch.autograd.grad(states[-1].sum(), weights.kernel, retain_graph=True)
    (again,) = torch.autograd.grad(states[-1].sum(), weights.kernel)
    torch.testing.assert_close(of_last, of_states)
    assert torch.equal(of_states, again), "a backward pass must leave the tape as it was"


@pytest.mark.parametrize("reset_after", [True, False])
def test_second_derivatives(reset_after: bool) -> None:
    x, h, weights = make(2, 3, 2, 2)
    bias = weights.bias if reset_after else weights.bias[0].detach().requires_grad_()
    mask = torch.tensor([[True, False], [True, True], [False, True]])
    masks = [torch.full((2, 2), value) for value in (0.5, 1.5, 2.0)]

    def run(*tensors: Tensor) -> Tensor:
        cell = Cell(torch.tanh, torch.sigmoid, reset_after)
        return scan(tensors[0], tensors[1], Weights(*tensors[2:]), cell, mask, None, [one.to(x.dtype) for one in masks])[0]

    assert torch.autograd.gradgradcheck(run, (x, h, weights.kernel, weights.recurrent_kernel, bias))


def test_a_state_that_was_written_over_is_noticed() -> None:
    x, h, weights = make(2, 3, 4, 5)
    states, _ = scan(x, h, weights, PLAIN)
    with torch.no_grad():
        states.zero_()
    with pytest.raises(RuntimeError, match="modified inplace"):
        states.sum().backward()


def test_inference_keeps_no_tape(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    from framework.backends.torch.gru import scan as module

    original = module.run

    def record(*arguments: Any) -> Any:
        tape = original(*arguments)
        kept.append(tape.inner.numel())
        return tape

    monkeypatch.setattr(module, "run", record)
    x, h, weights = make(2, 3, 4, 5)
    with torch.no_grad():
        scan(x, h, weights, PLAIN)
    scan(x, h, weights, PLAIN)
    assert kept == [0, 30]


def test_which_way_is_chosen() -> None:
    x, h, weights = make(2, 3, 4, 5)
    given = Sequences(x, h)
    assert choose(given, weights, PLAIN, True) == "scan"
    with torch.no_grad():
        assert choose(given, weights, PLAIN, True) == "kernel"
        assert choose(given, weights, Cell(torch.relu, torch.sigmoid, True), True) == "scan"
        assert choose(given, weights, Cell(torch.tanh, torch.sigmoid, False), True) == "scan"
        assert choose(Sequences(x, h, recurrent_masks=[h] * 3), weights, PLAIN, True) == "scan"
        assert choose(Sequences(x, h, input_masks=[x[0]] * 3), weights, PLAIN, True) == "scan"
        assert choose(Sequences(x, h, input_masks=[x[0]]), weights, PLAIN, True) == "kernel"
        large = KERNEL_SIZE // 5 + 1
        assert choose(Sequences(x[:, :1].expand(3, large, 4), h), weights, PLAIN, True) == "scan"
        assert choose(Sequences(x[:, :0], h[:0]), weights, PLAIN, True) == "loop"


class OnGPU:
    """A tensor as far as the choice looks at it."""

    def __init__(self, like: Tensor) -> None:
        self.shape, self.dtype, self.is_cuda = like.shape, like.dtype, True


@pytest.mark.parametrize("wanted", ["inputs", "state", "weights", "nothing", "nothing recorded"])
def test_the_kernel_trains_where_gradients_are_wanted(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """cuDNN refuses the backward pass of a call that was not told so, in a layer at rest as well."""
    told, gru = [], torch.gru
    monkeypatch.setattr(torch, "gru", lambda *arguments: told.append(arguments[6]) or gru(*arguments))
    x, h, weights = make(3, 4, 5, 6)
    of = {"inputs": (x,), "state": (h,), "weights": (weights.kernel,), "nothing": (), "nothing recorded": (x, h, weights.kernel)}[wanted]
    for one in (x, h, weights.kernel, weights.recurrent_kernel, weights.bias):
        one.requires_grad_(any(one is other for other in of))
    with torch.set_grad_enabled(wanted != "nothing recorded"):
        run_kernel(x, h, weights)
    assert told == [not wanted.startswith("nothing")]


def test_cudnn_is_chosen_where_it_may_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "ordinary", lambda *_: True)
    x, h, weights = make(2, 3, 4, 5)
    given: Any = Sequences(OnGPU(x), h)  # type: ignore[arg-type]
    assert choose(given, weights, PLAIN, True) == "cudnn"
    assert choose(given, weights, PLAIN, False) == "scan"


def test_packed_products_are_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "PACKED_SIZE_AVX2", products.PACKED_SIZE)
    weight, x, bias = torch.randn(512, 600), torch.randn(5, 512), torch.randn(600)
    packed = Product(weight, bias, 5, 100)
    plain = Product(weight, bias, 5, 1)
    assert (packed.packed is not None) is products.packs(weight) and plain.packed is None
    torch.testing.assert_close(packed(x), plain(x), atol=1e-4, rtol=1e-4)
    with torch.backends.mkldnn.flags(enabled=False):
        assert Product(weight, bias, 5, 100).packed is None

    def wrong(*_: Any) -> Tensor:
        return torch.zeros(7, 19)

    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", wrong, raising=False)
    products._packs.cache_clear()
    assert not products.packs(weight), "an operator that gives other numbers is not used"
    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", None, raising=False)
    products._packs.cache_clear()
    assert not products.packs(weight)
    monkeypatch.undo()
    products._packs.cache_clear()


@pytest.mark.parametrize("everything", [False, True])
def test_large_products_either_way(everything: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "packs_everything", lambda: everything)
    a, b, bias = torch.randn(300, 500), torch.randn(500, 700), torch.randn(700)
    torch.testing.assert_close(matmul(a, b, bias), a @ b + bias, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(matmul(a, b), a @ b, atol=1e-3, rtol=1e-4)
    gradients = turned(torch.randn(300, 700), a)
    assert gradients.is_contiguous() is everything
    for part in (gradients, gradients[100:400]):
        out = torch.empty(500, 800)[:, : len(part)]
        torch.testing.assert_close(matmul_turned(a, part, out), (part @ a).t(), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("dropped", [False, True])
@pytest.mark.parametrize("reset_after", [True, False])
def test_the_scan_with_every_product_packed(dropped: bool, reset_after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "packs_everything", lambda: True)
    monkeypatch.setattr(products, "LARGE", 1)
    monkeypatch.setattr(products, "PACKED_SIZE", 1)
    test_the_scan_is_the_loop_at_every_size((5, 20, 9, 33), dropped, reset_after)


def test_a_layer_in_training_and_at_rest_gives_the_same() -> None:
    layer = GRU(6, input_dim=5, return_sequences=True)
    x = torch.randn(3, 4, 5)
    trained = layer(x)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), trained, atol=1e-6, rtol=0)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), trained.detach(), atol=1e-6, rtol=0)


def test_a_hidden_output_is_zero_even_where_the_state_is_infinite() -> None:
    layer = GRU(2, input_dim=1, activation="exponential", recurrent_activation=None, zero_output_for_mask=True, bias_initializer="ones")
    output = layer(torch.full((1, 9, 1), 9.0), mask=torch.tensor([[True] * 8 + [False]]))
    assert output.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("gates", ["sigmoid", "exponential"])
def test_what_a_skipped_step_would_have_computed_does_not_matter(reset_after: bool, gates: str) -> None:
    x, _, weights = make(1, 3, 2, 2)
    weights = Weights(weights.kernel.detach().abs().requires_grad_(), weights.recurrent_kernel.detach().abs().requires_grad_(), None)
    state = torch.full((1, 2), 1e4, dtype=torch.float64, requires_grad=True)
    cell, mask = Cell(FUNCTIONS["exponential"], FUNCTIONS[gates], reset_after), torch.zeros(3, 1, dtype=torch.bool)
    states, last = scan(x, state, weights, cell, mask)
    assert torch.equal(states, state.expand(3, 1, 2))
    found = torch.autograd.grad(states.sum() + last.sum(), (x, state, weights.kernel, weights.recurrent_kernel))
    assert [one.unique().tolist() for one in found] == [[0.0], [4.0], [0.0], [0.0]]


def test_gradients_lie_in_memory_as_their_weights_do() -> None:
    """Or autograd copies each gradient into the weight's order, which took longer than the rest of a single step."""
    layer = GRU(6, input_shape=(3, 4))
    for weight in layer.parameters():
        assert weight.is_contiguous()


class Always(Choices):
    """Takes the first of all ways, or the last, once each has measured itself."""

    def __init__(self, which: int) -> None:
        super().__init__()
        self.which, self.asked = which, set[str]()

    def choose(self, key: str, rule: str, ways: Mapping[str, Callable[[], float]]) -> str:
        assert rule in ways and all(measure() > 0 for measure in ways.values())
        self.asked.add(key.split(" ")[0] if key[0].isalpha() else "steps")
        return list(ways)[self.which]


@pytest.mark.parametrize("which", [0, -1])
@pytest.mark.parametrize("masked", [False, True])
def test_a_layer_trains_the_same_whatever_is_chosen(which: int, masked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "SMALLEST_MEASURED", 1)
    monkeypatch.setattr(products, "LARGE", 1)
    torch.manual_seed(0)
    layer = GRU(11, return_sequences=True, input_shape=(6, 7), seed=1)
    inputs, gradient = torch.randn(3, 6, 7), torch.randn(3, 6, 11)
    mask = torch.rand(3, 6) > 0.3 if masked else None

    def trained() -> list[torch.Tensor]:
        given = inputs.detach().requires_grad_()
        layer.zero_grad()
        output = layer(given, mask=mask)
        output.backward(gradient)
        assert given.grad is not None
        return [output.detach(), given.grad, *(weight.grad for weight in layer.parameters() if weight.grad is not None)]

    expected, always = trained(), Always(which)
    with using(always):
        found = trained()
    assert "training" in always.asked
    if which == 0 and products.packs(inputs):
        assert always.asked == {"training", "steps", "product", "gradient"}
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_batches_of_many_sizes_are_measured_for_a_few(monkeypatch: pytest.MonkeyPatch) -> None:
    if not products.packs(torch.ones(1)):
        pytest.skip("there is one way alone")
    monkeypatch.setattr(products, "LARGE", 1)
    monkeypatch.setattr(products, "seconds_of", lambda call: 1.0)
    choices = Choices()
    with using(choices):
        for counted in range(260, 500, 7):
            gradient = torch.ones(counted, 11)
            matmul(torch.ones(counted, 5), torch.ones(5, 11))
            matmul(torch.ones(5, counted), gradient)
            turned(gradient, torch.ones(counted, 5))
    assert len(choices.known) == 3
