"""An independent GRU in NumPy float64, one row and one step at a time as far as that is bearable: slow, simple, and with gradients.

Nothing here is shared with the framework. The forward pass follows the equations of Cho et al. 2014 and Keras' rules for masked steps;
the backward pass walks the same steps in reverse. ``tests/oracles/test_gru_numpy.py`` holds the gradients against finite differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Function = Callable[[Array], Array]


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def _inside(x: Array, low: float, high: float) -> Array:
    return ((x > low) & (x < high)).astype(np.float64)


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "linear": (lambda x: x, np.ones_like),
    "tanh": (np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
    "sigmoid": (_sigmoid, lambda x: _sigmoid(x) * (1.0 - _sigmoid(x))),
    "relu": (lambda x: np.maximum(x, 0.0), lambda x: (x > 0.0).astype(np.float64)),
    "relu6": (lambda x: np.clip(x, 0.0, 6.0), lambda x: _inside(x, 0.0, 6.0)),
    "leaky_relu": (lambda x: np.where(x > 0.0, x, 0.2 * x), lambda x: np.where(x > 0.0, 1.0, 0.2)),
    "hard_sigmoid": (lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0), lambda x: _inside(x, -3.0, 3.0) / 6.0),
    "hard_sigmoid_tf2": (lambda x: np.clip(0.2 * x + 0.5, 0.0, 1.0), lambda x: _inside(x, -2.5, 2.5) * 0.2),
    "hard_tanh": (lambda x: np.clip(x, -1.0, 1.0), lambda x: _inside(x, -1.0, 1.0)),
    "elu": (lambda x: np.where(x > 0.0, x, np.expm1(x)), lambda x: np.where(x > 0.0, 1.0, np.exp(x))),
    "selu": (
        lambda x: SELU_SCALE * np.where(x > 0.0, x, SELU_ALPHA * np.expm1(x)),
        lambda x: SELU_SCALE * np.where(x > 0.0, 1.0, SELU_ALPHA * np.exp(x)),
    ),
    "exponential": (np.exp, np.exp),
    "softplus": (lambda x: np.logaddexp(x, 0.0), _sigmoid),
    "softsign": (lambda x: x / (1.0 + np.abs(x)), lambda x: 1.0 / (1.0 + np.abs(x)) ** 2),
    "silu": (lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1.0 + x * (1.0 - _sigmoid(x)))),
}
"""Activations and their derivatives by Keras name."""


@dataclass(frozen=True)
class Settings:
    """Arguments of the layer that change its numbers, under Keras' names.

    Attributes:
        input_masks: dropout masks ``(batch, features)``: none, one for all gates, or three for z, r, h.
        recurrent_masks: dropout masks ``(batch, units)``: none, or three for z, r, h.
    """

    activation: str | None = "tanh"
    recurrent_activation: str | None = "sigmoid"
    reset_after: bool = True
    go_backwards: bool = False
    zero_output_for_mask: bool = False
    input_masks: Sequence[Array] = ()
    recurrent_masks: Sequence[Array] = ()

    def three(self, masks: Sequence[Array]) -> list[Any]:
        """A mask for each gate; 1 where there is no dropout."""
        return [1.0] * 3 if not len(masks) else list(masks) * 3 if len(masks) == 1 else list(masks)


@dataclass
class Result:
    """What a forward pass gives.

    Attributes:
        outputs: ``(batch, time, units)`` in the order of processing.
        state: ``(batch, units)``.
        last: the last output, ``(batch, units)``.
    """

    outputs: Array
    state: Array
    last: Array
    steps: list[dict[str, Any]] = field(repr=False, default_factory=list)


def forward(
    x: Array, h0: Array, kernel: Array, recurrent_kernel: Array, bias: Array | None, mask: NDArray[Any] | None, settings: Settings
) -> Result:
    """Runs ``x (batch, time, features)`` from ``h0 (batch, units)``; weights in Keras' layout, ``mask (batch, time)``."""
    units = recurrent_kernel.shape[0]
    act, gate = ACTIVATIONS[settings.activation or "linear"][0], ACTIVATIONS[settings.recurrent_activation or "linear"][0]
    zeros = np.zeros(3 * units)
    input_bias, recurrent_bias = (zeros, zeros) if bias is None else bias if bias.ndim == 2 else (bias, zeros)
    wz, wr, wh = np.split(kernel, 3, axis=1)
    uz, ur, uh = np.split(recurrent_kernel, 3, axis=1)
    bz, br, bh = np.split(input_bias, 3)
    cz, cr, ch = np.split(recurrent_bias, 3)
    xz_mask, xr_mask, xh_mask = settings.three(settings.input_masks)
    hz_mask, hr_mask, hh_mask = settings.three(settings.recurrent_masks)
    h, shown, outputs, steps = h0, np.zeros_like(h0), [], []
    order = range(x.shape[1] - 1, -1, -1) if settings.go_backwards else range(x.shape[1])
    for t in order:
        xt = x[:, t]
        az = (xt * xz_mask) @ wz + bz + (h * hz_mask) @ uz + cz
        ar = (xt * xr_mask) @ wr + br + (h * hr_mask) @ ur + cr
        z, r = gate(az), gate(ar)
        if settings.reset_after:
            inner = (h * hh_mask) @ uh + ch
            an = (xt * xh_mask) @ wh + bh + r * inner
        else:
            inner = r * h * hh_mask
            an = (xt * xh_mask) @ wh + bh + inner @ uh
        n = act(an)
        valid = np.ones(len(x), bool) if mask is None else np.asarray(mask)[:, t].astype(bool)
        new = np.where(valid[:, None], z * h + (1.0 - z) * n, h)
        held = np.zeros_like(shown) if settings.zero_output_for_mask else shown
        shown = np.where(valid[:, None], new, held)
        steps.append({"t": t, "h": h, "az": az, "ar": ar, "an": an, "z": z, "r": r, "n": n, "inner": inner, "valid": valid})
        h = new
        outputs.append(shown)
    return Result(np.stack(outputs, axis=1), h, shown, steps)


