"""What stays in memory: passwords in addresses, and what environment variables hold whose names say that it is secret.

Whatever is written to a file, sent to a tracking store or shown to a person goes through :func:`concealed` (free text) or
:func:`conceal` (nested data). Both give back unchanged what holds no secret.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"
"""Stands where a secret was."""

HANDED_ON = "GATEWORK_SECRET_"
"""Begins the names of environment variables that hand secrets on to the processes of a multirun."""

_WORDS = r"(?:password|passwd|passphrase|token|secret|key|credential)s?"
_SECRET_WORD = re.compile(rf"{_WORDS}\d*$", re.IGNORECASE)
_HANDED_ON = re.compile(rf"\$\{{oc\.env:{HANDED_ON}\d+\}}")
_INTERPOLATION = re.compile(r"\$\{[^{}]*\}")
_PLACE = re.compile(r"[^:@]*(?::\d*)?|\[[^\]]*\](?::\d*)?")
"""``host`` or ``host:port``."""

_QUERY = re.compile(rf"[?&;](?:[\w.\-]*{_WORDS}|[\w.\-]*sig(?:nature)?|odbc_connect)=(?P<secret>[^&#\s'\"]+)", re.IGNORECASE)
_SHORTEST = 4
"""Characters; a shorter secret cannot be told from the words of a text."""

_addresses: dict[str, str] = {}
_places: dict[tuple[str, str], str] = {}
_texts: set[str] = set()


def is_secret_name(name: str) -> bool:
    """Whether an environment variable's name says that its value is secret, as ``MLFLOW_TRACKING_PASSWORD`` and ``API_KEY`` do."""
    return any(_SECRET_WORD.search(word) for word in re.split(r"[\W_]+", name))


def concealed(text: str) -> str:
    """A free text as it may be shown or kept: without users and passwords of addresses, and without any secret that is known."""
    text = _without_spans(text)
    known = sorted((one for one in _texts if one in text), key=len, reverse=True)
    for one in known:
        text = re.sub(rf"(?<!\w){re.escape(one)}(?!\w)", HIDDEN, text)
    return text


def conceal(value: Any, path: str = "") -> Any:
    """Nested data as it may be kept.

    Other than in a free text, a secret is taken out only where it stands: a password that is also an ordinary word leaves that
    word alone elsewhere.

    Args:
        value: mappings, lists and scalars.
        path: dotted key of ``value``, as :func:`remember_place` knows it.
    """
    if isinstance(value, Mapping):
        return {key: conceal(part, f"{path}.{key}" if path else str(key)) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(conceal(part, f"{path}.{number}") for number, part in enumerate(value))
    if not isinstance(value, str):
        return value
    return _places.get((path, value)) or _without_spans(value)


def remember(text: str) -> None:
    """Notes that a text is secret, as it is and as it stands in an address."""
    _texts.update(one for one in (text, unquote(text)) if len(one) >= _SHORTEST)


def remember_address(address: str) -> None:
    """Notes the secrets of an address, which :func:`revealed` finds again."""
    shown = _without_spans(address)
    if shown == address:
        return
    _addresses[shown] = address
    for start, end in secret_spans(address):
        whole = address[start:end]
        user, separator, password = whole.partition(":")
        remember(whole)
        remember(password if separator else user)
        remember(base64.b64encode(unquote(whole).encode()).decode())  # as it stands in the header of a request


def remember_place(path: str, value: str, shown: str) -> None:
    """Notes that a config's value is, or holds, a secret.

    Args:
        path: its dotted key.
        value: the value.
        shown: what is kept of it, with :data:`HIDDEN` for each secret.
    """
    _places[path, value] = shown
    if "://" in shown:
        _addresses[shown] = value
    found = _as_pattern(shown).fullmatch(value)
    for secret in found.groups() if found else ():
        remember(secret)


def revealed(address: str) -> str | None:
    """The address that was concealed to this one, where this process has met it."""
    return address if HIDDEN not in address else _addresses.get(address)


def fits(address: str, shown: str) -> bool:
    """Whether ``shown`` may be what was kept of an address."""
    return _as_pattern(shown).fullmatch(address) is not None


def secret_spans(text: str, stops: str = "") -> Iterator[tuple[int, int]]:
    """Where the secrets of a text's addresses stand: ``user:password`` before the ``@``, and values of queries such as ``token=``.

    Args:
        text: any text.
        stops: characters that end an address, beside white space and double quotes.
    """
    for found in re.finditer(rf"(?<=\w://)[^\s\"<>{re.escape(stops)}]+", text):
        rest, start = found[0], found.start()
        end = _end_of_user(rest)
        if end and _is_literal(rest[:end]):
            yield start, start + end
        for query in _QUERY.finditer(rest, end):
            if _INTERPOLATION.sub("", query["secret"]):
                yield start + query.start("secret"), start + query.end("secret")


def _as_pattern(shown: str) -> re.Pattern[str]:
    return re.compile("(.+)".join(map(re.escape, shown.split(HIDDEN))), re.DOTALL)


def _end_of_user(rest: str) -> int:
    """Where the ``@`` after an address' user stands; 0 where there is none."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        return authority.rindex("@")
    # A password may hold a / ? or # that should have been written as %2F, %3F, %23; what stands before it is then no host.
    is_place = _PLACE.fullmatch(_INTERPOLATION.sub("x", authority))
    return 0 if is_place else max(rest.rfind("@"), 0)


def _is_literal(user: str) -> bool:
    """Whether a user's secret is written out, and no interpolation."""
    if _HANDED_ON.search(user):
        return True
    name, separator, password = _INTERPOLATION.sub("", user).partition(":")
    return bool(password if separator else name)


def _without_spans(text: str) -> str:
    if "://" in text:
        for start, end in reversed(list(secret_spans(text))):
            text = f"{text[:start]}{HIDDEN}{text[end:]}"
    return _HANDED_ON.sub(HIDDEN, text) if HANDED_ON in text else text
