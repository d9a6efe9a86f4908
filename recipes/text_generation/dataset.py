"""The offline texts of this recipe: sources of Python's own standard library, and the English that documents it.

The tutorial's own text, Shakespeare, needs no code: ``configs/data/shakespeare.yaml`` says where it is.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path

from framework.data.corpus import corpus
from framework.errors import DataError

from .prose import docstrings_of, prose_of

MODULES = (
    "argparse", "calendar", "cmd", "codecs", "configparser", "contextlib", "csv", "dataclasses", "difflib", "fileinput",
    "gettext", "ipaddress", "optparse", "selectors", "shutil", "subprocess", "textwrap", "threading", "timeit", "trace",
    "uuid", "weakref",
)  # fmt: skip
"""Modules in the order in which they are read; each is in every Python from 3.11 on, whole, and ASCII."""

MOST = 1_000_000
"""Characters that are read at most; the modules have 920,000 to 945,000 in Python 3.11 to 3.13."""

PACKAGES = (
    "asyncio", "collections", "concurrent", "ctypes", "dbm", "email", "encodings", "html", "http", "importlib", "json", "logging",
    "multiprocessing", "re", "sqlite3", "tomllib", "unittest", "urllib", "wsgiref", "xml", "xmlrpc", "zoneinfo",
)  # fmt: skip
"""Packages whose documentation is read beside that of all modules outside of packages; in every Python from 3.11 on."""


@corpus("python_source")
def read_python_source() -> Iterator[str]:
    """The modules' sources, one after the other.

    The text differs a little between versions of Python, so that runs compare only on one version. A line that is not ASCII,
    should a later version bring one, is left out: the vocabulary stays ASCII.

    Raises:
        DataError: this Python comes without the sources of its library.
    """
    left = MOST
    for module in MODULES:
        text = _ascii_lines(_library() / f"{module}.py")[:left]
        left -= len(text)
        yield text


@corpus("python_documentation")
def read_python_documentation() -> Iterator[str]:
    """English sentences about Python's standard library, a paragraph a line, none twice: what its docstrings say.

    The text differs between versions of Python, so that runs compare only on one version.

    Raises:
        DataError: this Python comes without the sources of its library.
    """
    seen, length = set(), 0
    for file in _documented_files():
        for docstring in docstrings_of(_read(file, "python_documentation")):
            for paragraph in prose_of(docstring):
                if paragraph not in seen and length < MOST:
                    seen.add(paragraph)
                    length += len(paragraph) + 1
                    yield f"{paragraph}\n"
    if not seen:
        raise _without_sources("python_documentation", _library(), "no docstring is there")


def _documented_files() -> Iterator[Path]:
    """In an order that depends on their names alone. Modules that begin with ``_`` differ between systems."""
    library = _library()
    yield from sorted(file for file in library.glob("*.py") if not file.name.startswith("_"))
    for package in PACKAGES:
        yield from sorted((library / package).rglob("*.py"))


def _library() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _ascii_lines(file: Path) -> str:
    return "".join(line for line in _read(file, "python_source").splitlines(keepends=True) if line.isascii())


def _read(file: Path, name: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _without_sources(name, file, str(error)) from error


def _without_sources(name: str, place: Path, why: str) -> DataError:
    return DataError(
        f"corpus {name}: '{place}' cannot be read ({why}), as this Python comes without its library's sources; "
        "use a whole Python, or read your own text with data=text data.path=FILE"
    )
