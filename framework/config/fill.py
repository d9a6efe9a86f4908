"""``${size:NAME}`` replaced by the numbers that prepared data provides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SIZE = re.compile(r"\$\{size:([A-Za-z_]\w*)\}")


def fill_sizes(value: Any, sizes: Mapping[str, int]) -> Any:
    """A copy of ``value`` with the sizes filled in, at any depth of mappings and lists.

    A text that is nothing but a reference becomes the number; a reference within a text becomes digits. A size that is not in
    ``sizes`` stays as it is.
    """
    if isinstance(value, Mapping):
        return {key: fill_sizes(part, sizes) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill_sizes(part, sizes) for part in value]
    if not isinstance(value, str):
        return value
    whole = _SIZE.fullmatch(value)
    if whole:
        return sizes.get(whole[1], value)
    return _SIZE.sub(lambda found: str(sizes.get(found[1], found[0])), value)
