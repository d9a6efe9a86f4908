"""The offline pairs of this recipe: dates, written out in Spanish and in English by the tables of Unicode's CLDR.

The tutorial's own pairs and Multi30k need no code: ``configs/data/spa_eng.yaml`` and ``configs/data/multi30k.yaml`` say where they are.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

from framework.data.corpus import corpus
from framework.errors import DataError

FIRST = date(1950, 1, 1)
DAYS = 36_524
"""Days from which the dates are drawn: one hundred years from 1950 on."""

COUNT = 10_000
"""Pairs."""

STYLES = ("full", "long", "medium")
"""Ways of writing a date; the first one says the day of the week, the last one shortens the month."""


@corpus("dates")
def read_dates() -> Iterator[str]:
    """Lines with a date in Spanish and, after a tab, in English; the same ones each time, no day twice.

    How dates are written differs a little between versions of CLDR, so that runs compare only on one version of Babel.

    Raises:
        DataError: Babel is not installed.
    """
    try:
        from babel.dates import format_date
    except ImportError as error:
        raise DataError("corpus dates needs Babel, which is not installed: pip install 'gatework[translation]'") from error
    draw = random.Random(0)
    for days in draw.sample(range(DAYS), COUNT):
        day, style = FIRST + timedelta(days), draw.choice(STYLES)
        yield f"{format_date(day, style, 'es')}\t{format_date(day, style, 'en')}\n"
