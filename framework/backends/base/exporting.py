"""Exports: which graphs of a trained model are written, in which formats, and what the writer of a format offers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.backend import Trainee
from framework.backends.base.training import Arrays
from framework.builder.plan import ModelPlan, PlannedTensor
from framework.builder.step import DecodingStep
from framework.errors import GateworkError, InputError, UnsupportedArgument, nearest

MODEL = "model"
"""From the model's inputs to its outputs, for whole sequences, in inference mode."""

START = "start"
"""From the inputs that are not decoded to what steps read, and to the states before the first one; only where there is such a thing."""

STEP = "step"
"""One step of decoding: from tokens, constants and states to logits, watched weights and the next states."""

WEIGHTS = "weights"
"""No computation: the arrays alone."""

TOKENS, LOGITS = "tokens", "logits"
"""What a step reads and gives beside constants and states."""

NEXT = "next_"
"""Begins the name of an output that is the input of that name in the call after; the first call is given zeros, or what ``start`` gave."""

_MODULES: dict[str, dict[str, str]] = {
    "onnx": {"torch": "framework.backends.torch.exporting.onnx", "tensorflow": "framework.backends.tensorflow.exporting.onnx"},
    "torch_export": {"torch": "framework.backends.torch.exporting.torch_export"},
    "saved_model": {"tensorflow": "framework.backends.tensorflow.exporting.saved_model"},
    "keras": {"tensorflow": "framework.backends.tensorflow.exporting.keras_model"},
    "tflite": {"tensorflow": "framework.backends.tensorflow.exporting.tflite"},
    "safetensors": dict.fromkeys(("torch", "tensorflow"), "framework.backends.base.weights_export"),
}
"""By format and by backend: the module whose ``EXPORTER`` writes it. A run of a backend that is not named is built on the first one."""

FORMATS = tuple(_MODULES)
"""Names of the formats."""


class Port(NamedTuple):
    """One tensor that a graph takes or gives.

    Attributes:
        name: a valid name in Python, but for the arrays of ``weights``, which are called ``layer/weight``.
        dtype: NumPy's name of its type, such as ``int32``.
        shape: a name stands for a length that varies; equal names within a graph are equal lengths.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Signature:
    """What a graph takes and gives, in order.

    Raises:
        UnsupportedArgument: two of its inputs, or two of its outputs, have one name.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __post_init__(self) -> None:
        """Checks the names, of which formats make keys."""
        for what, ports in (("inputs", self.inputs), ("outputs", self.outputs)):
            for name, count in Counter(port.name for port in ports).items():
                if count > 1:
                    raise UnsupportedArgument(
                        f"two {what} of the exported graph '{self.name}' would both be called '{name}'; expected names in the config that "
                        "differ in an ASCII letter or a digit"
                    )


class Written(NamedTuple):
    """What a format's writer wrote.

    Attributes:
        signatures: of the graphs.
        notes: what somebody who loads them has to know, a sentence each.
    """

    signatures: tuple[Signature, ...]
    notes: tuple[str, ...] = ()


class Decoded(NamedTuple):
    """What is decoded of a model.

    Attributes:
        trainee: the model, none of whose states is an input: they begin with zeros, or where the plan says.
        input: the model input that is decoded, which has a step form.
    """

    trainee: Trainee
    input: str


class Runner(Protocol):
    """Runs the graphs of a written export in the format's own runtime, reading nothing but its files."""

    def __call__(self, graph: str, inputs: Arrays) -> Mapping[str, NDArray[np.generic]]:
        """What a graph makes of its inputs, both by name."""
        ...


class Exporter(Protocol):
    """Writes one format from one backend, and runs what it wrote.

    Attributes:
        holds: the graphs that the format can hold.
        packages: what a user has to install to load it, as pip takes it.
        loading: lines of Python for the export's page, run in its folder behind ``import numpy as np``; they define
            ``run(graph, **inputs)``, which gives arrays by name. Nothing of Gatework is imported.
    """

    holds: tuple[str, ...]
    packages: str
    loading: str

    def write(self, trainee: Trainee, decoded: Decoded | None, folder: Path) -> Written:
        """Writes all graphs that the format holds into a folder that is there and empty.

        Args:
            trainee: the trained model, built by this backend on a CPU, without cuDNN. What stateful layers keep is among its inputs and,
                with :data:`NEXT` before the name, its outputs.
            decoded: for ``start`` and ``step``; None: they are not wanted.
            folder: to write into; what is wrong is told by an error, and the folder is thrown away.

        Raises:
            UnsupportedArgument: a layer or an argument cannot be written in this format; it is named.
        """
        ...

    def open(self, folder: Path, signatures: Mapping[str, Signature]) -> Runner:
        """Loads what :meth:`write` wrote, for the comparison with the trained model.

        Args:
            folder: the same.
            signatures: by graph, as they were written.
        """
        ...


def load_exporter(name: str, backend: str) -> tuple[str, Exporter]:
    """The backend that writes a format for a run of ``backend``, which is the run's own where it can, and its writer.

    Raises:
        InputError: there is no such format, or a library that it needs is not installed; says how to get it.
    """
    if name not in _MODULES:
        close = nearest(name, FORMATS)
        raise InputError(f"there is no export format '{name}', only {', '.join(FORMATS)}" + (f"; did you mean '{close}'?" if close else ""))
    modules = _MODULES[name]
    chosen = backend if backend in modules else next(iter(modules))
    try:
        exporter: Exporter = import_module(modules[chosen]).EXPORTER
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "framework":
            raise
        extra = chosen if error.name in (chosen, "keras") else "export"
        raise InputError(
            f"the export format '{name}' needs the library '{error.name}', which is not installed: pip install 'gatework[{extra}]'"
        ) from error
    return chosen, exporter


