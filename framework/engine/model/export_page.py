"""What lies beside an export: a page with an example that runs without Gatework, and what the graphs take and give as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from framework.backends.base.exporting import MODEL, NEXT, START, STEP, WEIGHTS, Exporter, Port, Signature, first_states, port_name
from framework.engine.model.agreement import TOLERANCE
from framework.files import replace_text
from framework.tasks.known import task_of
from framework.tasks.model import Model
from framework.tasks.spelling import Spelling

PAGE, INTERFACE, EXAMPLE = "README.md", "interface.json", "example.py"
DECODING, ROW = "decoding.json", "example.npz"

_WHAT = {
    MODEL: "whole sequences, in inference mode",
    START: "once before the first step of decoding: what steps read, and where states begin",
    STEP: f"one step of decoding; each `{NEXT}…` is the input of that name at the step after",
    WEIGHTS: "no computation",
}

_FILES = {
    DECODING: "what each token adds to the text, by number; the tokens to begin with, the one that ends a text, and those never written",
    ROW: "what the model reads beside that, one row of the run's data",
}


@dataclass(frozen=True)
class Page:
    """What is told of an export.

    Attributes:
        format: its name.
        exporter: that wrote it.
        signatures: of its graphs.
        notes: a sentence each.
        deviation: from the trained model.
        run: name of the run.
        model: the run's, with its processor.
        inputs: of a batch of the run's data.
    """

    format: str
    exporter: Exporter
    signatures: tuple[Signature, ...]
    notes: tuple[str, ...]
    deviation: float
    run: str
    model: Model
    inputs: Mapping[str, NDArray[np.generic]]

    def graph(self, name: str) -> Signature | None:
        """The graph of that name, where it was written."""
        return next((one for one in self.signatures if one.name == name), None)


def write_page(folder: Path, page: Page) -> None:
    """Writes the page, the example, what the example reads, and the interface.

    Raises:
        OSError: a file cannot be written.
    """
    spelling = task_of(page.model.experiment).spelling(page.model) if _can_write(page) else None
    example = "\n".join(_example(page, spelling)) + "\n"
    if spelling is not None:
        replace_text(folder / DECODING, json.dumps(_as_json(spelling), indent=1) + "\n")
    if ROW in example:
        np.savez(folder / ROW, **{port_name(name): value[:1] for name, value in _read(page, spelling).items()})  # type: ignore[arg-type]
    replace_text(folder / EXAMPLE, example)
    replace_text(folder / PAGE, "\n".join(_lines(page, example)) + "\n")
    graphs = {
        one.name: {"inputs": [port._asdict() for port in one.inputs], "outputs": [port._asdict() for port in one.outputs]}
        for one in page.signatures
    }
    content = {"format": page.format, "run": page.run, "deviation": page.deviation, "bound": TOLERANCE, "graphs": graphs}
    replace_text(folder / INTERFACE, json.dumps(content, indent=1) + "\n")


def _can_write(page: Page) -> bool:
    """Whether text can be written with what is there: a step, or a model that takes what is written so far, however long it is."""
    model, decoded = page.graph(MODEL), page.model.decoded
    if page.graph(STEP) is not None or model is None or decoded is None:
        return page.graph(STEP) is not None
    return any(port.name == port_name(decoded) and isinstance(port.shape[-1], str) for port in model.inputs)


def _as_json(spelling: Spelling) -> dict[str, object]:
    return {
        "tokens": list(spelling.tokens),
        "first": [int(one) for one in spelling.first],
        "end": spelling.end,
        "never": [int(one) for one in spelling.never],
        "steps": spelling.steps,
    }


def _read(page: Page, spelling: Spelling | None) -> Mapping[str, NDArray[np.generic]]:
    """The inputs of an example beside what is decoded."""
    return {name: value for name, value in page.inputs.items() if spelling is None or name != page.model.decoded}


def _example(page: Page, spelling: Spelling | None) -> Iterator[str]:
    """The program, line by line."""
    yield from (*(["import json", ""] if spelling is not None else []), "import numpy as np")
    yield from page.exporter.loading.rstrip().splitlines()
    yield from ("", "")
    step, model = page.graph(STEP), page.graph(MODEL)
    if spelling is not None and step is not None:
        yield from _stepwise(page, step, len(spelling.first))
    elif spelling is not None and model is not None:
        yield from _anew(page, model)
    elif model is not None:
        states = ", ".join(_zeros(model, _given(page)))
        held = f", **{{{states}}}" if states else ""
        yield f'for name, value in run("{MODEL}", **np.load("{ROW}"){held}).items():'
        yield "    print(name, value.shape)"
    else:
        yield f'for name, value in run("{WEIGHTS}").items():'
        yield "    print(name, value.shape)"


def _stepwise(page: Page, step: Signature, given: int) -> Iterator[str]:
    start = page.graph(START)
    made = {port.name for port in start.outputs} if start else set()
    yield f'text = json.load(open("{DECODING}", encoding="utf-8"))'
    yield f"held = {{{', '.join(_zeros(step, made))}}}"
    if start is not None:
        yield f'held.update(run("{START}", **np.load("{ROW}")))'
    yield 'written, allowed = list(text["first"]), [one for one in range(len(text["tokens"])) if one not in text["never"]]'
    yield 'for place in range(text["steps"]):'
    yield f'    found = run("{STEP}", tokens=np.array(written[place : place + 1], "{step.inputs[0].dtype}"), **held)'
    yield f'    held = {{name: found.get("{NEXT}" + name, value) for name, value in held.items()}}'
    yield "    if place + 1 == len(written):"
    yield '        written.append(max(allowed, key=lambda one: found["logits"][0, one]))'
    yield from _ended("    ")


def _anew(page: Page, model: Signature) -> Iterator[str]:
    """Without a step, everything so far goes through the model for each token."""
    decoded = port_name(page.model.decoded or "")
    dtype = next(port.dtype for port in model.inputs if port.name == decoded)
    yield f'text = json.load(open("{DECODING}", encoding="utf-8"))'
    yield f"held = {{{', '.join(_zeros(model, _given(page)))}}}"
    if len(page.inputs) > 1:
        yield f'held.update(np.load("{ROW}"))'
    yield 'written, allowed = list(text["first"]), [one for one in range(len(text["tokens"])) if one not in text["never"]]'
    yield 'for _ in range(text["steps"] + 1 - len(written)):'
    output = next(port.name for port in model.outputs)
    yield f'    logits = run("{MODEL}", {decoded}=np.array([written], "{dtype}"), **held)["{output}"][0, -1]'
    yield "    written.append(max(allowed, key=lambda one: logits[one]))"
    yield from _ended("    ")


def _ended(indent: str) -> Iterator[str]:
    yield f'{indent}if written[-1] == text["end"]:'
    yield f"{indent}    break"
    yield 'print("".join(text["tokens"][one] for one in written))'


def _given(page: Page) -> set[str]:
    """What the run's data gives, by its names in graphs."""
    return {port_name(name) for name in page.inputs}


