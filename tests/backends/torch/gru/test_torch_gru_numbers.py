"""Properties: whatever the arguments, the torch GRU gives the numbers and the gradients of the oracle and of tf-keras."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import torch
from hypothesis import HealthCheck, assume, given, settings
from numpy.typing import NDArray
from oracles.gru_cases import Case, cases
from oracles.gru_numpy import ACTIVATIONS

from framework.backends.torch import GRU

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]

BOUNDS = {torch.float64: (1e-10, 1e-10), torch.float32: (2e-6, 1e-4), torch.bfloat16: (3e-2, 5e-2)}
"""Largest deviation allowed: of outputs, absolute (relative where they exceed 1, or for bfloat16 the state that the layer begins with
does: a state of 2.7 that is kept is rounded by 0.008 at each step); of gradients, relative to the largest of the same weight (for bfloat16,
of all of them and of the gradients that flow in: whatever is much smaller is nothing but rounding there)."""

SHARED = tuple(name for name in ACTIVATIONS if name not in ("hard_sigmoid", "hard_sigmoid_tf2", "leaky_relu", "relu6", "silu", "hard_tanh"))
"""Activations that tf-keras has under the same name with the same meaning; selu's constants aside."""

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
FEWER = settings(FEW, max_examples=15)
MANY = settings(FEW, max_examples=2000)

Found = tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small matrices gain nothing from threads, and lose much on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def call_torch(case: Case, dtype: torch.dtype) -> tuple[GRU, dict[str, Any], dict[str, torch.Tensor]]:
    """The layer, its inputs, and its output and state with the batch first."""
    layer = GRU(**case.arguments, dtype=dtype, input_dim=case.x.shape[2])
    layer.set_weights(case.weights)
    time_major = case.arguments["time_major"]
    x = torch.tensor(case.x, dtype=dtype, requires_grad=True)
    h0 = None if case.h0 is None else torch.tensor(case.h0, dtype=dtype, requires_grad=True)
    mask = None if case.mask is None else torch.tensor(case.mask.T if time_major else case.mask)
    layer.set_dropout_masks([torch.tensor(one) for one in case.input_masks], [torch.tensor(one) for one in case.recurrent_masks])
    results = layer(x.transpose(0, 1) if time_major else x, mask=mask, training=True, initial_state=h0)
    output, *rest = results if case.arguments["return_state"] else [results]
    if time_major and case.arguments["return_sequences"]:
        output = output.transpose(0, 1)
    return layer, {"x": x, "h0": h0}, {"output": output, **({"state": rest[0]} if rest else {})}


def run_torch(case: Case, dtype: torch.dtype) -> Found:
    layer, inputs, outputs = call_torch(case, dtype)
    loss = (outputs["output"].double() * torch.tensor(case.d_output)).sum()
    if "state" in outputs:
        loss = loss + (outputs["state"].double() * torch.tensor(case.d_state)).sum()
    loss.backward()
    parameters = {**inputs, "kernel": layer.kernel, "recurrent_kernel": layer.recurrent_kernel, "bias": layer.bias}
    zeros = {
        name: value.new_zeros(value.shape) if value.grad is None else value.grad for name, value in parameters.items() if value is not None
    }
    return {name: one.detach().double().numpy() for name, one in outputs.items()}, {
        name: one.double().numpy() for name, one in zeros.items()
    }


def run_tf_keras(case: Case) -> Found:
    arguments = {**case.arguments}
    layer = tf_keras.layers.GRU(**arguments, dtype="float64")
    time_major = arguments["time_major"]
    x = tf.Variable(np.swapaxes(case.x, 0, 1) if time_major else case.x)
    h0 = None if case.h0 is None else tf.Variable(case.h0)
    mask = None if case.mask is None else tf.constant(case.mask.T if time_major else case.mask)
    layer.build(x.shape)
    layer.set_weights(case.weights)
    with tf.GradientTape() as tape:
        results = layer(x, mask=mask, initial_state=None if h0 is None else tf.convert_to_tensor(h0))
        output, *rest = results if arguments["return_state"] else [results]
        if time_major and arguments["return_sequences"]:
            output = tf.transpose(output, (1, 0, 2))
        loss = tf.reduce_sum(output * case.d_output)
        if rest:
            loss += tf.reduce_sum(rest[0] * case.d_state)
    names = ["x", "kernel", "recurrent_kernel", "bias"][: 1 + len(layer.trainable_variables)] + (["h0"] if h0 is not None else [])
    sources = [x, *layer.trainable_variables, *([h0] if h0 is not None else [])]
    gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
    found = {name: one.numpy() for name, one in zip(names, gradients, strict=True)}
    if time_major:
        found["x"] = np.swapaxes(found["x"], 0, 1)
    return {"output": output.numpy(), **({"state": rest[0].numpy()} if rest else {})}, found


