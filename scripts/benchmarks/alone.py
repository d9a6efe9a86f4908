"""Calls in a process of their own: what another one holds, and the threads that it has left, do not count."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from framework.errors import GateworkError


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function gives in a new process.

    Args:
        function: stands at the top of a module; gives what can be pickled.
        arguments: of ``function``; can be pickled too.

    Raises:
        GateworkError: the process ended without a result; what was wrong stands before it on the screen.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(sender, function, arguments), daemon=True)
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise GateworkError(f"a process of the benchmark ended without a figure ({function.__name__})") from None
    finally:
        process.terminate()  # it may have left threads behind
        process.join()


def _send(sender: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    sender.send(function(*arguments))
