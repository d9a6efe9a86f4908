"""Translate with a trained run: a line out for each line in, in order. What is told on the way goes to standard error.

gatework translate last "hace mucho frio aqui."
gatework translate last --beam 5 < sentences.txt > translations.txt
gatework translate last "esta es mi vida." --plot attention.png      what each word of the translation attended to
"""

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

from framework.cli.lines import add_file_argument, given_lines
from framework.cli.trained import add_model_arguments, open_trained
from framework.errors import EXIT_DONE, InputError

if TYPE_CHECKING:
    from framework.tasks.translating import Translation

AT_ONCE = 1024
"""Lines that are read and translated together; more are of more like lengths, and fewer are sooner written."""

_SETTINGS = (
    "strategy", "beam_width", "length_penalty", "coverage_penalty", "n_best", "max_length", "replace_unknown", "temperature", "top_k",
    "top_p",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", metavar="RUN", help="run folder, its name, MLflow run id, or last")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="text to translate; standard input, a text a line, when none is given")
    add_file_argument(parser)
    parser.add_argument("--beam", type=int, dest="beam_width", metavar="N", help="follow the N best translations side by side")
    parser.add_argument("--strategy", choices=("greedy", "sample", "beam"), help="how words are chosen; the run's own when not given")
    parser.add_argument("--length-penalty", type=float, metavar="ALPHA", help="0 favours short translations, 1 nearly compares means")
    parser.add_argument("--coverage-penalty", type=float, metavar="BETA", help="above 0: against leaving parts of a text out")
    parser.add_argument("--n-best", type=int, metavar="N", help="print the N best, with the line's number and a score, tabs between")
    parser.add_argument("--max-length", type=int, metavar="N", help="tokens of a translation at most")
    parser.add_argument("--replace-unknown", action="store_true", default=None, help="copy unknown words from the text")
    parser.add_argument("--temperature", type=float, help="with --strategy sample: scores are divided by this before drawing")
    parser.add_argument("--top-k", type=int, help="likewise: draw among the K most likely words only")
    parser.add_argument("--top-p", type=float, help="likewise: draw among the most likely words that together reach this probability")
    parser.add_argument("--plot", metavar="PNG", help="draw what was attended to; of several texts into files with numbers")
    add_model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object a line, with scores")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    texts = given_lines(arguments.texts, arguments.file)
    model, task = open_trained(arguments)
    translate = getattr(task, "translate", None)
    if translate is None:
        raise InputError(f"a model of task '{model.experiment.task.kind}' translates nothing; use gatework predict {arguments.run}")
    settings = task.decoding(model, {name: getattr(arguments, name) for name in _SETTINGS})  # type: ignore[attr-defined]
    plot = None if arguments.plot is None else _Plot(Path(arguments.plot), numbered=len(arguments.texts) != 1)
    clock = _Clock()
    done = 0
    for chunk in _chunks(texts):
        found = translate(model, chunk, settings, arguments.seed, watch=plot is not None)
        for number, (text, best) in enumerate(zip(chunk, found, strict=True), start=done + 1):
            for line in _shown(number, text, best, arguments):
                print(line)
            if plot is not None:
                plot.draw(number, best[0])
        sys.stdout.flush()
        done += len(chunk)
        clock.tell(done)
    clock.finish(done)
    return EXIT_DONE


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    left = iter(texts)
    while chunk := list(islice(left, AT_ONCE)):
        yield chunk


def _shown(number: int, text: str, best: Sequence[Translation], arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.json:
        kept = [{"text": one.text, "score": one.score, "log_probability": one.log_probability, "finished": one.finished} for one in best]
        yield json.dumps({"source": text, "translations": kept}, ensure_ascii=False)
    elif arguments.n_best is not None:
        yield from (f"{number}\t{one.score:.4f}\t{one.text}" for one in best)
    else:
        yield best[0].text


@dataclass(frozen=True)
class _Plot:
    """Where pictures go.

    Attributes:
        path: of the picture.
        numbered: whether each text has one of its own.
    """

    path: Path
    numbered: bool

    def draw(self, number: int, translation: Translation) -> None:
        from framework.report.attention_map import draw_attention

        if not translation.tokens:
            print(f"warning: text {number} has no word to draw", file=sys.stderr)
            return
        if translation.attention is None:
            raise InputError("--plot draws what was attended to, and this model has no attention")
        path = self.path.with_name(f"{self.path.stem}-{number:04d}{self.path.suffix}") if self.numbered else self.path
        draw_attention(path, translation.attention, translation.tokens, translation.source_tokens)
        print(f"drawn: {path}", file=sys.stderr)


class _Clock:
    """Tells on standard error how far the work has come."""

    def __init__(self) -> None:
        self._started = time.perf_counter()

    def tell(self, done: int) -> None:
        """What is done so far; rewritten in place on a terminal, and left out elsewhere."""
        if sys.stderr.isatty():
            print(f"\r{done:,} texts", end="", file=sys.stderr, flush=True)

    def finish(self, done: int) -> None:
        """All that was done."""
        seconds = time.perf_counter() - self._started
        start = "\r" if sys.stderr.isatty() else ""
        print(f"{start}{done:,} texts in {seconds:.2f} s, {done / seconds:,.0f} a second", file=sys.stderr)
