"""What a written export computes, held against the trained model on the run's own data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.backend import Trainee
from framework.backends.base.exporting import MODEL, NEXT, START, STEP, TOKENS, WEIGHTS, Runner, Signature, first_states, port_name
from framework.builder.plan import ModelPlan
from framework.engine.model.agreement import compare_outputs

STEPS = 3
"""Steps of decoding that are compared, at most."""

Arrays = Mapping[str, NDArray[np.generic]]


def deviation_of(
    run: Runner, signatures: Mapping[str, Signature], trained: Trainee, decoded: str | None, inputs: Arrays, name: str
) -> float:
    """The largest difference between an export and the trained model, as a share of the largest absolute value of that output.

    Whole sequences and steps, each on a batch, and on some of its rows and half of its time, so that no length is fixed in the file.

    Args:
        run: runs the export.
        signatures: of its graphs.
        trained: the run's model.
        decoded: the input that is decoded, where there is a step.
        inputs: of one batch of the run's data; empty where nothing is computed.
        name: of the format, for the message.

    Raises:
        ParityError: it is more than :data:`framework.engine.model.agreement.TOLERANCE`; a table shows each output.
    """
    expected: dict[str, NDArray[np.generic]] = {}
    found: dict[str, NDArray[np.generic]] = {}

    def hold(graph: str, ours: Arrays, theirs: Arrays) -> None:
        names = {port_name(one) if graph != WEIGHTS else one: one for one in ours}
        for port, own in names.items():
            label = f"{graph} {port} {len(expected)}" if graph != WEIGHTS else own
            expected[label], found[label] = np.asarray(ours[own]), np.asarray(theirs[port])

    if WEIGHTS in signatures:
        hold(WEIGHTS, trained.weights(), run(WEIGHTS, {}))
    for rows, some in _cuts(trained.plan, inputs):
        if MODEL in signatures:
            outputs = {one: value[:rows] for one, value in trained.predict(some).items()}
            hold(MODEL, outputs, _whole(run, signatures[MODEL], _rows(some, rows), rows, decoded))
        if STEP in signatures and decoded is not None:
            for ours, theirs in _steps(run, signatures, trained, decoded, _rows(some, rows), rows):
                hold(STEP, ours, theirs)
    return compare_outputs(expected, found, ("the run", name))


def _rows(inputs: Arrays, rows: int) -> dict[str, NDArray[np.generic]]:
    return {name: value[:rows] for name, value in inputs.items()}


def _cuts(plan: ModelPlan, inputs: Arrays) -> Iterator[tuple[int, Arrays]]:
    """A batch, and half its time with the number of rows that are to be taken of it, the whole of it going through the trained model."""
    if not inputs:
        return
    rows = len(next(iter(inputs.values())))
    yield rows, inputs
    cut = {}
    for name, value in inputs.items():
        lengths = (slice(max(1, size // 2)) if known is None else slice(None) for size, known in _sizes(plan, name, value))
        cut[name] = value[(slice(None), *lengths)]
    yield max(1, rows // 2), cut


def _sizes(plan: ModelPlan, name: str, value: NDArray[np.generic]) -> Iterator[tuple[int, int | None]]:
    """Behind the batch, each length of an input and what the plan says of it."""
    return zip(value.shape[1:], plan.inputs[name].shape[1:], strict=True)


def _whole(run: Runner, signature: Signature, inputs: Arrays, rows: int, decoded: str | None) -> dict[str, NDArray[np.generic]]:
    """What the whole model makes of a batch; where it carries states, of its two halves in time, one after the other.

    Only what is decoded goes on with time, so nothing else may vary in length where there are halves.
    """
    given = {port_name(name): value for name, value in inputs.items()}
    held = first_states(signature, rows, given)
    if not held:
        return dict(run(MODEL, given))
    axes = {port.name: _varying(port.shape) for port in (*signature.inputs, *signature.outputs)}
    varying = [name for name in given if axes[name]]
    alone = decoded is not None and varying == [port_name(decoded)]
    parts = min(2, given[varying[0]].shape[axes[varying[0]] or 0]) if alone else 1
    split = {name: np.array_split(value, parts, axis=axes[name] or 0) if axes[name] else [value] * parts for name, value in given.items()}
    made = []
    for number in range(parts):
        found = run(MODEL, {**{name: pieces[number] for name, pieces in split.items()}, **held})
        held = {name: found[NEXT + name] for name in held}
        made.append(found)
    names = [port.name for port in signature.outputs if port.name not in {NEXT + name for name in held}]
    return {name: np.concatenate([found[name] for found in made], axis=axes[name] or 0) if axes[name] else made[-1][name] for name in names}


def _varying(shape: tuple[int | str, ...]) -> int | None:
    """The first axis behind the batch whose length varies."""
    return next((axis for axis, size in enumerate(shape) if axis and isinstance(size, str)), None)


def _steps(
    run: Runner, signatures: Mapping[str, Signature], trained: Trainee, decoded: str, inputs: Arrays, rows: int
) -> Iterator[tuple[Arrays, Arrays]]:
    """The outputs of some steps of both, each going on from its own states."""
    others = {name: value for name, value in inputs.items() if name != decoded}
    stepper = trained.stepper(decoded)
    state = stepper.start(others, rows)
    held = first_states(signatures[STEP], rows)
    if START in signatures:
        held |= run(START, {port_name(name): value for name, value in others.items()})
    for tokens in np.moveaxis(inputs[decoded], 1, 0)[:STEPS]:
        tokens = np.ascontiguousarray(tokens)
        logits, state, watched = stepper.step(tokens, state)
        found = run(STEP, {TOKENS: tokens, **held})
        held = {name: found.get(NEXT + name, value) for name, value in held.items()}
        yield {"logits": logits.copy(), **{f"{name}/attention": value.copy() for name, value in watched.items()}}, found
