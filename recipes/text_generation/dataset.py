"""The offline text of this recipe: sources of Python's own standard library.

The tutorial's own text, Shakespeare, needs no code: ``configs/data/shakespeare.yaml`` says where it is.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path

from framework.data.corpus import corpus
from framework.errors import DataError

MODULES = (
    "argparse", "calendar", "cmd", "codecs", "configparser", "contextlib", "csv", "dataclasses", "difflib", "fileinput",
    "gettext", "ipaddress", "optparse", "selectors", "shutil", "subprocess", "textwrap", "threading", "timeit", "trace",
    "uuid", "weakref",
)  # fmt: skip
"""Modules in the order in which they are read; each is in every Python from 3.11 on, whole, and ASCII."""

MOST = 1_000_000
"""Characters that are read at most; the modules have 920,000 to 945,000 in Python 3.11 to 3.13."""


@corpus("python_source")
def read_python_source() -> Iterator[str]:
    """The modules' sources, one after the other.

    The text differs a little between versions of Python, so that runs compare only on one version. A line that is not ASCII,
    should a later version bring one, is left out: the vocabulary stays ASCII.

    Raises:
        DataError: this Python comes without the sources of its library.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    left = MOST
    for module in MODULES:
        text = _ascii_lines(folder / f"{module}.py")[:left]
        left -= len(text)
        yield text


def _ascii_lines(file: Path) -> str:
    try:
        with file.open(encoding="utf-8") as lines:
            return "".join(line for line in lines if line.isascii())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"corpus python_source: '{file}' cannot be read ({error}), as this Python comes without its library's sources; "
            "use a whole Python, or read your own text with data=text data.path=FILE"
        ) from error
