"""What the tests of the torch backend share: one workshop for its models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from small_models import Workshop


@pytest.fixture(scope="session")
def workshop() -> Workshop:
    """Makes plans, trainees and trainings on this backend."""
    return Workshop("torch")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny models gain nothing from more threads, and lose much where several tests run at once."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
