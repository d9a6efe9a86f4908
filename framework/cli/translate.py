"""Translate with a trained run: a line out for each line in, in order. What is told on the way goes to standard error.

gatework translate last "hace mucho frio aqui."
gatework translate last --beam 5 < sentences.txt > translations.txt
gatework translate last "esta es mi vida." --plot attention.png      what each word of the translation attended to
"""

from __future__ import annotations

import argparse

from framework.cli.lines import add_file_argument, given_lines
from framework.cli.writing import Job, add_writing_arguments, write_all

AT_ONCE = 1024
"""Lines that are read and translated together; more are of more like lengths, and fewer are sooner written."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", metavar="RUN", help="run folder, its name, MLflow run id, or last")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="text to translate; standard input, a text a line, when none is given")
    add_file_argument(parser)
    parser.add_argument("--replace-unknown", action="store_true", default=None, help="copy unknown words from the text")
    add_writing_arguments(parser, "translation")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    texts = given_lines(arguments.texts, arguments.file)
    return write_all(arguments, Job("translation", texts, "texts", AT_ONCE, alone=len(arguments.texts) == 1))
