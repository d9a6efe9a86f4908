"""What a search may choose from, read from overrides in Hydra's grammar of sweeps."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep

from framework.errors import Problem, SpecError

_EXPECTED = "choice(a,b), range(start,stop), interval(low,high), int(interval(low,high)) or tag(log,interval(low,high))"

_MOST_CHOICES = 10_000


@dataclass(frozen=True)
class Dimension:
    """The values that one override may take.

    Attributes:
        key: of the override, with the sign that Hydra's grammar needs.
        kind: ``choice`` of texts, ``int`` or ``float`` from ``low`` to ``high``, both included.
        choices: the values as an override would give them.
        low: smallest number.
        high: largest number.
        step: distance between whole numbers.
        log: whether numbers are spread by their logarithm.

    Source: Hydra's documentation, "Extended Override syntax", sweeps.
    """

    key: str
    kind: Literal["choice", "int", "float"]
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: int = 1
    log: bool = False

    @property
    def name(self) -> str:
        """The key as a user writes it."""
        return self.key.lstrip("+")

    def word(self, value: Any) -> str:
        """The override that gives this value."""
        return f"{self.key}={value!r}" if self.kind == "float" else f"{self.key}={value}"

    def as_json(self) -> dict[str, Any]:
        """Plain data that tells this dimension from others."""
        return {**asdict(self), "choices": list(self.choices)}


def dimension_of(override: Override) -> Dimension:
    """Reads a sweep.

    Raises:
        SpecError: it is no sweep that a search can choose from, or its limits are wrong.
    """
    key, value = override.get_key_element(), override.value()
    if isinstance(value, ChoiceSweep):
        return Dimension(key, "choice", tuple(str(one) for one in override.sweep_string_iterator()))
    if isinstance(value, RangeSweep):
        return _range(key, value, override)
    if isinstance(value, IntervalSweep):
        return _interval(key, value, override)
    raise SpecError([Problem(key.lstrip("+"), "a search cannot choose from this", value=_text(override), expected=_EXPECTED)])


def _range(key: str, value: RangeSweep, override: Override) -> Dimension:
    start, stop, step = value.start, value.stop, value.step
    assert start is not None and stop is not None
    if step == 0 or (stop - start) / step <= 0:
        raise SpecError([Problem(key.lstrip("+"), "an empty range", value=_text(override), expected="a start below the stop")])
    if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int):
        last = range(start, stop, step)[-1]
        return Dimension(key, "int", low=min(start, last), high=max(start, last), step=abs(step))
    if (stop - start) / step > _MOST_CHOICES:
        expected = f"a range of at most {_MOST_CHOICES:,} values, or interval(low,high)"
        raise SpecError([Problem(key.lstrip("+"), "a range of too many values", value=_text(override), expected=expected)])
    return Dimension(key, "choice", tuple(map(str, value.range())))


def _interval(key: str, value: IntervalSweep, override: Override) -> Dimension:
    low, high, log = value.start, value.end, "log" in value.tags
    assert low is not None and high is not None
    if low > high:
        raise SpecError([Problem(key.lstrip("+"), "an empty interval", value=_text(override), expected="the lower limit first")])
    if log and low <= 0:
        raise SpecError(
            [Problem(key.lstrip("+"), "a logarithm needs limits above 0", value=_text(override), expected="a lower limit above 0")]
        )
    kind: Literal["int", "float"] = "int" if isinstance(low, int) and isinstance(high, int) else "float"
    return Dimension(key, kind, low=low, high=high, log=log)


def _text(override: Override) -> str:
    return str(override.input_line or "").partition("=")[2]
