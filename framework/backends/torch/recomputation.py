"""Calls of a layer that a backward pass may run again: gradient checkpointing throws away what is between, and runs a part once more.

What is random or kept from call to call must then be what it was. ``torch.utils.checkpoint`` gives back the numbers of torch's own
generator when it runs a part again, in every one of its forms, so a number drawn from it in each call tells which call it is.
"""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from framework.backends.base.dropout import WORD, halves
from framework.backends.torch.tracing import real_numbers
from framework.errors import UnsupportedArgument

Value = TypeVar("Value")

LATEST = 4096
"""Calls that are remembered, the latest."""

LATEST_VALUES = 64
"""Calls whose values are remembered, the latest."""

_GONE = object()


@dataclass
class Call:
    """One call of a layer.

    Attributes:
        step: number of the training step; of the call, where nobody counts steps.
        place: number of the call within the step.
        tag: a random number of 63 bits, the call's own.
        again: whether it is run again by a backward pass.
    """

    step: int
    place: int
    tag: int
    again: bool = False
    _values: dict[str, Any] = field(default_factory=dict)

    def words(self, seed: int | None, stream: int) -> tuple[int, ...]:
        """What a mask of this call is made of: the seed and the call's numbers, or, without a seed, the call's own random number.

        Args:
            seed: of the layer.
            stream: tells apart what the layer makes masks for.
        """
        if seed is None:
            return (*halves(self.tag), 0, 0, stream)
        return (*halves(seed), self.step & WORD, self.place & WORD, stream)

    def first(self, name: str, value: Value) -> Value:
        """``value``, or, in a call that is run again, what it was the first time.

        Raises:
            UnsupportedArgument: the first time is too long ago.
        """
        if not self.again:
            self._values[name] = value
            return value
        if self._values[name] is _GONE:
            raise UnsupportedArgument(
                f"a backward pass runs a layer again whose {name} was given {LATEST_VALUES} calls of the layer ago or earlier, and is "
                "no longer kept; run the backward pass after fewer calls"
            )
        found: Value = self._values[name]
        return found

    def forget(self) -> None:
        """Lets the values go that there were."""
        self._values.update({name: _GONE for name, value in self._values.items() if value is not None})


class CallLog:
    """Numbers the calls of one layer, and finds a call again that a backward pass runs once more.

    Attributes:
        first_row: number of this process's first row within the batch of all processes.
    """

    def __init__(self) -> None:
        self.first_row = 0
        self._step = self._place = 0
        self._counted = False
        self._calls: dict[int, Call] = {}
        self._latest: deque[Call] = deque()

    def go_to(self, step: int) -> None:
        """The coming call is the first of that step; the calls before are forgotten."""
        self._step, self._place, self._calls, self._latest = step, 0, {}, deque()

    def start_step(self, step: int, first_row: int = 0) -> None:
        """From now on, calls belong to that training step; the same step again goes on with it."""
        self.first_row = first_row
        if step != self._step or not self._counted:
            self.go_to(step)
            self._counted = True

    def end_steps(self) -> None:
        """From now on, each call is a step of its own again."""
        self._counted = False

    def coming(self) -> tuple[int, int]:
        """Step and place of the coming call."""
        return self._step, self._place

    def skip(self) -> None:
        """Leaves the coming call's numbers out."""
        if self._counted:
            self._place += 1
        else:
            self._step += 1

    def enter(self, label: str) -> Call:
        """Begins a call.

        Raises:
            UnsupportedArgument: a backward pass runs it again, and it cannot be told which call it was.
        """
        tag = draw()
        if in_backward():
            return self._again(tag, label)
        call = Call(*self.coming(), tag)
        self.skip()
        self._remember(call)
        return call

    def _again(self, tag: int, label: str) -> Call:
        call = self._calls.get(tag)
        if call is None:
            raise UnsupportedArgument(
                f"{label}: a backward pass runs it, but not with the random numbers of any of its last {LATEST} calls, so its dropout or "
                "kept state would be another; torch.utils.checkpoint must be called with preserve_rng_state=True, its default"
            )
        return Call(call.step, call.place, tag, True, call._values)

    def _remember(self, call: Call) -> None:
        self._calls.pop(call.tag, None)
        self._calls[call.tag] = call
        self._latest.append(call)
        if len(self._calls) > LATEST:
            del self._calls[next(iter(self._calls))]
        if len(self._latest) > LATEST_VALUES:
            self._latest.popleft().forget()

    def __getstate__(self) -> dict[str, Any]:
        """Copies begin with no calls to find again."""
        return {**self.__dict__, "_calls": {}, "_latest": deque()}


class CountsCalls(nn.Module):
    """A layer that has dropout, or keeps a state."""

    call_log: CallLog

    def start_step(self, step: int, first_row: int = 0) -> None:
        """Makes dropout depend on the training step instead of on how often the layer was called.

        A trainer that tells it before every step can be taken up again at any step, and several processes drop the same values together
        as one would.

        Args:
            step: number of the step; called again with the same one, it goes on with it.
            first_row: number of this process's first row within the batch of all processes.
        """
        self.call_log.start_step(step, first_row)


class KeepsDraws(nn.Module):
    """A module whose dropout goes on from its ``state_dict``, which has the number of the coming step as ``draws``.

    That number is no buffer: it is not what processes share, nor what copies of a model average. A ``state_dict`` without it is taken too.
    """

    call_log: CallLog
    keeps_draws: bool

    @property
    def draws(self) -> Tensor:
        """The number of the coming step, ``() int64``."""
        return torch.tensor(self.call_log.coming()[0], dtype=torch.int64)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.keeps_draws:
            destination[f"{prefix}draws"] = self.draws

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        draws = state_dict.pop(f"{prefix}draws", None)
        if draws is not None:
            self.call_log.go_to(int(draws))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def draw() -> int:
    """A number of 63 bits from torch's own generator for CPUs."""
    with real_numbers() if torch._C._len_torch_dispatch_stack() else nullcontext():
        return int(torch.randint(2**63 - 1, (), device="cpu"))


def in_backward() -> bool:
    """Whether a backward pass is under way in this thread."""
    return bool(torch._C._current_graph_task_id() != -1)
