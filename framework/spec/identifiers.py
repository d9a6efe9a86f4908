"""Activations, initializers, regularizers and constraints by Keras name, or by class name and config."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from framework.errors import nearest
from framework.spec.base import Spec


class Identifier(Spec):
    """A named function or object with its settings, the backend-neutral form of a Keras identifier.

    Source: Keras documentation, "Layer weight initializers", "regularizers", "constraints", "activation functions".
    """

    class_name: str
    """Canonical snake-case name, such as ``glorot_uniform``."""

    config: dict[str, Any] = {}
    """Settings by Keras' argument names; what is not given has Keras' default."""

    def setting(self, name: str) -> Any:
        """The given or default value of one setting."""
        return self.config.get(name, SETTINGS[self.class_name].get(name))


ACTIVATIONS = (
    "celu", "elu", "exponential", "gelu", "hard_sigmoid", "hard_sigmoid_tf2", "hard_silu", "hard_tanh", "leaky_relu", "linear",
    "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh",
)  # fmt: skip

INITIALIZERS: dict[str, dict[str, Any]] = {
    "zeros": {},
    "ones": {},
    "constant": {"value": 0.0},
    "identity": {"gain": 1.0},
    "random_normal": {"mean": 0.0, "stddev": 0.05, "seed": None},
    "truncated_normal": {"mean": 0.0, "stddev": 0.05, "seed": None},
    "random_uniform": {"minval": -0.05, "maxval": 0.05, "seed": None},
    "variance_scaling": {"scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal", "seed": None},
    "glorot_uniform": {"seed": None},
    "glorot_normal": {"seed": None},
    "he_uniform": {"seed": None},
    "he_normal": {"seed": None},
    "lecun_uniform": {"seed": None},
    "lecun_normal": {"seed": None},
    "orthogonal": {"gain": 1.0, "seed": None},
}

REGULARIZERS: dict[str, dict[str, Any]] = {
    "l1": {"l1": 0.01},
    "l2": {"l2": 0.01},
    "l1_l2": {"l1": 0.0, "l2": 0.0},
    "orthogonal_regularizer": {"factor": 0.01, "mode": "rows"},
}

CONSTRAINTS: dict[str, dict[str, Any]] = {
    "max_norm": {"max_value": 2, "axis": 0},
    "non_neg": {},
    "unit_norm": {"axis": 0},
    "min_max_norm": {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0},
}

SETTINGS: dict[str, dict[str, Any]] = {
    **{name: {} for name in ACTIVATIONS},
    **INITIALIZERS,
    **REGULARIZERS,
    **CONSTRAINTS,
}

_ALIASES = {
    "swish": "silu",
    "hard_swish": "hard_silu",
    "normal": "random_normal",
    "uniform": "random_uniform",
    "one": "ones",
    "zero": "zeros",
    "identity_initializer": "identity",
    "orthogonal_initializer": "orthogonal",
    "l1l2": "l1_l2",
    "re_lu": "relu",
}


def canonical_name(name: str) -> str:
    """``GlorotUniform``, ``glorotUniform`` and ``glorot_uniform`` are one name; so are Keras' aliases."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return _ALIASES.get(snake, snake)


def _parse(value: Any, known: Mapping[str, Mapping[str, Any]], what: str) -> Any:
    if isinstance(value, Identifier):
        return value
    if isinstance(value, str):
        value = {"class_name": value}
    if not isinstance(value, Mapping) or not isinstance(value.get("class_name"), str):
        raise PydanticCustomError(
            "identifier",
            "not {what} name",
            {"what": what, "expected": "a name, {class_name: …, config: {…}}, or null"},
        )
    extra = sorted(set(value) - {"class_name", "config", "module", "registered_name"})
    if extra:
        raise PydanticCustomError(
            "identifier",
            "unknown key '{key}' beside class_name and config",
            {"key": extra[0], "expected": "class_name and config"},
        )
    name = canonical_name(value["class_name"])
    if name not in known:
        raise PydanticCustomError(
            "identifier",
            "unknown {what} '{name}'",
            {
                "what": what.split(" ", 1)[1],
                "name": value["class_name"],
                "expected": "one of " + ", ".join(known),
                "suggestion": nearest(name, known) or "",
            },
        )
    return {"class_name": name, "config": _parse_settings(name, value.get("config") or {}, known[name])}


def _parse_settings(name: str, config: Any, allowed: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(config, Mapping):
        raise PydanticCustomError("identifier", "config of '{name}' is no mapping", {"name": name, "expected": "a mapping of settings"})
    for key, value in config.items():
        if key not in allowed:
            raise PydanticCustomError(
                "identifier",
                "'{name}' has no setting '{key}'",
                {
                    "name": name,
                    "key": str(key),
                    "expected": "one of " + ", ".join(allowed) if allowed else "no settings",
                    "suggestion": nearest(str(key), allowed) or "",
                },
            )
        default = allowed[key]
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if isinstance(default, str):
            fits, expected = isinstance(value, str), "a name"
        elif default is None:
            fits, expected = value is None or (number and isinstance(value, int)), "a whole number or null"
        elif key == "axis":
            fits, expected = number or isinstance(value, (list, tuple)), "a whole number or a list of them"
        else:
            fits, expected = number, "a number"
        if not fits:
            raise PydanticCustomError(
                "identifier",
                "setting '{key}' of '{name}' is {value}",
                {"name": name, "key": str(key), "value": repr(value), "expected": expected},
            )
    return dict(config)


def _identifier(known: Mapping[str, Mapping[str, Any]], what: str) -> Any:
    schema = {
        "anyOf": [
            {"enum": list(known)},
            {
                "type": "object",
                "properties": {"class_name": {"type": "string"}, "config": {"type": "object"}},
                "required": ["class_name"],
                "additionalProperties": False,
            },
        ]
    }
    return Annotated[Identifier, BeforeValidator(lambda value: _parse(value, known, what)), WithJsonSchema(schema)]


Activation = _identifier({name: {} for name in ACTIVATIONS}, "an activation")
Initializer = _identifier(INITIALIZERS, "an initializer")
Regularizer = _identifier(REGULARIZERS, "a regularizer")
Constraint = _identifier(CONSTRAINTS, "a constraint")
