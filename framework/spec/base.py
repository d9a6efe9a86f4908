"""What every spec shares: frozen, strict, and no unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

SPEC_VERSION = 1
SIZE_PATTERN = r"^\$\{size:[A-Za-z_]\w*\}$"


class Spec(BaseModel):
    """A frozen section of a config. Unknown keys are errors, ``"3"`` is no number, and neither are ``.inf`` and ``.nan``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True, allow_inf_nan=False)


SizeReference = Annotated[str, Field(pattern=SIZE_PATTERN)]
"""``${size:NAME}``: a number that the prepared data provides."""

Dimension = Annotated[int, Field(gt=0)] | SizeReference
"""A positive number of units, or a size that the data fills in later."""


def size_name(value: object) -> str | None:
    """The NAME in ``${size:NAME}``, or None when ``value`` is no reference to a size."""
    if isinstance(value, str) and value.startswith("${size:") and value.endswith("}"):
        return value[len("${size:") : -1]
    return None
