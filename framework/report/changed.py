"""What sets one run apart from others, in as few words as tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

_LONG = 7
"""Characters of a number that is rounded where it is shown."""


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """The end of each dotted key that no other of them ends with: ``units`` for ``model.layers.gru.units``."""
    parts = {key: key.split(".") for key in keys}
    return {key: ".".join(_own_end(key, parts)) for key in parts}


def changed_text(changed: Mapping[str, object]) -> str:
    """``units=256, learning_rate=0.001``."""
    names = short_keys(changed)
    return ", ".join(f"{names[key]}={shown_value(value)}" if value != "" else names[key] for key, value in changed.items())


def written_value(value: object) -> str:
    """A setting's value as an override says it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def shown_value(value: object) -> str:
    """The same; a long number rounded."""
    text = written_value(value)
    if len(text) > _LONG and "." in text:
        with suppress(ValueError):
            return f"{float(text):.4g}"
    return text


def changed_of(words: Iterable[str]) -> dict[str, str]:
    """The keys and values of overrides; of one that takes a key away, the word alone."""
    return {key.lstrip("+"): value for key, _, value in (word.partition("=") for word in words)}


def _own_end(key: str, parts: Mapping[str, list[str]]) -> list[str]:
    own = parts[key]
    for length in range(1, len(own)):
        end = own[-length:]
        if not any(other[-length:] == end for name, other in parts.items() if name != key):
            return end
    return own
