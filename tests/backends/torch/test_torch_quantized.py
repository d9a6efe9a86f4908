"""Products in int8 against the same arithmetic in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from framework.backends.torch.product import PreparedProduct
from framework.backends.torch.quantized import Quantized
from framework.decoding.precision import LARGE
from framework.errors import UnsupportedArgument

pytestmark = pytest.mark.torch


def by_hand(x: NDArray[np.float64], kernel: NDArray[np.float64], bias: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Whole numbers with one scale a column of the weights, and one scale and zero for all of ``x``."""
    of_kernel = np.abs(kernel).max(axis=0) / 127
    least, most = min(x.min(), 0.0), max(x.max(), 0.0)
    of_x = (most - least) / steps
    zero = np.round(-least / of_x)
    whole_x = np.clip(np.round(x / of_x) + zero, 0, steps)
    return (whole_x - zero) @ np.round(kernel / of_kernel) * of_x * of_kernel + bias


@pytest.mark.parametrize("rows", [1, 5])
def test_int8_is_what_its_whole_numbers_give(rows: int) -> None:
    random = torch.Generator().manual_seed(1)
    x, kernel, bias = (torch.randn(shape, generator=random) for shape in ((rows, 60), (60, 40), (40,)))
    found = Quantized(kernel, bias)(x).numpy()
    wide, narrow = (by_hand(*(one.double().numpy() for one in (x, kernel, bias)), steps) for steps in (255, 127))
    assert min(np.abs(found - wide).max(), np.abs(found - narrow).max()) < 2e-2  # one step of x, at a border that float32 rounds otherwise
    exact = (x.double() @ kernel.double() + bias.double()).numpy()
    assert 1e-4 < np.abs(found - exact).max() < 0.5


@pytest.mark.parametrize(("precision", "least", "most"), [("float32", 0.0, 5e-4), ("bfloat16", 1e-2, 0.8), ("int8", 1e-2, 1.8)])
def test_a_large_product_is_kept_in_its_precision_and_a_small_one_is_not(precision: str, least: float, most: float) -> None:
    random = torch.Generator().manual_seed(2)
    kernel, x = torch.randn(LARGE // 128, 128, generator=random), torch.randn(3, LARGE // 128, generator=random)
    large, small = PreparedProduct(kernel, None, precision), PreparedProduct(kernel[:, :8], None, precision)  # type: ignore[arg-type]
    exact = x.double() @ kernel.double()
    assert least <= float((large(x).double() - exact).abs().max()) <= most
    assert large(x).dtype == torch.float32
    assert float((small(x).double() - exact[:, :8]).abs().max()) < 5e-4


def test_a_column_of_zeros_stays_zeros() -> None:
    kernel = torch.ones(4, 3)
    kernel[:, 1] = 0
    found = Quantized(kernel, None)(torch.ones(1, 4))
    np.testing.assert_allclose(found, [[4.0, 0.0, 4.0]], rtol=1e-2)


def test_where_torch_has_no_int8_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnsupportedArgument, match="no int8 product on a meta; expected float32 or bfloat16"):
        Quantized(torch.ones(2, 2, device="meta"), None)
    monkeypatch.setattr("framework.backends.torch.quantized.ENGINES", ())
    with pytest.raises(UnsupportedArgument, match="no int8 product in this build of torch"):
        Quantized(torch.ones(2, 2), None)


def test_another_engine_that_a_user_set_stays_set() -> None:
    before = torch.backends.quantized.engine
    Quantized(torch.ones(2, 2), None)
    assert torch.backends.quantized.engine == before
