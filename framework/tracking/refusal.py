"""Whether asking a tracking store again can help."""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator

from framework.errors import GateworkError

_MAY_PASS = frozenset({408, 409, 425, 429, 499})
"""Answers of a server that blame the request and still may be others later: too slow, too early, too many, in each other's way."""

_STATUS = re.compile(r"failed with error code (\d{3})\b|\b(\d{3}) Client Error\b")
_ERRNO = re.compile(r"\[Errno (\d+)\]")
"""How MLflow tells of a server's answer, and of the system's, where it keeps no more than the text."""

_SYSTEM = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
)
_DATABASE = frozenset({"PERM", "READONLY", "CORRUPT", "FULL", "CANTOPEN", "AUTH", "NOTADB"})
"""Kinds of errors of sqlite that are not those of a moment, as a lock is."""

_ADDRESS = frozenset({"InvalidURL", "InvalidSchema", "MissingSchema", "NoSuchModuleError"})
"""What libraries call an address that leads nowhere."""


def is_refusal(error: BaseException) -> bool:
    """Whether a store will answer the same for as long as nobody changes something: not allowed, not there, read-only, full."""
    status = _status(error)
    if status is not None and 400 <= status < 500 and status not in _MAY_PASS:
        return True
    return any(_is_final(one) for one in _causes(error))


def _status(error: BaseException) -> int | None:
    """The HTTP status that a server answered with."""
    response = getattr(error, "response", None)  # requests.HTTPError
    if response is not None and isinstance(getattr(response, "status_code", None), int):
        return int(response.status_code)
    named = _STATUS.search(str(error))
    if named:
        return int(named[1] or named[2])
    if getattr(error, "error_code", None) in (None, "BAD_REQUEST"):
        return None  # so is called whatever a database objects to
    code = getattr(error, "get_http_status_code", None)
    return int(code()) if code is not None else None


def _is_final(error: BaseException) -> bool:
    if isinstance(error, GateworkError | ImportError) or type(error).__name__ in _ADDRESS:
        return True
    if isinstance(error, sqlite3.Error):
        kind = getattr(error, "sqlite_errorname", None) or ""  # SQLITE_READONLY_DIRECTORY is one of SQLITE_READONLY
        return any(kind.startswith(f"SQLITE_{one}") for one in _DATABASE)
    numbers = {int(number) for number in _ERRNO.findall(str(error))}
    return bool((numbers | {error.errno} if isinstance(error, OSError) else numbers) & _SYSTEM)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error with those that led to it; sqlalchemy keeps the database's own as ``orig``."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, None if one.__suppress_context__ else one.__context__, getattr(one, "orig", None)]
