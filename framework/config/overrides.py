"""Command-line overrides: what the user wrote, what Hydra is given for it, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, Quote, QuotedString, RangeSweep
from hydra.errors import HydraException

from framework.config.hydra_section import override_problem
from framework.config.location import SCHEMA_FOLDER, SearchPath
from framework.config.yaml_guard import MAX_DEPTH, too_nested
from framework.errors import Origin, Problem, SpecError, nearest

_FORM = re.compile(r"(?P<sign>\+\+|\+|~)?(?P<key>[^=@]*)(?P<package>@[^=]*)?(?:=(?P<value>.*))?", re.DOTALL)
_KEY = re.compile(r"[^\s.=]+(\.[^\s.=]+)*")

_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_MAX_KEY = 200
"""Hydra looks for files of this name."""
_SHOWN = 200
_MAX_PARTS = 1_000
"""Elements of a list or a sweep: Hydra's grammar takes time by the square of their number."""

NOTHING = "none"
"""The option that ``null`` means in a group that has it, such as ``tracking=null``."""

Kind = Literal["value", "choice", "delete", "hydra"]


@dataclass(frozen=True)
class Given:
    """One override.

    Attributes:
        text: as the user wrote it.
        for_hydra: the same in Hydra's grammar; a plain value becomes ``++key=value``, so that it works whether or not YAML names the key.
        kind: ``value`` sets a key, ``choice`` picks an option of a group, ``delete`` takes something away, ``hydra`` configures Hydra.
        key: dotted key, or the group.
        parsed: Hydra's reading of it.
        swept: whether a sweep, and not the user, chose this value.
    """

    text: str
    for_hydra: str
    kind: Kind
    key: str
    parsed: Override
    swept: bool = False

    @property
    def origin(self) -> Origin:
        """``override `key=value```, or the same with ``sweep``."""
        return origin_of(self.text, swept=self.swept)

    @property
    def group_key(self) -> str:
        """The group with its package, where one is given."""
        return f"{self.key}@{self.parsed.package}" if self.parsed.package else self.key

    @property
    def value(self) -> Any:
        """The value, as plain Python data."""
        return self.parsed.value()

    @property
    def written(self) -> str:
        """The value as the user wrote it."""
        return self.text.partition("=")[2]

    @property
    def count(self) -> int:
        """For how many values it stands in a multirun."""
        swept = self.parsed._value
        if isinstance(swept, ChoiceSweep):
            return len(swept.list)
        if isinstance(swept, RangeSweep):
            assert swept.start is not None and swept.stop is not None
            return max(int((swept.stop - swept.start) / swept.step), 1) if swept.step else 1
        return 1

    @property
    def sweeps(self) -> bool:
        """Whether it stands for several values."""
        return self.parsed.is_sweep_override()


def origin_of(text: str, swept: bool = False) -> Origin:
    """Where a value comes from that an override has set."""
    return Origin(f"{'sweep' if swept else 'override'} `{_shown(text)}`")


def for_hydra(given: Sequence[Given]) -> list[str]:
    """The overrides in Hydra's grammar; of several choices in one group the last, which Hydra takes only where none of them is null."""
    last = {one.group_key: one for one in given if one.kind == "choice"}
    return [one.for_hydra for one in given if one.kind != "choice" or last[one.group_key] is one]


def with_nothing_chosen(word: str, search: SearchPath) -> str:
    """An override as Hydra takes it where it says ``null`` of a group, which Hydra takes for a slip: ``debug=none`` or ``~sweep``."""
    key, _, value = word.partition("=")
    group = key.partition("@")[0]
    if value != "null" or not search.is_group(group):
        return word
    return f"{key}={NOTHING}" if search.find(f"{group}/{NOTHING}") else f"~{key}"


