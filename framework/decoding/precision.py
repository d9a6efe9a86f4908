"""In what numbers the large products of decoding are computed."""

from __future__ import annotations

from typing import Literal, get_args

Precision = Literal["float32", "bfloat16", "int8"]
"""What the large weights of a decoding step are kept in. States, small products and what lies between stay in float32.

- ``float32``: as they were trained.
- ``bfloat16``: weights and what they are multiplied with are rounded to 8 bits of mantissa; half the memory to read.
- ``int8``: dynamic quantisation: weights with one scale a column, what they are multiplied with with one scale for all rows of a step; a
  quarter of the memory to read. So a row's numbers hang a little on the rows beside it.
"""

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

LARGE = 1 << 17
"""From how many weights on a product is kept in another precision than float32; below, reading weights is no cost."""
