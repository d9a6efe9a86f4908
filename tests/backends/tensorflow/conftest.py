"""What the tests of the TensorFlow backend share: one workshop for its models."""

from __future__ import annotations

import pytest
from small_models import Workshop


@pytest.fixture(scope="session")
def workshop() -> Workshop:
    """Makes plans, trainees and trainings on this backend."""
    return Workshop("tensorflow")
