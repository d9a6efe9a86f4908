"""Make text with a trained run. Text is written as it appears; --num N writes N texts of each prompt, all in one batch."""

from __future__ import annotations

import argparse
import sys
import time

from framework.cli.trained import add_model_arguments, open_trained, tell_precision
from framework.errors import EXIT_DONE, InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", metavar="RUN", help="run folder, its name, MLflow run id, or last")
    parser.add_argument("--prompt", action="append", metavar="TEXT", help="what the text begins with; may be given several times")
    parser.add_argument("--length", type=int, help="tokens to generate")
    parser.add_argument("--temperature", type=float, help="logits are divided by this before drawing; near 0: the most likely token")
    parser.add_argument("--top-k", type=int, help="draw among the K most likely tokens only")
    parser.add_argument("--top-p", type=float, help="draw among the most likely tokens that together reach this probability")
    parser.add_argument("--strategy", choices=("greedy", "sample"), help="greedy: always the most likely token")
    parser.add_argument("--num", type=int, default=1, metavar="N", help="texts of each prompt (%(default)s)")
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    if arguments.num < 1:
        raise InputError(f"--num is {arguments.num}; expected at least 1")
    model, task = open_trained(arguments)
    stream = getattr(task, "stream", None)
    if stream is None:
        raise InputError(f"a model of task '{model.experiment.task.kind}' makes no running text; use gatework predict {arguments.run}")
    names = ("length", "temperature", "top_k", "top_p", "strategy")
    settings = model.decoding(**{name: getattr(arguments, name) for name in names})
    prompts = [prompt for prompt in arguments.prompt or [settings.prompt or "\n"] for _ in range(arguments.num)]
    started = time.perf_counter()
    texts, tokens, shown = list(prompts), 0, 0
    for pieces in stream(model, prompts, settings, arguments.seed):
        tokens += sum(piece != "" for piece in pieces)  # a row that still reads its prompt, or has ended, gives none
        texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
        if len(texts) == 1:
            sys.stdout.write(texts[0][shown:])
            sys.stdout.flush()
            shown = len(texts[0])
    if len(texts) == 1:
        print()
    else:
        for number, text in enumerate(texts, start=1):
            print(f"--- {number}\n{text}")
    seconds = time.perf_counter() - started
    print(f"{tokens:,} tokens in {seconds:.2f} s, {tokens / seconds:,.0f} a second", file=sys.stderr)
    tell_precision(arguments, model)
    return EXIT_DONE
