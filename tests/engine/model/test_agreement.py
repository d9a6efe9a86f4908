from __future__ import annotations

import numpy as np
import pytest

from framework.engine.model.agreement import TOLERANCE, compare_outputs
from framework.errors import ParityError

ONE = np.array([[1.0, -2.0]], np.float32)


def test_a_difference_within_the_tolerance_is_told() -> None:
    found = compare_outputs({"logits": ONE}, {"logits": ONE * np.float32(1 + 4e-6)}, ("torch", "tensorflow"))
    assert 1e-6 < found <= TOLERANCE


def test_models_that_disagree_are_shown_in_a_table() -> None:
    with pytest.raises(ParityError) as caught:
        compare_outputs({"logits": ONE, "other": ONE}, {"logits": ONE, "other": ONE + 0.5}, ("torch", "tensorflow"))
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("the models of torch and tensorflow disagree by more than 1e-05")
    assert lines[1].split() == ["output", "shape", "largest", "of", "torch", "largest", "of", "tensorflow", "difference", "share"]
    assert lines[3].split() == ["other", "(1,", "2)", "2", "1.5", "0.5", "0.25"]


@pytest.mark.parametrize("other", [ONE * np.nan, ONE[:, :1]], ids=["no number", "another shape"])
def test_what_cannot_be_compared_disagrees(other: np.ndarray) -> None:
    with pytest.raises(ParityError, match=r"nan|inf"):
        compare_outputs({"logits": ONE}, {"logits": other}, ("a", "b"))
