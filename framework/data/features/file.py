"""Features that somebody has computed, in a NumPy file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.files import find_file
from framework.data.reading import read_lines
from framework.errors import DataError, Problem
from framework.spec.features import FileFeaturesSpec

_KEY = "data.features.path"


def read_features(spec: FileFeaturesSpec) -> tuple[Path, NDArray[np.floating[Any]], dict[str, int]]:
    """The file, its features ``(images, places, width)``, mapped into memory, and the row of each image by name.

    Raises:
        DataError: a file is missing or no such file, or the names are not as many as the images, or one is there twice.
    """
    file = find_file(spec.path, _KEY)
    names_file = find_file(spec.names_path or str(file.with_suffix(".txt")), "data.features.names_path")
    try:
        values = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(Problem(_KEY, f"'{file}' is no NumPy file with one array: {error}", expected="a .npy file")) from error
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.ndim not in (2, 3) or 0 in values.shape:
        shape = f"{values.dtype} numbers of shape {values.shape}" if isinstance(values, np.ndarray) else "several arrays"
        expected = "floating-point numbers (images, places, width), or (images, width)"
        raise DataError(Problem(_KEY, f"'{file}' holds {shape}", expected=expected))
    names = [name for name in (line.strip() for line in read_lines(names_file, "utf-8")) if name]
    rows = {name: row for row, name in enumerate(names)}
    if len(names) != len(values) or len(rows) < len(names):
        what = f"{len(names):,} names" if len(names) != len(values) else "a name twice"
        message = f"'{names_file}' holds {what}, and '{file}' the features of {len(values):,} images"
        raise DataError(Problem("data.features.names_path", message, expected="the name of each image, one a line"))
    return file, values if values.ndim == 3 else values[:, None, :], rows
