"""The product with a large matrix: the default product's numbers, derivatives and second derivatives, and where it is taken."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from framework.backends.torch import large_product as products
from framework.backends.torch.gru import products as scans

pytestmark = pytest.mark.torch


@pytest.fixture
def small_counts_as_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the prepacked product for small matrices too, on every processor."""
    monkeypatch.setattr(products, "SMALLEST", 4)
    monkeypatch.setattr(scans, "LARGE", 1)
    monkeypatch.setattr(scans, "packs_everything", lambda: True)


def drawn(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize("biased", [True, False])
def test_numbers_and_gradients_are_the_default_products(biased: bool, small_counts_as_large: None) -> None:
    x, kernel, bias = drawn((3, 5, 7), (7, 9), (9,))
    given = [x, kernel, bias] if biased else [x, kernel]
    found = products.large_product(*given)
    if scans.packs(x):
        assert type(found.grad_fn.next_functions[0][0]).__name__ == "_ProductBackward"
    expected = functional.linear(x, kernel.t(), bias if biased else None)
    torch.testing.assert_close(found, expected)
    gradient = torch.randn(expected.shape)
    for one, other in zip(*(torch.autograd.grad(value, given, gradient) for value in (found, expected)), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_second_derivatives_are_the_default_products(small_counts_as_large: None) -> None:
    x, kernel, bias = drawn((6, 7), (7, 9), (9,))
    results = []
    for product in (products.large_product, lambda x, kernel, bias: functional.linear(x, kernel.t(), bias)):
        first = torch.autograd.grad(product(x, kernel, bias).square().sum(), [x, kernel, bias], create_graph=True)
        results.append(torch.autograd.grad(sum(one.square().sum() for one in first), [x, kernel, bias]))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("shapes", [((640, 300), (300, 65)), ((3, 300), (300, 300))], ids=["characters", "few rows"])
def test_what_is_narrow_keeps_the_default_product(shapes: tuple[tuple[int, ...], ...]) -> None:
    """To the bit: trained models must give what they gave."""
    x, kernel = drawn(*shapes)
    found, expected = products.large_product(x, kernel), functional.linear(x, kernel.t())
    assert torch.equal(found, expected)
    for one, other in zip(*(torch.autograd.grad(value.sum(), [x, kernel]) for value in (found, expected)), strict=True):
        assert torch.equal(one, other)
