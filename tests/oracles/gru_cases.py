"""Drawn GRUs: arguments, shapes, masks, states and dropout masks, as plain NumPy, for comparing any layer with the oracle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from oracles import gru_numpy

KINKS = {
    "relu": (0.0,),
    "leaky_relu": (0.0,),
    "relu6": (0.0, 6.0),
    "hard_sigmoid": (-3.0, 3.0),
    "hard_sigmoid_tf2": (-2.5, 2.5),
    "hard_tanh": (-1.0, 1.0),
}
"""Where an activation's derivative jumps: a rounding error there is a wrong gradient for no fault of the layer."""

MASKS = ("none", "left", "right", "middle", "full")


@dataclass(frozen=True)
class Case:
    """One drawn GRU with its data.

    Attributes:
        arguments: for the layer's constructor, ``units`` included.
        x: ``(batch, time, features)``; a ``time_major`` layer gets it transposed.
        h0: ``(batch, units)`` or None.
        mask: ``(batch, time) bool`` or None.
        weights: kernel, recurrent kernel and, with ``use_bias``, bias.
        d_output: gradient of the output, in its shape with the batch first.
        d_state: gradient of the state.
        input_masks: dropout masks to inject.
        recurrent_masks: dropout masks to inject.
    """

    arguments: dict[str, Any]
    x: NDArray[np.float64]
    h0: NDArray[np.float64] | None
    mask: NDArray[np.bool_] | None
    weights: list[NDArray[np.float64]]
    d_output: NDArray[np.float64]
    d_state: NDArray[np.float64]
    input_masks: list[NDArray[np.float64]] = field(default_factory=list)
    recurrent_masks: list[NDArray[np.float64]] = field(default_factory=list)

    @property
    def settings(self) -> gru_numpy.Settings:
        """The oracle's form of the arguments."""
        names = ("activation", "recurrent_activation", "reset_after", "go_backwards", "zero_output_for_mask")
        chosen = {name: self.arguments[name] for name in names}
        return gru_numpy.Settings(**chosen, input_masks=self.input_masks, recurrent_masks=self.recurrent_masks)

    def expected(self) -> tuple[dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]], float]:
        """The oracle's output and state, its gradients by name, and how near the closest activation came to a kink."""
        kernel, recurrent, *rest = self.weights
        bias = rest[0] if rest else None
        h0 = np.zeros_like(self.d_state) if self.h0 is None else self.h0
        sequences = self.arguments["return_sequences"]
        d_state = self.d_state if self.arguments["return_state"] else np.zeros_like(self.d_state)
        with np.errstate(all="ignore"):  # what overflows is no case to compare
            result = gru_numpy.forward(self.x, h0, kernel, recurrent, bias, self.mask, self.settings)
            d_outputs = self.d_output if sequences else np.zeros_like(result.outputs)
            if not sequences:
                d_outputs[:, -1] = self.d_output
            gradients = gru_numpy.backward(result, d_outputs, d_state, self.x, kernel, recurrent, bias, self.settings)
        outputs = {"output": result.outputs if sequences else result.last, "state": result.state}
        return outputs, gradients, self._margin(result)

    def largest_candidate(self) -> float:
        """Of all candidate states: with one of 10⁶ the rounding of ``1 - z`` alone, 6·10⁻⁸ in float32, moves a state by hundredths."""
        kernel, recurrent, *rest = self.weights
        h0 = np.zeros_like(self.d_state) if self.h0 is None else self.h0
        with np.errstate(all="ignore"):
            result = gru_numpy.forward(self.x, h0, kernel, recurrent, rest[0] if rest else None, self.mask, self.settings)
        return max(float(np.abs(step["n"]).max()) for step in result.steps)

    def _margin(self, result: gru_numpy.Result) -> float:
        margin = np.inf
        for argument, names in (("activation", ("an",)), ("recurrent_activation", ("az", "ar"))):
            for kink in KINKS.get(self.arguments[argument] or "linear", ()):
                margin = min(margin, *(float(np.abs(step[name] - kink).min()) for step in result.steps for name in names))
        return margin


def _mask(kind: str, batch: int, time: int, rng: np.random.Generator) -> NDArray[np.bool_] | None:
    if kind == "none":
        return None
    lengths = rng.integers(1, time + 1, size=batch)
    if kind == "left":
        return np.arange(time) >= (time - lengths)[:, None]
    if kind == "right":
        return np.arange(time) < lengths[:, None]
    mask = rng.random((batch, time)) < 0.6
    if kind == "full":
        mask[rng.integers(batch)] = False
    return mask


def _drop(rng: np.random.Generator, count: int, shape: tuple[int, int]) -> list[NDArray[np.float64]]:
    return [(rng.random(shape) < 0.75) / 0.75 for _ in range(count)]


@st.composite
def cases(
    draw: st.DrawFn,
    activations: tuple[str | None, ...],
    gates: tuple[str | None, ...] | None = None,
    dropout: bool = True,
    single: bool = False,
) -> Case:
    """Strategy of cases.

    Args:
        draw: hypothesis' own.
        activations: to draw from.
        gates: to draw the recurrent activation from, where it is not the same.
        dropout: whether to draw dropout masks.
        single: whether all numbers are float32 ones, so that every side starts from the same.
    """
    flag = st.booleans()
    batch, time, features, units = draw(st.integers(1, 4)), draw(st.integers(1, 7)), draw(st.integers(1, 4)), draw(st.integers(1, 6))
    arguments: dict[str, Any] = {
        "units": units,
        "activation": draw(st.sampled_from(("tanh", "tanh", *activations))),
        "recurrent_activation": draw(st.sampled_from(("sigmoid", "sigmoid", *(activations if gates is None else gates)))),
        "implementation": draw(st.sampled_from((1, 2))),
    }
    for name in ("use_bias", "reset_after", "return_sequences", "return_state", "go_backwards", "time_major", "zero_output_for_mask"):
        arguments[name] = draw(flag)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mask = _mask(draw(st.sampled_from(MASKS)), batch, time, rng)
    with_state, drop_input, drop_state = draw(flag), dropout and draw(flag), dropout and draw(flag)
    if drop_input:
        arguments["dropout"] = 0.25
    if drop_state:
        arguments["recurrent_dropout"] = 0.25
    three = arguments["implementation"] == 1 or drop_state

    def normal(*shape: int, scale: float = 1.0) -> NDArray[np.float64]:
        values = rng.normal(size=shape) * scale
        return values.astype(np.float32).astype(np.float64) if single else values

    weights = [normal(features, 3 * units, scale=0.5), normal(units, 3 * units, scale=0.6 / np.sqrt(units))]
    if arguments["use_bias"]:
        weights.append(normal(*((2, 3 * units) if arguments["reset_after"] else (3 * units,)), scale=0.3))
    return Case(
        arguments,
        normal(batch, time, features),
        normal(batch, units) if with_state else None,
        mask,
        weights,
        normal(*((batch, time, units) if arguments["return_sequences"] else (batch, units))),
        normal(batch, units),
        _drop(rng, 3 if three else 1, (batch, features)) if drop_input else [],
        _drop(rng, 3, (batch, units)) if drop_state else [],
    )