@contextmanager
def unsupported(what: str, kind: type[Exception] = Exception) -> Iterator[None]:
    """Says what it is that a framework, or a layer of a stranger, cannot do, whose errors have no base class of their own.

    Args:
        what: cannot be done, such as ``torch cannot record the graph 'step'``.
        kind: of the errors that say so.

    Raises:
        UnsupportedArgument: the block raises such an error; its first line is told. Gatework's own errors, and the system's, stay.
    """
    try:
        yield
    except (GateworkError, OSError):
        raise
    except kind as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UnsupportedArgument(f"{what}: {reason}") from error


def port_name(name: str) -> str:
    """``layer/state`` and the like as a name that every format, and Python, takes: ASCII letters, digits and ``_``, a letter first."""
    plain = re.sub(r"[^0-9A-Za-z_]", "_", name)
    return plain if plain[:1].isalpha() else f"x{plain}"


def state_port(name: str, taken: set[str]) -> str:
    """A port's name for a state, free where the state is given and, behind :data:`NEXT`, where the next one is taken.

    Args:
        name: of the state.
        taken: names of others, as they are in the config or as ports; the two of the state join them.
    """
    free, ports = port_name(name), {port_name(one) for one in taken}
    while not (taken | ports).isdisjoint((free, f"{NEXT}{free}")):
        free += "_"
    taken |= {free, f"{NEXT}{free}"}
    return free


def model_signature(plan: ModelPlan, decoded: str | None = None) -> Signature:
    """Of the whole model.

    Args:
        plan: of a model that keeps no state between calls.
        decoded: the model input whose steps the outputs have; without it, outputs have lengths of their own where several inputs vary.
    """
    varying = [name for name, tensor in plan.inputs.items() if None in tensor.shape[1:]]
    inputs = tuple(_port(name, tensor, _axis(name, varying)) for name, tensor in plan.inputs.items())
    source = decoded if decoded in varying else varying[0] if len(varying) == 1 else None
    outputs = tuple(
        _port(name, plan.tensor(reference), _axis(source or name, varying if source else [name, ""]))
        for name, reference in plan.outputs.items()
    )
    return Signature(MODEL, inputs, outputs)


def decoding_signatures(plan: ModelPlan, derived: DecodingStep, constants: Mapping[str, PlannedTensor]) -> tuple[Signature, ...]:
    """Of ``start``, where there is something to be made before the first step, and of ``step``.

    Args:
        plan: of the model.
        derived: how it decodes.
        constants: what is made before the first step and stays as it is, by ``layer/name``, rows first; as a backend makes it.
    """
    tokens = Port(TOKENS, plan.inputs[derived.decoded].dtype, ("rows",))
    held = tuple(_port(port_name(name), tensor, "places", rows="rows") for name, tensor in constants.items())
    watched = tuple(
        Port(port_name(f"{layer.name}/attention"), "float32", ("rows", layer.outputs["attention"].shape[-1] or "places"))
        for layer in derived.per_step
        if "attention" in layer.outputs and layer.name not in derived.unread
    )
    logits = Port(LOGITS, "float32", ("rows", int(plan.tensor(derived.output).shape[-1] or 0)))
    taken = {port.name for port in (tokens, *held, logits, *watched)}
    states = tuple(
        Port(state_port(f"{layer.name}/{name}", taken), layer.spec.dtype or _dtype(plan), ("rows", *shape))
        for layer in derived.per_step
        for name, shape in layer.state.items()
    )
    first = tuple(one for one, reference in zip(states, derived.first.values(), strict=True) if reference is not None)
    step = Signature(STEP, (tokens, *held, *states), (logits, *watched, *(one._replace(name=NEXT + one.name) for one in states)))
    others = [name for name in plan.inputs if name != derived.decoded]
    if not held and not first:
        return (step,)
    varying = [name for name in others if None in plan.inputs[name].shape[1:]]
    read = tuple(_port(name, plan.inputs[name], _axis(name, varying), rows="rows") for name in others)
    return Signature(START, read, (*held, *first)), step


def _dtype(plan: ModelPlan) -> str:
    """What layers that do not say it compute in."""
    usual = {tensor.dtype for layer in plan.layers if layer.spec.dtype is None for tensor in layer.outputs.values()}
    return "float64" if "float64" in usual else "float32"


def _axis(name: str, varying: list[str]) -> str:
    return "time" if len(varying) < 2 else f"{port_name(name)}_time"


def _port(name: str, tensor: PlannedTensor, axis: str, rows: str = "batch") -> Port:
    shape = tuple(axis if size is None else size for size in tensor.shape[1:])
    return Port(port_name(name), tensor.dtype, (rows, *shape))


def first_states(signature: Signature, rows: int, given: Collection[str] = ()) -> dict[str, NDArray[np.generic]]:
    """Zeros for each input of a graph that an output of it continues.

    Args:
        signature: of the graph.
        rows: of the batch.
        given: inputs that are no such states, whatever the outputs are called.
    """
    carried = {port.name.removeprefix(NEXT) for port in signature.outputs if port.name.startswith(NEXT)}.difference(given)
    return {port.name: np.zeros(lengths(port, rows), port.dtype) for port in signature.inputs if port.name in carried}


def lengths(port: Port, rows: int) -> tuple[int, ...]:
    """The shape of a port that has no time, for so many rows."""
    return (rows, *(size for size in port.shape[1:] if isinstance(size, int)))
