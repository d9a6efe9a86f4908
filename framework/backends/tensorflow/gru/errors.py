"""Errors of the layer: Gatework's own, and also the built-in ones that Keras raises in the same places."""

from __future__ import annotations

from framework.errors import InputError


class CallError(InputError, ValueError):
    """An argument of a call of the layer, or of one of its methods, is wrong; the message names it, its value and what is allowed."""


class NotStateful(InputError, AttributeError):
    """A method that only a stateful layer has was called on another one."""
