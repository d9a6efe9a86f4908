"""What translate and caption share: how sequences are searched for, printed, drawn, and how far the work has come."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from framework.cli.trained import add_model_arguments, open_trained, tell_precision
from framework.errors import EXIT_DONE, EXIT_FAILED, DataError, InputError

if TYPE_CHECKING:
    from framework.spec.decoding import DecodingSpec
    from framework.tasks.model import Model
    from framework.tasks.writing import WritingTask
    from framework.tasks.written import Written

_SETTINGS = (
    "strategy", "beam_width", "length_penalty", "coverage_penalty", "n_best", "max_length", "replace_unknown", "temperature", "top_k",
    "top_p",
)  # fmt: skip


def add_writing_arguments(parser: argparse.ArgumentParser, written: str) -> None:
    """Options of the search, of the output and of the model.

    Args:
        parser: of the verb.
        written: what is written, such as translation.
    """
    parser.add_argument("--beam", type=int, dest="beam_width", metavar="N", help=f"follow the N best {written}s side by side")
    parser.add_argument("--strategy", choices=("greedy", "sample", "beam"), help="how words are chosen; the run's own when not given")
    parser.add_argument("--length-penalty", type=float, metavar="ALPHA", help=f"0 favours short {written}s, 1 nearly compares means")
    parser.add_argument("--coverage-penalty", type=float, metavar="BETA", help="above 0: against leaving parts out")
    parser.add_argument("--n-best", type=int, metavar="N", help="print the N best, with their input's number and a score, tabs between")
    parser.add_argument("--max-length", type=int, metavar="N", help=f"tokens of a {written} at most")
    parser.add_argument("--temperature", type=float, help="with --strategy sample: scores are divided by this before drawing")
    parser.add_argument("--top-k", type=int, help="likewise: draw among the K most likely words only")
    parser.add_argument("--top-p", type=float, help="likewise: draw among the most likely words that together reach this probability")
    parser.add_argument("--plot", metavar="PNG", help="draw what was attended to; of several inputs into files with numbers")
    add_model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object a line, with scores")


@dataclass(frozen=True)
class Job:
    """What a verb has to write.

    Attributes:
        written: what is written, such as translation.
        inputs: raw, in order.
        unit: what the inputs are called, in the plural.
        at_once: inputs that are read and worked on together.
        alone: whether there is one input.
        labelled: whether lines of several inputs begin with the input, a tab behind it.
        skips: whether an input that cannot be read is told and left out; else it ends the work.
    """

    written: str
    inputs: Iterable[str]
    unit: str
    at_once: int
    alone: bool
    labelled: bool = False
    skips: bool = False


def write_all(arguments: argparse.Namespace, job: Job) -> int:
    """Writes for all inputs, in order, on standard output; what is told on the way goes to standard error.

    Raises:
        DataError: an input cannot be read; it is named.
        InputError: a setting is out of range, or the model does not write such.
    """
    from framework.tasks.known import writing_task

    model, _ = open_trained(arguments)
    task = writing_task(model.experiment, job.written)
    settings = task.decoding(model, {name: getattr(arguments, name, None) for name in _SETTINGS})
    printer = _Printer(arguments, job, task)
    clock = _Clock(job.unit)
    number = failed = 0
    for chunk in _chunks(job.inputs, job.at_once):
        for given, best in _written(task, model, chunk, settings, arguments, job):
            number += 1
            if isinstance(best, DataError):
                failed += 1
                printer.tell(given, best)
            else:
                printer.show(number, given, best, model)
        sys.stdout.flush()
        clock.tell(number)
    clock.finish(number - failed)
    tell_precision(arguments, model)
    if failed:
        print(f"error: {failed:,} of {number:,} {job.unit} could not be used", file=sys.stderr)
    return EXIT_FAILED if failed else EXIT_DONE


def _chunks(inputs: Iterable[str], at_once: int) -> Iterator[list[str]]:
    left = iter(inputs)
    while chunk := list(islice(left, at_once)):
        yield chunk


def _written(
    task: WritingTask, model: Model, chunk: Sequence[str], settings: DecodingSpec, arguments: argparse.Namespace, job: Job
) -> Iterator[tuple[str, list[Written] | DataError]]:
    """Each input with what is written for it, or with why there is nothing."""

    def write(some: Sequence[str]) -> list[list[Written]]:
        inputs = [task.raw({task.read: one}) for one in some]
        return task.write(model, inputs, settings, arguments.seed, watch=arguments.plot is not None)

    try:
        yield from zip(chunk, write(chunk), strict=True)
        return
    except DataError:
        if not job.skips or job.alone:
            raise
    for one in chunk:  # which of them it is shows one by one
        try:
            yield one, write([one])[0]
        except DataError as error:
            yield one, error


class _Printer:
    """Prints and draws what is written."""

    def __init__(self, arguments: argparse.Namespace, job: Job, task: WritingTask) -> None:
        self._arguments, self._job, self._task = arguments, job, task
        self._plot = None if arguments.plot is None else Path(arguments.plot)

    def show(self, number: int, given: str, best: Sequence[Written], model: Model) -> None:
        """One input's sequences."""
        for line in self._lines(number, given, best):
            print(line)
        if self._plot is not None:
            self._draw(self._plot, number, given, best[0], model)

    def tell(self, given: str, error: DataError) -> None:
        """An input that cannot be read."""
        if self._arguments.json:
            print(json.dumps({self._task.read: given, "error": str(error)}, ensure_ascii=False))
        print(f"error: {error}", file=sys.stderr)

    def _lines(self, number: int, given: str, best: Sequence[Written]) -> Iterator[str]:
        if self._arguments.json:
            kept = [
                {"text": one.text, "score": one.score, "log_probability": one.log_probability, "finished": one.finished} for one in best
            ]
            yield json.dumps({self._task.read: given, f"{self._job.written}s": kept}, ensure_ascii=False)
        elif self._arguments.n_best is not None:
            yield from (f"{number}\t{one.score:.4f}\t{one.text}" for one in best)
        else:
            yield f"{given}\t{best[0].text}" if self._job.labelled and not self._job.alone else best[0].text

    def _draw(self, plot: Path, number: int, given: str, best: Written, model: Model) -> None:
        from framework.report.attended import draw_attended
        from framework.tasks.attended import Attended

        if not best.tokens:
            print(f"warning: input {number} has no word to draw", file=sys.stderr)
            return
        if best.attention is None:
            raise InputError("--plot draws what was attended to, and this model has no attention")
        path = plot if self._job.alone else plot.with_name(f"{plot.stem}-{number:04d}{plot.suffix}")
        draw_attended(path, Attended(best.tokens, self._task.looked_at(model, given, best), best.attention))
        print(f"drawn: {path}", file=sys.stderr)


class _Clock:
    """Tells on standard error how far the work has come."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._started = time.perf_counter()

    def tell(self, done: int) -> None:
        """What is done so far; rewritten in place on a terminal, and left out elsewhere."""
        if sys.stderr.isatty():
            print(f"\r{done:,} {self._unit}", end="", file=sys.stderr, flush=True)

    def finish(self, done: int) -> None:
        """All that was done."""
        seconds = time.perf_counter() - self._started
        start = "\r" if sys.stderr.isatty() else ""
        print(f"{start}{done:,} {self._unit} in {seconds:.2f} s, {done / seconds:,.0f} a second", file=sys.stderr)
