"""The answer to ``gatework why``: who set a value, in order, and the default where nobody did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from framework.config.compose import Composed
from framework.engine.run.digest import resolved
from framework.errors import InputError, SpecError, nearest
from framework.secrets import conceal, concealed
from framework.spec.problems import render

_UNSET = object()


def answer_why(key: str, composed: Composed) -> dict[str, Any]:
    """Who set ``key``.

    Returns:
        ``key``, ``value`` in force, and ``history``: a list of {value, origin, choice, chosen_by}, the last in force; empty where
        the default stands.

    Raises:
        InputError: no config has such a key; the nearest one is named.
    """
    history = [
        {
            "value": setting.value,
            "origin": str(setting.origin),
            "choice": setting.layer.choice if setting.layer else None,
            "chosen_by": str(setting.layer.chosen_by) if setting.layer and setting.layer.chosen_by else None,
        }
        for setting in composed.history(key)
    ]
    value = _at(composed.mapping, key)
    if value is _UNSET:
        value = _default(key, composed)
        history = []
    return {"key": key, "value": value, "history": history}


def print_answer(answer: Mapping[str, Any], as_json: bool) -> None:
    """Prints an answer for people, or as JSON."""
    if as_json:
        print(concealed(json.dumps(conceal(answer), indent=2, default=str)))
        return
    print(f"{answer['key']} = {_shown(answer['value'])}")
    if not answer["history"]:
        print("  nobody set it; this is the default")
    for position, setting in enumerate(reversed(answer["history"])):
        word = "set by" if position == 0 else "before that"
        value = "" if position == 0 else f" ({_shown(setting['value'])})"
        print(f"  {word} {concealed(setting['origin'])}{value}")
        if setting["choice"]:
            by = f", chosen by {setting['chosen_by']}" if setting["chosen_by"] else ""
            print(f"      which {setting['choice']} brought in{by}")


def _default(key: str, composed: Composed) -> Any:
    """The default of a key that the spec knows but nobody set."""
    try:
        mapping = resolved(composed.experiment())
    except SpecError as error:
        raise SpecError(error.problems, title=f"'{key}' is set nowhere, and its default cannot be told: the config has problems") from error
    value = _at(mapping, key)
    if value is _UNSET:
        guess = nearest(key, _keys(mapping, ""))
        raise InputError(f"no key '{key}' in the config" + (f"; did you mean {guess}?" if guess else ""))
    return value


def _at(mapping: Any, key: str) -> Any:
    for part in key.split("."):
        if not isinstance(mapping, Mapping) or part not in mapping:
            return _UNSET
        mapping = mapping[part]
    return mapping


def _keys(value: Any, path: str) -> list[str]:
    if not isinstance(value, Mapping):
        return [path]
    inner = [found for key, one in value.items() for found in _keys(one, f"{path}.{key}" if path else str(key))]
    return [path, *inner] if path else inner


def _shown(value: Any) -> str:
    return render(value) if not isinstance(value, (Mapping, list)) else concealed(json.dumps(conceal(value), default=str))