class OverrideReader:
    """Reads overrides against the groups and options of a search path.

    Args:
        search: where configs lie.
        multirun: whether an override may stand for several values.
    """

    def __init__(self, search: SearchPath, multirun: bool = False) -> None:
        self._search = search
        self._multirun = multirun
        self._parser = OverridesParser.create()

    def read(self, texts: Iterable[str], swept: Collection[str] = ()) -> list[Given]:
        """Reads all overrides.

        Args:
            texts: overrides in the order in which they apply.
            swept: those of them that a sweep made.

        Raises:
            SpecError: with what is wrong in any of them.
        """
        given: list[Given] = []
        problems: list[Problem] = []
        for text in texts:
            try:
                given.append(self._read(text, text in swept))
            except SpecError as error:
                problems.extend(error.problems)
        if problems:
            raise SpecError(problems)
        return given

    def parse(self, words: Sequence[str]) -> list[Override]:
        """Hydra's reading of words that are in its own grammar already."""
        return list(self._parser.parse_overrides(list(words)))

    def _read(self, text: str, swept: bool) -> Given:
        form = _FORM.fullmatch(text)
        assert form is not None
        told = _too_much(form["key"], form["value"] or "")
        if told is not None:
            raise SpecError([Problem("", told, origin=origin_of(text, swept))])
        sign, key, package, value = form["sign"] or "", form["key"].strip(), form["package"] or "", form["value"]
        if value is None and sign != "~":
            raise SpecError([self._no_equals_sign(text)])
        if key == "hydra" or key.startswith(("hydra.", "hydra/")):
            problem = override_problem(f"{key}{package}", origin_of(text, swept))
            if problem is not None:
                raise SpecError([problem])
        if sign == "~" and value is None and with_nothing_chosen(f"{key}=null", self._search) == f"{key}={NOTHING}":
            sign, value = "", "null"
        kind = self._kind(sign, key)
        if kind == "choice" and sign == "++":
            sign = ""
        if not _KEY.fullmatch(key):
            raise SpecError([_no_key(text, key)])
        if kind == "value" and ("/" in key or package or key == SCHEMA_FOLDER):
            raise SpecError([self._no_group(text, key)])
        try:
            parsed = self._parse(text, sign, f"{key}{package}", value, is_choice=kind == "choice")
        except SpecError as error:
            if not self._readable(f"{sign}{key}{package}=0"):
                raise SpecError([_no_key(text, key)]) from error
            raise
        if kind == "choice" and isinstance(parsed.value(), dict):
            kind = "value"
        for_hydra = f"{'++' if kind == 'value' and not sign else ''}{parsed.input_line}"
        if kind == "choice" and not sign and parsed.value() is None:
            for_hydra = with_nothing_chosen(f"{key}{package}=null", self._search)
        one = Given(text if text.startswith("~") else _as_written(text, sign), for_hydra, kind, key, parsed, swept)
        self._check(one)
        return one

    def _kind(self, sign: str, key: str) -> Kind:
        if key == "hydra" or key.startswith(("hydra.", "hydra/")):
            return "hydra"
        if sign == "~":
            return "delete"
        return "choice" if self._search.is_group(key) else "value"

    def _readable(self, text: str) -> bool:
        try:
            self._parser.parse_overrides([text])
        except HydraException:
            return False
        return True

    def _parse(self, text: str, sign: str, key: str, value: str | None, is_choice: bool) -> Override:
        if value is None:
            try:
                return self._parser.parse_overrides([f"{sign}{key}"])[0]
            except HydraException as error:
                raise SpecError([_no_key(text, key)]) from error
        try:
            parsed = self._parser.parse_overrides([f"{sign}{key}={value}"])[0]
        except (HydraException, ValueError) as error:  # ValueError: a number of more digits than Python reads
            if is_choice or not _is_prose(value):
                raise SpecError([_bad_syntax(text, key, value, error)]) from error
        else:
            plain = parsed.value()
            is_number = is_choice and isinstance(plain, (int, float))
            is_trimmed = not is_choice and isinstance(plain, str) and plain == value.strip() != value
            if not (is_number or is_trimmed):
                return parsed
        quoted = QuotedString(value, Quote.single).with_quotes()
        try:
            return self._parser.parse_overrides([f"{sign}{key}={quoted}"])[0]
        except (HydraException, ValueError) as error:
            raise SpecError([_bad_syntax(text, key, value, error)]) from error

    def _check(self, one: Given) -> None:
        if one.sweeps and not self._multirun:
            raise SpecError([_several_values(one)])
        if one.kind != "choice":
            return
        known = self._search.options(one.key)
        wrong = [option for option in options_of(one) if not self._search.find(f"{one.key}/{option}")]
        if wrong:
            raise SpecError([no_option(one.key, option, known, one.origin) for option in wrong])

    def _no_equals_sign(self, text: str) -> Problem:
        name = nearest(text, self._search.options("recipe"))
        suggestion = f"recipe={name}" if name else None
        expected = "key=value, without spaces around the sign"
        return Problem("", f"'{_shown(text)}' sets nothing", origin=origin_of(text), expected=expected, suggestion=suggestion)

    def _no_group(self, text: str, key: str) -> Problem:
        groups = self._search.groups()
        return Problem("", f"no config group '{key}'", origin=origin_of(text), expected=one_of(groups), suggestion=nearest(key, groups))


