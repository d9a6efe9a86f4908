"""Say what is on photos, with a trained run: a line for each photo, in order. What is told on the way goes to standard error.

gatework caption last photo.jpg
gatework caption last photo.jpg --beam 5 --plot overlay.png      where it looked for each word
gatework caption last photos/ more.png > captions.tsv            all photos of a folder; each line begins with the photo's path

A photo that cannot be used is named and left out; the exit code is 1 then.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from framework.cli.lines import add_file_argument, given_lines
from framework.cli.writing import Job, add_writing_arguments, write_all
from framework.errors import InputError

AT_ONCE = 64
"""Photos that are captioned together."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("run", metavar="RUN", help="run folder, its name, MLflow run id, or last")
    parser.add_argument(
        "photos", nargs="*", metavar="PHOTO", help="image file or folder; standard input, a path a line, when none is given"
    )
    add_file_argument(parser)
    add_writing_arguments(parser, "caption")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    photos = _photos(given_lines(arguments.photos, arguments.file))
    alone = len(arguments.photos) == 1 and not Path(arguments.photos[0]).is_dir()
    return write_all(arguments, Job("caption", photos, "photos", AT_ONCE, alone, labelled=True, skips=True))


def _photos(paths: Iterable[str]) -> Iterator[str]:
    """Files as they are, and the images below folders."""
    for path in paths:
        if not Path(path).is_dir():
            yield path
            continue
        from framework.data.images.found import ImageFiles

        found = sorted(ImageFiles([Path(path)]).names())
        if not found:
            raise InputError(f"folder '{path}' holds no image")
        yield from (str(Path(path, name)) for name in found)
