"""The two time loops of the scan: forwards, keeping what the derivatives need, and backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from framework.backends.torch.gru.gates import NoStateProduct, StateProduct
from framework.backends.torch.gru.products import Product
from framework.backends.torch.gru.slopes import Slope

CHUNK = 1 << 17
"""Values of one gate whose factors are made at once: many steps of a small layer (fewer calls), one of a large one (they stay in cache)."""


class Asked(Protocol):
    """What the state before each step is asked for, such as an attention that it is the query of.

    Attributes:
        kernel: ``(units, width)``, what the state is multiplied with first, together with the recurrent kernel; None for the state itself.
        width: of that product, or of the state.
    """

    kernel: Tensor | None
    width: int


class Feed(Asked, Protocol):
    """What adds to the gates of each step out of the state before it."""

    def add_to(self, step: int, gates: Tensor, query: Tensor) -> None:
        """Adds to ``gates (batch, 3·units)`` of a step, out of ``query (batch, width)``."""
        ...


class FeedBack(Asked, Protocol):
    """The backward pass of a :class:`Feed`."""

    def back(self, step: int, gates: Tensor, query: Tensor) -> None:
        """Writes the gradient of the query ``(batch, width)``, from that of the gates n, z, r ``(batch, 3·units)``."""
        ...


@dataclass(frozen=True)
class Recurrence:
    """What the loops need beside the sequence.

    Attributes:
        activation: of the candidate.
        recurrent_activation: of the gates.
        reset_after: whether the reset gate is applied after the product.
        kernel: ``(units, 3·units)``, gates z, r, h.
        bias: ``(3·units,)`` with ``reset_after``, or None.
        masks: none, or dropout masks ``(batch, units)`` of z, r, h.
        skipped: ``(time, batch, 1) bool``, the steps that carry the state on; or None.
        carries: whether a step starts from the state before it. If not, it starts from zeros, and only a feed asks for the state.
    """

    activation: Slope
    recurrent_activation: Slope
    reset_after: bool
    kernel: Tensor
    bias: Tensor | None
    masks: Sequence[Tensor]
    skipped: Tensor | None
    carries: bool = True

    @property
    def units(self) -> int:
        """Width of the state."""
        return self.kernel.shape[0]

    @property
    def waits(self) -> bool:
        """Whether the candidate has a product of its own, which waits for the reset gate."""
        return self.carries and not self.reset_after

    def gate_product(self, rows: int, steps: int, feed: Asked | None, *, backward: bool = False) -> StateProduct | NoStateProduct:
        """The product of the state with the kernels of the gates: z, r and h, or z and r where h multiplies the reset state."""
        beside = None if feed is None else feed.kernel
        if not self.carries:
            bias = self.kernel.new_zeros(3 * self.units) if self.bias is None else self.bias
            return NoStateProduct(bias, beside, rows, steps, backward=backward)
        gates = 3 if self.reset_after else 2
        kernel = self.kernel[:, : gates * self.units]
        return StateProduct(kernel, self.bias, self.masks[:gates], rows, steps, backward=backward, beside=beside)


@dataclass(frozen=True)
class Tape:
    """What a forward pass leaves.

    Attributes:
        states: ``(time + 1, batch, units)``, the first one before the first step.
        gates: ``(time, batch, 3·units)``, z, r and the candidate n as their activations left them.
        inner: with ``reset_after``, ``(time, batch, units)``: the product that the reset gate multiplied; empty where it is not kept.
    """

    states: Tensor
    gates: Tensor
    inner: Tensor


def run(gates: Tensor, state: Tensor, recurrence: Recurrence, keep: bool, feed: Feed | None = None) -> Tape:
    """All steps of a sequence.

    Args:
        gates: ``(time, batch, 3·units)``, the projected inputs; written over.
        state: ``(batch, units)`` before the first step.
        recurrence: weights, activations, masks.
        keep: whether a backward pass is to come.
        feed: what adds to the gates at each step, or None.
    """
    steps, batch, _ = gates.shape
    units = recurrence.units
    product = recurrence.gate_product(batch, steps, feed)
    candidate = Product(recurrence.kernel[:, 2 * units :], None, batch, steps) if recurrence.waits else None
    states = gates.new_empty(steps + 1, batch, units)
    states[0].copy_(state)
    inner = gates.new_empty(steps if keep and candidate is None else 0, batch, units)
    reset = gates.new_empty(batch if candidate is not None else 0, units)
    gate_steps, new_steps = gates[..., : 2 * units].unbind(0), gates[..., 2 * units :].unbind(0)
    state_steps, inner_steps = states.unbind(0), inner.unbind(0)
    skipped = None if recurrence.skipped is None else recurrence.skipped.unbind(0)
    apply_gate, apply_new = recurrence.recurrent_activation.apply_, recurrence.activation.apply_
    every_gate = gates.unbind(0)
    zeros = None if recurrence.carries else gates.new_zeros(batch, units)
    for t in range(steps):
        before = state_steps[t]
        hidden = product.add_to(gate_steps[t], before)
        if feed is not None:
            feed.add_to(t, every_gate[t], before if feed.kernel is None or product.query is None else product.query)
        z, r = apply_gate(gate_steps[t]).chunk(2, dim=1)
        if candidate is None:
            if keep:
                inner_steps[t].copy_(hidden)
            new_steps[t].addcmul_(r, hidden)
        else:
            torch.mul(r, before, out=reset)
            if recurrence.masks:
                reset.mul_(recurrence.masks[2])
            new_steps[t].add_(candidate(reset))
        n = apply_new(new_steps[t])
        after = torch.lerp(n, before if zeros is None else zeros, z, out=state_steps[t + 1])
        if skipped is not None:
            torch.where(skipped[t], before, after, out=after)
    return Tape(states, gates, inner)


def run_back(
    tape: Tape,
    recurrence: Recurrence,
    d_states: Tensor | None,
    d_last: Tensor | None,
    to_state: bool = True,
    feed: FeedBack | None = None,
) -> tuple[Tensor, Tensor | None]:
    """The gradients of the pre-activations and of the first state.

    With h' = z h + (1 - z) n, every gate's gradient is the gradient of h' times a factor that depends on the forward pass alone (with
    ``reset_after=False``, r's is behind one more product). The factors of many steps are made at once; a step is then one
    multiplication, one product and two additions.

    Args:
        tape: of the forward pass; it is left as it is.
        recurrence: that of the forward pass.
        d_states: ``(time, batch, units)``, the gradient of every state; None is zeros.
        d_last: ``(batch, units)``, the gradient of the last state; None is zeros.
        to_state: whether the gradient of the first state is wanted.
        feed: backward pass of the forward pass's feed, or None.

    Returns:
        The gradients of n, z, r and, with ``reset_after``, of the product that r multiplied, ``(time, batch, 3·units or 4·units)``, and
        behind them of the feed's query; and of the first state ``(batch, units)``, or None.
    """
    steps, batch, _ = tape.gates.shape
    units = recurrence.units
    own = (3 if recurrence.waits else 4) * units
    gradients = tape.gates.new_empty(steps, batch, own + (0 if feed is None else feed.width))
    product = recurrence.gate_product(batch, steps, feed, backward=True)
    candidate = Product(recurrence.kernel[:, 2 * units :].t(), None, batch, steps) if recurrence.waits else None
    every_d_state = None if d_states is None else d_states.unbind(0)
    # Of a query that is the state itself, the gradient is added to the state's as it is.
    added = feed is not None and feed.kernel is None and recurrence.carries
    multiplied = slice(units if recurrence.carries else own, own if added else None)
    parts = (slice(units), slice(2 * units, 3 * units), multiplied, slice(3 * units), slice(own, None))
    of_new, of_reset, of_product, of_three, of_query = (gradients[..., part].unbind(0) for part in parts)
    d_state = tape.gates.new_zeros(batch, units) if d_last is None else d_last.clone(memory_format=torch.contiguous_format)
    chunk = max(1, CHUNK // max(1, batch * units))
    for end in range(steps, 0, -chunk):
        start = max(0, end - chunk)
        z, reset = (one.unbind(0) for one in _factors(tape, recurrence, gradients, start, end))
        # Without reset_after, r's factor waits for the gradient of the reset state: only n's and z's are of this step's state.
        scaled = gradients[start:end, :, :own].view(end - start, batch, -1, units)[:, :, : 4 if candidate is None else 2].unbind(0)
        for t in range(end - 1, start - 1, -1):
            if every_d_state is not None:
                d_state.add_(every_d_state[t])
            scaled[t - start].mul_(d_state.unsqueeze(1))
            if candidate is not None:
                d_reset = candidate(of_new[t])
                of_reset[t].mul_(d_reset)
            if feed is not None:
                feed.back(t, of_three[t], of_query[t])
            if t == 0 and not to_state:
                return gradients, None
            torch.addcmul(product.back(of_product[t]), d_state, z[t - start], out=d_state)
            if added:
                d_state.add_(of_query[t])
            if candidate is not None:
                d_state.addcmul_(d_reset, reset[t - start])
    return gradients, d_state


def _factors(tape: Tape, recurrence: Recurrence, gradients: Tensor, start: int, end: int) -> tuple[Tensor, Tensor]:
    """Writes the factors of some steps into ``gradients``; gives z, and what turns the gradient of the reset state into the state's."""
    units = recurrence.units
    kept = tape.gates[start:end]
    kept_gates, kept_new = kept[..., : 2 * units], kept[..., 2 * units :]
    gate_times, new_times = recurrence.recurrent_activation.times, recurrence.activation.times
    z, r = recurrence.recurrent_activation.value(kept_gates).chunk(2, dim=-1)
    n = recurrence.activation.value(kept_new)
    kept_z, kept_r = kept_gates.chunk(2, dim=-1)
    before = tape.states[start:end] if recurrence.carries else torch.zeros_like(n)
    of_n, of_z, of_r, *of_inner = torch.split(gradients[start:end], recurrence.units, dim=-1)[: 3 if recurrence.waits else 4]
    torch.sub(before, n, out=of_z)
    gate_times(of_z, kept_z, of_z)
    torch.sub(z.new_ones(()), z, out=of_n)
    new_times(of_n, kept_new, of_n)
    reset = r
    if of_inner:
        torch.mul(of_n, r, out=of_inner[0])
        torch.mul(of_n, tape.inner[start:end], out=of_r)
    else:
        of_r.copy_(before)
        if recurrence.masks:
            of_r.mul_(recurrence.masks[2])
            reset = r * recurrence.masks[2]
    gate_times(of_r, kept_r, of_r)
    if not recurrence.carries:
        z = torch.zeros_like(z)
    if recurrence.skipped is None:
        return z, reset
    # A skipped step is h' = h. Filled, not multiplied: what it would have computed may be infinite.
    skipped = recurrence.skipped[start:end]
    gradients[start:end].masked_fill_(skipped, 0.0)
    return z.masked_fill(skipped, 1.0), reset.masked_fill(skipped, 0.0)
