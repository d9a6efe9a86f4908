"""The GRU's arguments as both backends take them: names, defaults, what is accepted, what is said of the rest, what a config holds.

The values are judged by :class:`framework.spec.layers.gru.GRUSpec`, the same that judges YAML. What is a library's own, functions and data
types, is read by the backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from framework.errors import Problem, SpecError
from framework.spec.layers.gru import GRUSpec
from framework.spec.problems import ProblemCollector

_FIELDS = tuple(GRUSpec.model_fields)

DOCUMENTED = _FIELDS[_FIELDS.index("units") : _FIELDS.index("reset_after") + 1]
"""Every argument of the documented constructor, in its order."""

OPTIONS = ("name", "dtype", "trainable", "seed", "use_cudnn", "zero_output_for_mask")
"""Keywords beside them: those of every layer of Keras, and of Keras 3's GRU."""

CONFIG = (*DOCUMENTED, *OPTIONS)
"""What a layer's config holds; beside it stands the input's shape as it was given."""

SHAPES = ("batch_input_shape", "batch_shape", "input_shape", "input_dim", "input_length", "batch_size")
"""Keywords in which older code gives the input's shape to a layer."""

GONE = ("dynamic", "enable_caching_device", "return_runtime")
"""Keywords of older versions of Keras that change no result; taken where they are off."""

FUNCTIONS = {
    name: name.rpartition("_")[2] for name in DOCUMENTED if name.endswith(("activation", "_initializer", "_regularizer", "_constraint"))
}
"""Arguments that are functions: activation, initializer, regularizer or constraint."""

Own = Callable[[str, Any], Any]
"""What a backend takes for a function or a data type as it is, from the argument's name and its value; ``NotImplemented`` where it is for
the spec to judge. Raises :class:`SpecError` of what it refuses itself."""


class ArgumentError(SpecError, ValueError):
    """Arguments of a layer are wrong; Keras raises a ``ValueError`` in the same place."""


@dataclass(frozen=True)
class InputShape:
    """What is known of the input before the first call; None where it is not.

    Attributes:
        features: width of one step.
        batch: rows of every batch.
        steps: length in time.
    """

    features: int | None = None
    batch: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class GRUArguments:
    """A checked set of constructor arguments.

    Attributes:
        values: by name, all of :data:`CONFIG`; functions are the backend's own, or an identifier, or None.
        shape: what is known of the input.
        shape_options: the keywords that ``shape`` was read from, as given.
        weights: first weights in Keras' order, or None.
    """

    values: Mapping[str, Any]
    shape: InputShape = InputShape()
    shape_options: Mapping[str, Any] = field(default_factory=dict)
    weights: Sequence[Any] | None = None

    def __getitem__(self, name: str) -> Any:
        """The value of an argument."""
        return self.values[name]


def check_arguments(documented: Mapping[str, Any], keywords: Mapping[str, Any], own: Own) -> GRUArguments:
    """Checks the arguments of a GRU; every problem is reported at once.

    Args:
        documented: at least the documented arguments by name; others are not looked at.
        keywords: the other keyword arguments.
        own: what the backend takes as it is.

    Raises:
        ArgumentError: an argument is unknown or has a value that is not accepted.
    """
    collector = ProblemCollector()
    _check_names(collector, keywords)
    given = {**{name: documented[name] for name in DOCUMENTED}, **{name: keywords[name] for name in OPTIONS if name in keywords}}
    values: dict[str, Any] = {}
    functions: dict[str, Any] = {}
    for name, value in given.items():
        try:
            found = own(name, value) if value is not None and (name in FUNCTIONS or name == "dtype") else NotImplemented
        except SpecError as error:
            collector.problems += error.problems
            continue
        if found is NotImplemented:
            values[name] = _plain(name, value)
        else:
            functions[name] = found
    if isinstance(values.get("units"), str):  # in YAML, a size that the data fills in
        collector.add("units", "value not accepted", value=repr(values["units"]), expected="a whole number above 0")
        values["units"] = 1
    shape_options = {key: keywords[key] for key in SHAPES if keywords.get(key) is not None}
    shape = _input_shape(collector, shape_options, bool(values.get("time_major")))
    spec = collector.parse(GRUSpec, values, "")
    if spec is None or collector.problems:
        label = f"GRU '{values['name']}'" if values.get("name") else "GRU"
        count = len(collector.problems)
        raise ArgumentError(collector.problems, f"{label}: {count} argument{'' if count == 1 else 's'} not accepted")
    checked = {name: getattr(spec, name) for name in CONFIG} | functions
    return GRUArguments(checked, shape, shape_options, keywords.get("weights"))


