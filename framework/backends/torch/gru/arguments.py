"""What the GRU's constructor accepts, checked against the same spec as YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from framework.backends.torch.activations import activation_name
from framework.errors import SpecError
from framework.spec.identifiers import Identifier
from framework.spec.layers.gru import GRUSpec
from framework.spec.problems import ProblemCollector, choices

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16, "float16": torch.float16}
MIXED = {"mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}

IDENTIFIERS = tuple(
    name
    for name in GRUSpec.model_fields
    if name.endswith(("activation", "_initializer", "_regularizer", "_constraint")) and name not in ("return_state",)
)
"""Arguments that name a function; a Python function is taken as well."""

SPEC_OPTIONS = ("name", "dtype", "trainable", "seed", "use_cudnn", "zero_output_for_mask")
SHAPE_OPTIONS = ("input_shape", "batch_input_shape", "batch_shape", "input_dim", "input_length", "batch_size")
OPTIONS = (*SPEC_OPTIONS, *SHAPE_OPTIONS, "weights")
"""Keyword arguments beside the documented ones."""


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
class Arguments:
    """A checked set of constructor arguments.

    Attributes:
        spec: every value by its documented name.
        functions: arguments that were given as Python functions without a Keras name, by argument.
        shape: what is known of the input.
        shape_options: the arguments that ``shape`` was read from, as given.
        weights: first weights in Keras' order, or None.
    """

    spec: GRUSpec
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    shape: InputShape = InputShape()
    shape_options: Mapping[str, Any] = field(default_factory=dict)
    weights: Sequence[Any] | None = None

    @property
    def units(self) -> int:
        """Width of the state."""
        return int(self.spec.units)


def parse_arguments(documented: Mapping[str, Any], options: Mapping[str, Any]) -> Arguments:
    """Checks the arguments of a GRU; every problem is reported at once.

    Args:
        documented: the documented arguments by name.
        options: the other keyword arguments; see :data:`OPTIONS`.

    Raises:
        SpecError: an argument is unknown or has a value that is not accepted.
    """
    collector = ProblemCollector()
    known = (*documented, *OPTIONS)
    for name in options:
        if name not in known:
            collector.unknown_key("", name, known)
    values: dict[str, Any] = {}
    functions: dict[str, Callable[..., Any]] = {}
    for name, given in {**documented, **{key: options[key] for key in SPEC_OPTIONS if key in options}}.items():
        value = _plain(given)
        if name in IDENTIFIERS and callable(value) and not isinstance(value, Identifier):
            named = activation_name(value) if name.endswith("activation") else None
            if named is None:
                functions[name] = value
                continue
            value = named
        if name == "dtype" and value is not None:
            value = _dtype_name(collector, value)
        values[name] = _without_empty_axes(value) if name in IDENTIFIERS else value
    if isinstance(values.get("units"), str):
        collector.add("units", "value not accepted", value=repr(values.pop("units")), expected="a whole number above 0")
        values["units"] = 1
    shape_options = {key: options[key] for key in SHAPE_OPTIONS if options.get(key) is not None}
    shape = _input_shape(collector, shape_options, bool(values.get("time_major")))
    spec = collector.parse(GRUSpec, values, "")
    if spec is None or collector.problems:
        label = f"GRU '{values['name']}'" if values.get("name") else "GRU"
        count = len(collector.problems)
        raise SpecError(collector.problems, f"{label}: {count} argument{'' if count == 1 else 's'} not accepted")
    return Arguments(spec, functions, shape, shape_options, options.get("weights"))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _without_empty_axes(value: Any) -> Any:
    """Keras 3 writes ``input_axes: null`` into initializers, a setting for other layers than this."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        unset = {key for key in ("input_axes", "output_axes") if value["config"].get(key, 0) is None}
        return {**value, "config": {key: one for key, one in value["config"].items() if key not in unset}}
    return value


def _dtype_name(collector: ProblemCollector, value: Any) -> str:
    if isinstance(value, Mapping):  # how Keras 3 writes a policy into a config
        value = (value.get("config") or {}).get("name", value)
    name = str(value).removeprefix("torch.") if isinstance(value, (str, torch.dtype)) else str(value)
    known = [*DTYPES, *MIXED]
    if name not in known:
        collector.add("dtype", "value not accepted", value=repr(value), expected=choices(known))
    return name


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
    lengths = [_plain(length) for length in value] if isinstance(value, (tuple, list, torch.Size)) else []
    if len(lengths) != count or not all(length is None or (isinstance(length, int) and length > 0) for length in lengths):
        expected = "(batch, time, features)" if count == 3 else "(time, features)"
        collector.add(name, "value not accepted", value=repr(value), expected=f"{expected}, None where a length varies")
        return [None] * count
    return lengths


def _either(collector: ProblemCollector, name: str, given: Any, from_shape: int | None) -> int | None:
    given = _plain(given)
    if given is None:
        return from_shape
    if isinstance(given, bool) or not isinstance(given, int) or given <= 0:
        collector.add(name, "value not accepted", value=repr(given), expected="a whole number above 0")
    elif from_shape is not None and from_shape != given:
        collector.add(name, f"the input shape says {from_shape}", value=repr(given), expected=str(from_shape))
    return int(given) if isinstance(given, int) else None
