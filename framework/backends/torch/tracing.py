"""Whether torch runs a layer as it stands, or watches it: to record a graph, to transform it, or to count what it would do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.fx import Proxy, Tracer
from torch.utils._python_dispatch import _disable_current_modes

from framework.errors import UnsupportedArgument

_ORDINARY = (Tensor, nn.Parameter)


def ordinary(*tensors: Tensor | None) -> bool:
    """Whether an operation that writes into memory of its own, with a derivative written by hand, may run on these tensors here and now.

    It may not where the graph is recorded (``torch.jit.trace``, ``torch.export``, ``torch.compile``, ``make_fx``), under the transforms
    of ``torch.func`` and batched gradients, in forward-mode differentiation, on the meta device, and on tensors of other classes, such
    as fake ones: all of these see plain operations only.
    """
    if torch.compiler.is_compiling() or jit_traced() or torch._C._len_torch_dispatch_stack() or transformed():
        return False
    forwards = forward_ad._current_level >= 0
    for one in tensors:
        if one is None:
            continue
        if type(one) not in _ORDINARY or one.is_meta or torch._C._functorch.is_legacy_batchedtensor(one):
            return False
        if forwards and forward_ad.unpack_dual(one).tangent is not None:  # type: ignore[no-untyped-call]
            return False
    return True


_MADE_PLAINLY: ContextVar[bool] = ContextVar("made_plainly", default=False)


@contextmanager
def plainly_made() -> Iterator[None]:
    """Within, steps are prepared for plain operations on the weights as they are, which any runtime has, and not for speed here."""
    token = _MADE_PLAINLY.set(True)
    try:
        yield
    finally:
        _MADE_PLAINLY.reset(token)


def made_plainly() -> bool:
    """Whether that is so here."""
    return _MADE_PLAINLY.get()


def jit_traced() -> bool:
    """Whether ``torch.jit.trace``, or an export that begins with it, is recording."""
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tracing


def transformed() -> bool:
    """Whether a transform of ``torch.func`` is under way."""
    active: bool = torch._C._are_functorch_transforms_active()
    return active


def real_numbers() -> AbstractContextManager[object]:
    """Within, tensors hold values even where those made around it are fake."""
    context: AbstractContextManager[object] = _disable_current_modes()
    return context


def recorded() -> bool:
    """Whether a graph is being recorded that will run without this Python: what is drawn, counted or kept now would be a constant in it.

    ``torch.compile`` is not meant: it comes back to Python where that matters.
    """
    if jit_traced():
        return True
    exporting = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)  # torch 2.6 does not tell them apart
    if exporting():
        return True
    if not torch._C._len_torch_dispatch_stack() or torch.compiler.is_compiling():
        return False
    from torch.fx.experimental.proxy_tensor import get_proxy_mode

    return get_proxy_mode() is not None


def refuse_recording(label: str, what: str, instead: str) -> None:
    """Stops a recording that would come out wrong.

    Args:
        label: the layer.
        what: what of it cannot be recorded.
        instead: what to do.

    Raises:
        UnsupportedArgument: a graph is being recorded.
    """
    if recorded():
        raise UnsupportedArgument(f"{label}: {what} would be a constant in a recorded or exported graph; {instead}")


def refuse_scripting(label: str) -> None:
    """Says what ``torch.jit.script`` cannot do.

    Raises:
        UnsupportedArgument: always.
    """
    raise UnsupportedArgument(f"{label}: torch.jit.script cannot compile it; torch.jit.trace and torch.export.export can record it")


def refuse_keeping(label: str, state: Tensor, weight: Tensor | None) -> None:
    """Stops a stateful layer whose state would be no ordinary value after the call.

    Raises:
        UnsupportedArgument: a graph is being recorded, or a transform or a class of tensors is under way that the layer itself is not of.
    """
    instead = "give initial_state and take the last state with return_state, in a layer that is not stateful"
    refuse_recording(label, "the kept state of a stateful layer", instead)
    foreign = type(state) not in _ORDINARY and (weight is None or type(weight) in _ORDINARY)
    if transformed() or foreign:
        raise UnsupportedArgument(f"{label}: a stateful layer cannot keep a state that a transform of torch made; {instead}")


def as_one_node(module: object, label: str, *arguments: object) -> Proxy | None:
    """The module as one node of the graph that ``torch.fx`` records, where an argument is one of its proxies; None elsewhere.

    Its shapes and data types are looked at, which symbols do not have: it is left whole, as ``torch.fx`` leaves torch's own modules.

    Raises:
        UnsupportedArgument: it is the whole of what is recorded.
    """
    flat = [one for argument in arguments for one in (argument if isinstance(argument, (list, tuple)) else [argument])]
    proxy = next((one for one in flat if isinstance(one, Proxy)), None)
    if proxy is None:
        return None
    tracer = proxy.tracer
    assert isinstance(module, nn.Module)
    if not isinstance(tracer, Tracer) or tracer.root is module:
        raise UnsupportedArgument(f"{label}: torch.fx cannot look into it; record a module that holds it, and it becomes one node")
    return tracer.create_proxy("call_module", tracer.path_of_module(module), arguments, {})
