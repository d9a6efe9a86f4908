"""Which values dropout drops: a function of whole numbers, the same on both backends, however often and wherever it is asked.

A mask is made of words of 32 bits: the layer's seed, the training step, the call within the step, the kind of mask, the gate, the row
of the batch, and the place within the row. So a call that is run again finds its masks again, a training that is taken up again goes on
with those it would have had, and several processes can each make those of their own rows.

A row has two words: :func:`folded` of all words before, from either of :data:`STARTS`. A place mixes its number with both: see
:data:`FIRST`. A value is kept where the result, read as a signed number, is not below :func:`threshold`.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", for random numbers as a function of counters; Wellons 2018,
"Prospecting for hash functions", for the function that mixes (``lowbias32``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

WORD = 0xFFFFFFFF
"""The bits of a word; all sums and products are taken modulo 2³²."""

SPREAD = 0x9E3779B1
"""2³² divided by the golden ratio, odd: what numbers that follow each other are multiplied by, or moved by."""

FIRST, SECOND = 0x7FEB352D, 0x846CA68B
"""Factors of the mixing: ``x ^= x >> 16; x *= FIRST; x ^= x >> 15; x *= SECOND; x ^= x >> 16``.

A place begins with ``x = place · SPREAD ^ (the row's first word)``, and adds the row's second word before the second product.
"""

STARTS = (0x243F6A88, 0x85A308D3)
"""What a row's two words begin from: digits of π."""


def mixed(word: int) -> int:
    """A word of which every bit depends on every bit of the given one."""
    word ^= word >> 16
    word = word * FIRST & WORD
    word ^= word >> 15
    word = word * SECOND & WORD
    return word ^ word >> 16


def folded(words: Sequence[int], start: int) -> int:
    """One word out of several, in order."""
    for word in words:
        start = mixed(((start ^ word) + SPREAD) & WORD)
    return start


def halves(number: int) -> tuple[int, int]:
    """The lower and the upper word of a number, of which 64 bits count."""
    return number & WORD, number >> 32 & WORD


def threshold(rate: float) -> int:
    """The signed number below which a value is dropped."""
    return min(round(rate * 2**32), WORD) - 2**31


def dropout_seed(seed: int, layer: str) -> int:
    """The seed of a layer's dropout where its config gives none: below 2³², another for every layer and every seed of the model."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{layer}".encode(), digest_size=4).digest(), "big")
