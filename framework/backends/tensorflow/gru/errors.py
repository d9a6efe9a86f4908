"""Errors of the layer: Gatework's own, and also the built-in ones that Keras raises in the same places."""

from __future__ import annotations

from framework.errors import InputError


class ArgumentError(InputError, ValueError):
    """An argument of the layer, or of a call of it, is wrong; the message names it, its value and what is allowed."""


class NotStateful(InputError, AttributeError):
    """A method that only a stateful layer has was called on another one."""