def deviations(found: Found, expected: Found, smallest_scale: float = 1e-3, begins: float = 0.0) -> tuple[float, float]:
    """Largest deviation of the outputs and of the gradients, scaled as :data:`BOUNDS` says.

    A gradient that is nothing but rounding, such as one that cancels out, has no scale of its own: none is below ``smallest_scale``.
    ``begins`` is the size of the state that counts for the outputs' scale.
    """
    outputs = [
        np.abs(value - expected[0][name]).max() / max(1.0, begins, np.abs(expected[0][name]).max()) for name, value in found[0].items()
    ]
    gradients = []
    for name, value in found[1].items():
        largest = float(np.abs(expected[1][name]).max())
        difference = float(np.abs(value - expected[1][name]).max())
        gradients.append(difference / max(largest, smallest_scale))
    return float(np.max(outputs)), float(np.max(gradients, initial=0.0))  # NumPy's max does not lose a nan


def check_oracle(case: Case, dtype: torch.dtype) -> tuple[float, float]:
    outputs, gradients, margin = case.expected()
    assume(margin > {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 5e-2}[dtype])
    assume(all(np.abs(value).max() < 1e3 for value in (*outputs.values(), *gradients.values())))
    assume(dtype == torch.float64 or case.largest_candidate() < 1e3)
    found = run_torch(case, dtype)
    flowing = (*gradients.values(), case.d_output, case.d_state) if dtype == torch.bfloat16 else ()
    begins = float(np.abs(case.h0).max()) if dtype == torch.bfloat16 and case.h0 is not None else 0.0
    deviation = deviations(found, (outputs, gradients), max([1e-3, *(float(np.abs(one).max()) for one in flowing)]), begins)
    with torch.no_grad():  # another way to run it may be chosen
        _, _, again = call_torch(case, dtype)
    inference, _ = deviations(({name: one.double().numpy() for name, one in again.items()}, {}), (outputs, {}), begins=begins)
    deviation = max(deviation[0], inference), deviation[1]
    assert deviation[0] <= BOUNDS[dtype][0], f"outputs deviate by {deviation[0]:.2e}"
    assert deviation[1] <= BOUNDS[dtype][1], f"gradients deviate by {deviation[1]:.2e}"
    return deviation


def check_tf_keras(case: Case) -> tuple[float, float]:
    expected = run_tf_keras(case)
    assume(all(np.abs(value).max() < 1e3 for value in (*expected[0].values(), *expected[1].values())))
    deviation = deviations(run_torch(case, torch.float64), expected)
    # tf-keras rounds some constants (selu, elu's derivative) no worse than this.
    assert all(one <= BOUNDS[torch.float64][0] for one in deviation), f"deviates by {deviation}"
    return deviation


ALL = (*ACTIVATIONS, None)
BOUNDED = ("sigmoid", "softsign", "hard_sigmoid", "hard_tanh")
GATES = ("hard_sigmoid", "hard_sigmoid_tf2")
"""Gates within 0 and 1; others make a step amplify what it is given, its rounding errors included, so float64 alone is held to them."""


@given(case=cases(ALL))
@FEW
def test_float64_is_the_oracle(case: Case) -> None:
    check_oracle(case, torch.float64)


@given(case=cases(ALL, GATES, single=True))
@FEW
def test_float32_is_the_oracle(case: Case) -> None:
    check_oracle(case, torch.float32)


@given(case=cases(BOUNDED, GATES))
@FEW
def test_bfloat16_is_near_the_oracle(case: Case) -> None:
    check_oracle(case, torch.bfloat16)


@given(case=cases(SHARED, dropout=False))
@FEWER
def test_float64_is_tf_keras(case: Case) -> None:
    check_tf_keras(case)


@pytest.mark.slow
@pytest.mark.parametrize("against", ["float64", "float32", "bfloat16", "tf-keras"])
def test_two_thousand_cases(against: str, capsys: pytest.CaptureFixture[str]) -> None:
    largest, combinations = [0.0, 0.0], set()
    strategies = {
        "float64": cases(ALL),
        "float32": cases(ALL, GATES, single=True),
        "bfloat16": cases(BOUNDED, GATES),
        "tf-keras": cases(SHARED, dropout=False),
    }

    @given(case=strategies[against])
    @MANY
    def compare(case: Case) -> None:
        deviation = check_tf_keras(case) if against == "tf-keras" else check_oracle(case, getattr(torch, against))
        largest[:] = [max(pair) for pair in zip(largest, deviation, strict=True)]
        masked, state = case.mask is not None, case.h0 is not None
        combinations.add((*(value for name, value in case.arguments.items() if name != "units"), masked, state))

    compare()
    with capsys.disabled():
        print(f"\n{against}: {len(combinations)} combinations; outputs deviate by {largest[0]:.2e}, gradients by {largest[1]:.2e}")