def _zeros(signature: Signature, given: set[str]) -> Iterator[str]:
    """The first states that nothing else gives, as Python writes them."""
    for name, value in first_states(signature, 1, given).items():
        yield f'"{name}": np.zeros({value.shape}, "{value.dtype}")'


def _lines(page: Page, example: str) -> Iterator[str]:
    experiment = page.model.experiment
    yield f"# Run {page.run} ({experiment.recipe}) as {page.format}"
    yield ""
    yield f"Written by Gatework; nothing here needs it. To load it: `pip install {page.exporter.packages}`."
    yield ""
    if page.inputs:
        yield f"On a batch of the run's data, outputs differ from the trained model's by at most {page.deviation:.1e} of the largest"
        yield f"(allowed: {TOLERANCE:.0e})."
    if page.notes:
        yield ""
    for note in page.notes:
        yield f"- {note}"
    yield from ("", f"`{EXAMPLE}`, to be run in this folder:", "", "```python", *example.rstrip().splitlines(), "```")
    for name, what in _FILES.items():
        if name in example:
            yield from ("", f"`{name}`: {what}.")
    for signature in page.signatures:
        yield from (
            "",
            f"## {signature.name}",
            "",
            f"{_WHAT.get(signature.name, '')}",
            "",
            "| | name | type | shape |",
            "|---|---|---|---|",
        )
        yield from (f"| in | {_cells(port)} |" for port in signature.inputs)
        yield from (f"| out | {_cells(port)} |" for port in signature.outputs)
    yield ""
    yield f"`{INTERFACE}` has the same for programs."


def _cells(port: Port) -> str:
    return f"`{port.name}` | {port.dtype} | ({', '.join(map(str, port.shape))})"