def backward(
    result: Result,
    d_outputs: Array,
    d_state: Array,
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    settings: Settings,
) -> dict[str, Array]:
    """Gradients of ``sum(outputs * d_outputs) + sum(state * d_state)`` by every array of :func:`forward`, under its name."""
    d_act, d_gate = ACTIVATIONS[settings.activation or "linear"][1], ACTIVATIONS[settings.recurrent_activation or "linear"][1]
    w, u = np.split(kernel, 3, axis=1), np.split(recurrent_kernel, 3, axis=1)
    x_masks, h_masks = settings.three(settings.input_masks), settings.three(settings.recurrent_masks)
    dx, dw, du = np.zeros_like(x), [np.zeros_like(one) for one in w], [np.zeros_like(one) for one in u]
    db, dc = np.zeros((3, len(recurrent_kernel))), np.zeros((3, len(recurrent_kernel)))
    dh, d_shown = d_state.copy(), np.zeros_like(d_state)
    for position in range(len(result.steps) - 1, -1, -1):
        s = result.steps[position]
        valid = s["valid"][:, None]
        h, z, r, n = s["h"], s["z"], s["r"], s["n"]
        d_out = d_shown + d_outputs[:, position]
        d_shown = np.zeros_like(d_out) if settings.zero_output_for_mask else np.where(valid, 0.0, d_out)
        d_new = np.where(valid, dh + d_out, 0.0)
        dh = np.where(valid, 0.0, dh)
        d_an = d_new * (1.0 - z) * d_act(s["an"])
        d_az = d_new * (h - n) * d_gate(s["az"])
        dh = dh + d_new * z
        if settings.reset_after:
            d_inner = d_an * r
            d_ar = d_an * s["inner"] * d_gate(s["ar"])
            du[2] += (h * h_masks[2]).T @ d_inner
            dc[2] += d_inner.sum(0)
            dh = dh + (d_inner @ u[2].T) * h_masks[2]
        else:
            d_inner = d_an @ u[2].T
            d_ar = d_inner * h * h_masks[2] * d_gate(s["ar"])
            du[2] += s["inner"].T @ d_an
            dh = dh + d_inner * r * h_masks[2]
        for gate, d in ((0, d_az), (1, d_ar)):
            du[gate] += (h * h_masks[gate]).T @ d
            dc[gate] += d.sum(0)
            dh = dh + (d @ u[gate].T) * h_masks[gate]
        for gate, d in ((0, d_az), (1, d_ar), (2, d_an)):
            dw[gate] += (x[:, s["t"]] * x_masks[gate]).T @ d
            db[gate] += d.sum(0)
            dx[:, s["t"]] += (d @ w[gate].T) * x_masks[gate]
    gradients = {"x": dx, "h0": dh, "kernel": np.concatenate(dw, axis=1), "recurrent_kernel": np.concatenate(du, axis=1)}
    if bias is not None:
        gradients["bias"] = db.ravel() if bias.ndim == 1 else np.stack([db.ravel(), dc.ravel()])
    return gradients