def keywords_of(spec: GRUSpec, **changes: Any) -> dict[str, Any]:
    """A config's GRU as the arguments of either backend's layer; ``changes`` win."""
    return {name: getattr(spec, name) for name in CONFIG} | changes


def mask_count(implementation: int) -> int:
    """Dropout masks on the inputs: one a gate with ``implementation`` 1, one for all with 2."""
    return 3 if implementation == 1 else 1


def refused(name: str, value: Any, expected: str) -> ArgumentError:
    """The error of one value that is not accepted."""
    return ArgumentError([Problem(name, "value not accepted", value=repr(value), expected=expected)])


def _check_names(collector: ProblemCollector, keywords: Mapping[str, Any]) -> None:
    known = (*DOCUMENTED, *OPTIONS, *SHAPES, *GONE, "weights")
    for name, value in keywords.items():
        if name not in known:
            collector.unknown_key("", name, known)
        elif name in GONE and value:
            collector.add(name, "there is no such mode any more", value=repr(value), expected="it to be left out")


def _plain(name: str, value: Any) -> Any:
    """A value as YAML would hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    if name == "implementation" and value == 0 and not isinstance(value, bool):
        return 2  # as old configs have it, since TensorFlow 2.0
    if GRUSpec.model_fields[name].annotation is bool and isinstance(value, int):
        return bool(value) if value in (0, 1) else value
    if name in FUNCTIONS and isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        # Keras 3 writes `input_axes: null` into initializers, a setting for other layers than this.
        unset = {key for key in ("input_axes", "output_axes") if value["config"].get(key, 0) is None}
        return {**value, "config": {key: one for key, one in value["config"].items() if key not in unset}}
    return value


def _input_shape(collector: ProblemCollector, options: Mapping[str, Any], time_major: bool) -> InputShape:
    lengths: list[int | None] = [None, None, None]
    whole = options.get("batch_input_shape", options.get("batch_shape"))
    if whole is not None:
        lengths = _lengths(collector, "batch_input_shape" if "batch_input_shape" in options else "batch_shape", whole, 3)
        if time_major:
            lengths = [lengths[1], lengths[0], lengths[2]]
    elif "input_shape" in options:  # leaves the batch out, in either layout
        lengths = [None, *_lengths(collector, "input_shape", options["input_shape"], 2)]
    batch, steps, features = lengths
    return InputShape(
        features=_either(collector, "input_dim", options.get("input_dim"), features),
        batch=_either(collector, "batch_size", options.get("batch_size"), batch),
        steps=_either(collector, "input_length", options.get("input_length"), steps),
    )


def _lengths(collector: ProblemCollector, name: str, value: Any, count: int) -> list[int | None]:
    lengths = [_plain("units", length) for length in value] if isinstance(value, (tuple, list)) else []
    if len(lengths) != count or not all(length is None or (isinstance(length, int) and length > 0) for length in lengths):
        expected = "(batch, time, features)" if count == 3 else "(time, features)"
        collector.add(name, "value not accepted", value=repr(value), expected=f"{expected}, None where a length varies")
        return [None] * count
    return lengths


def _either(collector: ProblemCollector, name: str, given: Any, from_shape: int | None) -> int | None:
    given = _plain("units", given)
    if given is None:
        return from_shape
    if isinstance(given, bool) or not isinstance(given, int) or given <= 0:
        collector.add(name, "value not accepted", value=repr(given), expected="a whole number above 0")
    elif from_shape is not None and from_shape != given:
        collector.add(name, f"the input shape says {from_shape}", value=repr(given), expected=str(from_shape))
    return int(given) if isinstance(given, int) else None
