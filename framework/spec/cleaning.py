"""What is done to a sentence before it is cut into words: a declared list of steps, or a list that has a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from framework.errors import nearest

Step = str | dict[str, str]
"""A step's name; or, where it takes an argument, a mapping with one key."""

NEEDS_ARGUMENT: dict[str, bool | None] = {
    "lower": False,
    "strip": False,
    "strip_accents": False,
    "separate_punctuation": None,
    "keep": True,
    "keep_and_close_up": True,
    "remove": True,
    "normalize": True,
}
"""Steps by name: whether each takes an argument; None: it may have one.

- ``lower``: lower case.
- ``strip``: no white space at the ends.
- ``strip_accents``: letters without their marks, ``ñ`` as ``n``.
- ``separate_punctuation``: spaces around punctuation, but not within words (``don't``, ``e-mail``) and numbers (``2.50``); with
  characters, around these and everywhere.
- ``keep``: runs of any other characters than these become a space.
- ``keep_and_close_up``: any other characters than these are taken out.
- ``remove``: these characters are taken out.
- ``normalize``: one of Unicode's forms.

Characters are given as in ``a-zA-Z?.!``: a dash between two means all from the one to the other, at an end itself.
"""

FORMS = ("NFC", "NFD", "NFKC", "NFKD")
"""Unicode's normal forms."""

CLEANINGS: dict[str, list[Step]] = {
    "none": [],
    "words": [{"normalize": "NFC"}, "lower", "separate_punctuation"],
    "tf_tutorial": ["lower", "strip", "strip_accents", {"separate_punctuation": "?.!,¿"}, {"keep": "a-zA-Z?.!,¿"}, "strip"],
    "tf_tutorial_2021": [
        {"normalize": "NFKD"},
        "lower",
        {"keep_and_close_up": " a-z.?!,¿"},
        {"separate_punctuation": ".?!,¿"},
        "strip",
    ],
}
"""Lists that have a name.

Source: TensorFlow tutorial "Neural machine translation with attention", sections on preparing the data, of 2019 and of 2021.
"""


def characters(text: str) -> list[tuple[str, str]]:
    """The ranges that ``a-zA-Z?.!`` means: first and last character of each.

    Raises:
        ValueError: a range ends before it begins, or there is nothing.
    """
    if not text:
        raise ValueError("there are no characters")
    ranges, at = [], 0
    while at < len(text):
        first = last = text[at]
        if text[at + 1 : at + 2] == "-" and at + 2 < len(text):
            last = text[at + 2]
            at += 2
        if last < first:
            raise ValueError(f"the range {first}-{last} ends before it begins")
        ranges.append((first, last))
        at += 1
    return ranges


def _parse(value: Any) -> list[Step]:
    if isinstance(value, str):
        if value not in CLEANINGS:
            raise _wrong(f"no cleaning is called '{value}'", "one of " + ", ".join(CLEANINGS) + ", or a list of steps", value, CLEANINGS)
        return list(CLEANINGS[value])
    if not isinstance(value, (list, tuple)):
        raise _wrong("is no cleaning", "one of " + ", ".join(CLEANINGS) + ", or a list of steps")
    return [_step(one) for one in value]


def _step(value: Any) -> Step:
    if isinstance(value, Mapping) and len(value) == 1:
        name, argument = next(iter(value.items()))
    else:
        name, argument = value, None
    if not isinstance(name, str) or not (argument is None or isinstance(argument, str)):
        raise _wrong(f"a step is {value!r}", "a step's name, or a mapping with one, such as {keep: a-z}")
    if name not in NEEDS_ARGUMENT:
        raise _wrong(f"there is no step '{name}'", "one of " + ", ".join(NEEDS_ARGUMENT), name, NEEDS_ARGUMENT)
    needed = NEEDS_ARGUMENT[name]
    if argument is None:
        if needed:
            raise _wrong(f"the step '{name}' lacks what it is about", f"{{{name}: {'NFC' if name == 'normalize' else 'a-z'}}}")
        return name
    if needed is False:
        raise _wrong(f"the step '{name}' takes nothing", name)
    if name == "normalize":
        if argument not in FORMS:
            raise _wrong(f"no Unicode form is called '{argument}'", "one of " + ", ".join(FORMS), argument, FORMS)
        return {name: argument}
    try:
        characters(argument)
    except ValueError as error:
        raise _wrong(f"the step '{name}': {error}", "characters and ranges of them, such as a-zA-Z?.!") from error
    return {name: argument}


def _wrong(message: str, expected: str, given: str = "", known: Any = ()) -> PydanticCustomError:
    context = {"message": message, "expected": expected, "suggestion": nearest(given, known) or ""}
    return PydanticCustomError("identifier", "{message}", context)


_STEP_SCHEMA = {
    "anyOf": [
        {"enum": [name for name, needed in NEEDS_ARGUMENT.items() if not needed]},
        {
            "type": "object",
            "properties": {
                name: {"enum": list(FORMS)} if name == "normalize" else {"type": "string"}
                for name, needed in NEEDS_ARGUMENT.items()
                if needed is not False
            },
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ]
}

Cleaning = Annotated[
    list[Step],
    BeforeValidator(_parse),
    WithJsonSchema({"anyOf": [{"enum": list(CLEANINGS)}, {"type": "array", "items": _STEP_SCHEMA}]}),
]
"""A list of steps; a name of :data:`CLEANINGS` is the same as the list that it stands for."""
