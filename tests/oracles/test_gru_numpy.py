"""The oracle's gradients are those of finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import gru_numpy as oracle

CASES = [
    oracle.Settings(),
    oracle.Settings(reset_after=False, go_backwards=True),
    oracle.Settings(activation="softplus", recurrent_activation="softsign", zero_output_for_mask=True),
    oracle.Settings(activation="elu", recurrent_activation=None, reset_after=False),
]


@pytest.mark.parametrize("name", oracle.ACTIVATIONS)
def test_derivatives_of_activations(name: str) -> None:
    function, derivative = oracle.ACTIVATIONS[name]
    x = np.linspace(-7.03, 7.11, 41)
    np.testing.assert_allclose(derivative(x), (function(x + 1e-6) - function(x - 1e-6)) / 2e-6, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("settings", CASES, ids=str)
@pytest.mark.parametrize("dropout", [False, True])
def test_gradients_are_finite_differences(settings: oracle.Settings, dropout: bool) -> None:
    rng = np.random.default_rng(0)
    batch, time, features, units = 3, 4, 2, 3
    if dropout:
        x_masks = [rng.random((batch, features)) for _ in range(3)]
        h_masks = [rng.random((batch, units)) for _ in range(3)]
        settings = oracle.Settings(**{**vars(settings), "input_masks": x_masks, "recurrent_masks": h_masks})
    bias = rng.normal(size=(2, 3 * units) if settings.reset_after else 3 * units) / 2
    values = {
        "x": rng.normal(size=(batch, time, features)),
        "h0": rng.normal(size=(batch, units)),
        "kernel": rng.normal(size=(features, 3 * units)) / 2,
        "recurrent_kernel": rng.normal(size=(units, 3 * units)) / 2,
        "bias": bias,
    }
    mask = np.array([[1, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 0]])
    d_outputs, d_state = rng.normal(size=(batch, time, units)), rng.normal(size=(batch, units))

    def loss() -> float:
        result = oracle.forward(**values, mask=mask, settings=settings)
        return float((result.outputs * d_outputs).sum() + (result.state * d_state).sum())

    result = oracle.forward(**values, mask=mask, settings=settings)
    found = oracle.backward(result, d_outputs, d_state, values["x"], values["kernel"], values["recurrent_kernel"], bias, settings)
    for name, value in values.items():
        expected = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            before = value[index]
            value[index] = before + 1e-6
            above = loss()
            value[index] = before - 1e-6
            expected[index] = (above - loss()) / 2e-6
            value[index] = before
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-7, err_msg=name)
