"""What is done to a sentence before it is cut into words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from framework.spec.cleaning import Step, characters

Change = Callable[[str], str]

_SIGN = re.compile(r"[^\w\s]")
_WITHIN_WORDS = "'\u2019-"
_WITHIN_NUMBERS = ".,"


@dataclass(frozen=True)
class Cleaning:
    """Steps that are done one after the other; see :data:`framework.spec.cleaning.NEEDS_ARGUMENT`.

    Attributes:
        steps: name and argument of each; None where it has none.
    """

    steps: tuple[tuple[str, str | None], ...]

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Cleaning:
        """Of the steps of a config."""
        return cls(tuple((one, None) if isinstance(one, str) else next(iter(one.items())) for one in steps))

    @property
    def listed(self) -> list[Step]:
        """The steps as a config has them."""
        return [name if argument is None else {name: argument} for name, argument in self.steps]

    def __call__(self, text: str) -> str:
        """The cleaned sentence: words with one space between them."""
        for change in self._changes:
            text = change(text)
        return " ".join(text.split())

    @cached_property
    def _changes(self) -> list[Change]:
        return [_change(name, argument) for name, argument in self.steps]


def _change(name: str, argument: str | None) -> Change:
    match name, argument:
        case "lower", _:
            return str.lower
        case "strip", _:
            return str.strip
        case "strip_accents", _:
            return _without_accents
        case "separate_punctuation", None:
            return lambda text: _SIGN.sub(_separated, text)
        case "normalize", "NFC" | "NFD" | "NFKC" | "NFKD" as form:
            return lambda text: unicodedata.normalize(form, text)
        case "separate_punctuation", str(given):
            return _replacing(f"([{_class_of(given)}])", r" \1 ")
        case "keep", str(given):
            return _replacing(f"[^{_class_of(given)}]+", " ")
        case "keep_and_close_up", str(given):
            return _replacing(f"[^{_class_of(given)}]+", "")
        case "remove", str(given):
            return _replacing(f"[{_class_of(given)}]+", "")
    raise AssertionError(f"no step {name}")


def _replacing(pattern: str, by: str) -> Change:
    found = re.compile(pattern)
    return lambda text: found.sub(by, text)


def _class_of(given: str) -> str:
    """What stands between the brackets of a regular expression for these characters."""
    return "".join(re.escape(first) if first == last else f"{re.escape(first)}-{re.escape(last)}" for first, last in characters(given))


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    # Put together again, what is left of scripts whose letters are made of parts, such as Hangul, is as it was.
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join([one for one in parts if unicodedata.category(one) != "Mn"]))


def _separated(found: re.Match[str]) -> str:
    """A sign with spaces around it, where it is punctuation.

    A comma within a number is none, and neither are an apostrophe or a hyphen within a word, and marks that belong to the letter before
    them, as in Devanagari.
    """
    sign, at = found[0], found.start()
    before, after = found.string[at - 1 : at], found.string[at + 1 : at + 2]
    if sign in _WITHIN_NUMBERS and before.isdecimal() and after.isdecimal():
        return sign
    if sign in _WITHIN_WORDS and _is_of_a_word(before) and _is_of_a_word(after):
        return sign
    return f" {sign} " if unicodedata.category(sign)[0] in "PS" else sign


def _is_of_a_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"