def no_option(group: str, option: str, known: Sequence[str], origin: Origin | None) -> Problem:
    """The problem of an option that a group does not have."""
    return Problem(group, f"no {group} '{option}'", origin=origin, expected=one_of(known), suggestion=nearest(option, known))


def _shown(text: str) -> str:
    """An override as one line of a message: cut where it is long, with escapes for what would not show."""
    cut = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in cut)


def _too_much(key: str, value: str) -> str | None:
    """Why an override is not even read: reading it would take far longer than it is."""
    if key.count(".") > MAX_DEPTH or len(key) > _MAX_KEY:
        return f"the key has more than {_MAX_KEY} characters or {MAX_DEPTH} parts"
    if _NO_TEXT.search(key + value):
        return "the override is no UTF-8 text without NUL, as a file name of other bytes is; give the file another name"
    if (not _is_prose(value) or "${" in value) and (told := too_nested(value)) is not None:
        return told
    if len(value) > _MAX_PARTS and value[:1] not in "'\"" and value.count(",") > _MAX_PARTS:
        return f"the value has more than {_MAX_PARTS:,} parts; quote it twice to mean text, or write it into a YAML file"
    return None


def _no_key(text: str, key: str) -> Problem:
    what = f"'{key}' is no key" if key else "the key is missing"
    return Problem("", what, origin=origin_of(text), expected="key=value, the key of letters, digits, _, - and dots")


def one_of(names: Sequence[str]) -> str:
    """``one of a, b, c``, for what was expected."""
    return "one of " + ", ".join(names) if names else "nothing: there is none"


def options_of(one: Given) -> Iterator[str]:
    """The options that a choice asks for, those of a sweep each."""
    value = one.parsed._value
    values = value.list if isinstance(value, ChoiceSweep) else value if isinstance(value, list) else [value]
    for item in values:
        plain = item.text if isinstance(item, QuotedString) else item
        if isinstance(plain, str):
            yield plain


def _as_written(text: str, sign: str) -> str:
    """Jobs of a sweep get ``++key=value`` for what the user wrote as ``key=value``."""
    return text[2:] if sign == "++" else text


def _is_prose(value: str) -> bool:
    """Whether a value that Hydra's grammar refuses is meant as text, and not a list, mapping, quote or function gone wrong."""
    return not re.match(r"\s*([\[{'\"]|(choice|range|interval|glob|sort|shuffle|tag|int|float|str|bool)\()", value)


def _bad_syntax(text: str, key: str, value: str, error: Exception) -> Problem:
    first = re.sub(r"^\w*Exception: ", "", str(error).splitlines()[0])
    reason = "the quote is not closed" if value.lstrip()[:1] in ("'", '"') else first
    quoted = QuotedString(value.strip("'\""), Quote.double).with_quotes()
    return Problem(
        key,
        f"the value cannot be read: {reason}" if value[:50] not in reason else "the value cannot be read",
        value=_shown(value),
        origin=origin_of(text),
        expected="a number, true, false, null, text, a list [a,b] or a mapping {a:1,b:2}",
        hint=f"to mean text, quote it twice, for the shell and for Gatework: '{_shown(f'{key}={quoted}')}'",
    )


def _several_values(one: Given) -> Problem:
    value = one.parsed.get_value_string()
    listed = _shown(f"{one.key}=[{value}]")
    quoted = _shown(f"{one.key}={QuotedString(value, Quote.double).with_quotes()}")
    simple = isinstance(one.parsed._value, ChoiceSweep) and one.parsed._value.simple_form
    return Problem(
        one.key,
        "several values for one run",
        value=_shown(value),
        origin=one.origin,
        expected="one value, or -m for a run with each",
        hint=f"a list is written '{listed}', a text with commas '{quoted}'" if simple and one.kind == "value" else None,
    )
