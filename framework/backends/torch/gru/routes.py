"""Which way a GRU runs a batch of sequences: the rules, and what was measured for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from framework.backends.base.choices import active, seconds_of, size_class
from framework.backends.torch.gru.kernel import run_kernel
from framework.backends.torch.gru.loop import Cell, Weights, loop
from framework.backends.torch.gru.scan import scan, scannable
from framework.backends.torch.tracing import jit_traced, ordinary, transformed

Route = Literal["cudnn", "kernel", "scan", "loop"]

KERNEL_SIZE = 1 << 15
"""Up to how many values a step, ``batch · units``, torch's own kernel is the faster one on a CPU without gradients.

It runs its loop over time in C++ where the scan's is in Python, some 15 microseconds a step; the scan's products are faster.
"""

KERNEL_WEIGHTS = 1 << 19
"""Up to how many weights that holds: the kernel wants torch's gate order, and Keras' weights are rearranged at every call."""


@dataclass(frozen=True)
class Sequences:
    """A batch of sequences to run.

    Attributes:
        inputs: ``(time, batch, features)`` in the order of processing.
        state: ``(batch, units)`` before the first step.
        mask: ``(time, batch) bool`` or None.
        input_masks: dropout on the inputs: none, one mask ``(batch, features)``, or three for z, r, h.
        recurrent_masks: dropout on the state: none, or three masks ``(batch, units)``.
    """

    inputs: Tensor
    state: Tensor
    mask: Tensor | None = None
    input_masks: Sequence[Tensor] = ()
    recurrent_masks: Sequence[Tensor] = ()


def choose(given: Sequences, weights: Weights, cell: Cell, use_cudnn: bool) -> Route:
    """The way to run a batch.

    - ``cudnn``: on a GPU where cuDNN may and can run the layer.
    - ``loop``: activations whose derivatives are not written by hand (``softmax``, a function of one's own), dropout masks that are
      learned, empty batches, and whatever records or transforms the layer.
    - ``kernel``: torch's own kernel for a CPU, for small layers without gradients, and in training where a run has measured that it is
      the faster one; and what ``torch.jit.trace`` records of a plain layer
      without a mask, as it takes sequences of any length afterwards, where the loop has the length that was recorded.
    - ``scan``: everything else.
    """
    if not ordinary(given.inputs, given.state, weights.kernel, weights.recurrent_kernel, weights.bias):
        return "kernel" if jit_traced() and _records_as_kernel(given, cell, use_cudnn) else "loop"
    steps, batch, _ = given.inputs.shape
    learned = torch.is_grad_enabled() and any(one.requires_grad for one in (*given.input_masks, *given.recurrent_masks))
    if not batch or not scannable(cell) or learned:
        return "loop"
    if given.inputs.is_cuda:
        return "cudnn" if use_cudnn else "scan"
    small = batch * weights.units <= KERNEL_SIZE and weights.recurrent_kernel.numel() + weights.kernel.numel() <= KERNEL_WEIGHTS
    wide = given.inputs.dtype in (torch.float32, torch.float64)
    if not (small and wide and fits_kernel(given, cell)):
        return "scan"
    if not _differentiated(given, weights):
        return "kernel" if steps > 1 else "scan"
    return _measured(given, weights, cell)


def _measured(given: Sequences, weights: Weights, cell: Cell) -> Route:
    """The faster way to train a small layer on this machine; the scan where nothing is measured."""
    masked, dropped = (", masked" if given.mask is not None else ""), (", dropout" if given.input_masks else "")
    (steps, batch, features), threads = given.inputs.shape, torch.get_num_threads()
    key = f"training {size_class(steps)} x {batch} x {features} x {weights.units}{masked}{dropped} {given.inputs.dtype} {threads} threads"
    routes: tuple[Route, Route] = ("scan", "kernel")
    found = active().choose(key, "scan", {route: partial(_seconds, route, given, weights, cell) for route in routes})
    return "kernel" if found == "kernel" else "scan"


def _seconds(route: Route, given: Sequences, weights: Weights, cell: Cell) -> float:
    """Of a forward and a backward pass, on copies."""

    def leaf(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.detach().clone().requires_grad_(tensor.requires_grad)

    found = (leaf(one) for one in (given.inputs, given.state, weights.kernel, weights.recurrent_kernel, weights.bias))
    inputs, state, kernel, recurrent_kernel, bias = found
    assert inputs is not None and state is not None and kernel is not None and recurrent_kernel is not None
    copied = replace(given, inputs=inputs, state=state)

    def step() -> None:
        states, _ = run_route(route, copied, Weights(kernel, recurrent_kernel, bias), cell)
        states.sum().backward()  # type: ignore[no-untyped-call]

    with torch.enable_grad():
        return seconds_of(step)


def _records_as_kernel(given: Sequences, cell: Cell, use_cudnn: bool) -> bool:
    wide = given.inputs.dtype in (torch.float32, torch.float64)
    allowed = use_cudnn if given.inputs.is_cuda else wide and not given.inputs.is_meta
    return allowed and given.mask is None and fits_kernel(given, cell) and not transformed()


def fits_kernel(given: Sequences, cell: Cell) -> bool:
    """Whether torch's kernels compute what the layer asks for."""
    plain = cell.activation is torch.tanh and cell.recurrent_activation is torch.sigmoid and cell.reset_after
    return plain and not given.recurrent_masks and len(given.input_masks) < 2


def run_route(route: Route, given: Sequences, weights: Weights, cell: Cell) -> tuple[Tensor, Tensor]:
    """Every state ``(time, batch, units)`` of a batch, and the last one ``(batch, units)``."""
    if route in ("cudnn", "kernel"):
        inputs = given.inputs * given.input_masks[0] if given.input_masks else given.inputs
        return run_kernel(inputs, given.state, weights, given.mask)
    if route == "scan":
        return scan(given.inputs, given.state, weights, cell, given.mask, given.input_masks, given.recurrent_masks)
    states = loop(given.inputs, given.state, weights, cell, given.mask, given.input_masks, given.recurrent_masks)
    return states, states[-1]


def _differentiated(given: Sequences, weights: Weights) -> bool:
    tensors = (given.inputs, given.state, weights.kernel, weights.recurrent_kernel, weights.bias)
    return torch.is_grad_enabled() and any(one is not None and one.requires_grad for one in tensors)
