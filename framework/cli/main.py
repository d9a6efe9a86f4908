"""The command ``gatework``: finds the verb, runs it, turns errors into one message and an exit code."""

from __future__ import annotations

import argparse
import errno
import gc
import importlib
import os
import re
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NoReturn

from framework.console import ReaderGone, open_missing_streams, showing, typed_command
from framework.errors import EXIT_DONE, EXIT_FAILED, EXIT_USER_INPUT, GateworkError, InputError, nearest
from framework.secrets import concealed

VERBS = {
    "train": "train a model, or go on with its run; -m sweeps",
    "generate": "make text with a trained model",
    "translate": "translate sentences with a trained model",
    "caption": "say what is on photos with a trained model",
    "predict": "predict with a trained model of any task",
    "features": "compute what a model sees of a data set's images",
    "evaluate": "measure a trained model's loss on its held-out (or training) data",
    "convert": "make a run of the other backend from a trained run, or write its weights to a file",
    "export": "write a trained model in a format that is used without Gatework: ONNX, safetensors, …",
    "import": "make a run of a model that was trained elsewhere, from a file of Keras or torch",
    "serve": "answer over HTTP with a trained model",
    "runs": "list all runs with status, loss, time and size; --prune frees disk space",
    "compare": "show how runs differ: settings, final figures, curves over one another",
    "sync": "deliver to MLflow what could not be delivered while a run trained",
    "explain": "show a model's layers, shapes, parameters, costs and cuDNN verdicts",
    "reproduce": "run a publication's experiment and compare each published figure with ours",
    "parity": "show that both backends compute the same from one YAML",
    "check": "check a config and report every problem at once",
    "why": "tell which file and line, or override, set a value",
    "new": "write an own recipe, model and data YAML",
    "completion": "print what makes a shell complete these commands",
    "schema": "write a JSON Schema of the YAML for editors",
}
"""Each verb with its one line of help; ``framework.cli.<verb>`` holds it, or the module in :data:`_MODULES`."""

_MODULES = {"import": "import_model"}
"""Where a verb is no name for a module."""

_WORK = ("train", "features", "reproduce")
"""Verbs whose output only shows how the work comes along, which goes on whatever becomes of it."""

_ANSWERS = frozenset({"-c", "--cfg", "--info", "-h", "--help"})
"""With these, what they print is what was asked for."""

EXIT_INTERRUPTED = 130

_WRONG_PLACES = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}
)
"""What the system says of a path that the user should have chosen otherwise; the rest, such as a full disk, is a failure."""

_COLLECT_AFTER = 50_000
"""New objects before Python looks for unreachable ones. At the usual 700 it does so four hundred times while the imports of a
start make objects that all stay: a tenth of the time of ``check``."""


def command() -> int:
    """The process ``gatework``: :func:`main` with Python's garbage collector told that start-up leaves none.

    Returns:
        The exit code.
    """
    gc.set_threshold(_COLLECT_AFTER)
    open_missing_streams()
    sys.excepthook = _tell_fault
    code = main()
    gc.freeze()  # or the interpreter's end walks over every object once more: another tenth
    return code


def _tell_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python's own words of an error that nobody expected, without passwords that a library quotes."""
    import traceback

    print(concealed("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)


_LESS_MEMORY = "a smaller data.batch_size or data.sequence_length, fewer units, or less text"

_EPILOG = """\
exit codes: 0 done, 1 failed, 2 the input is wrong, 130 interrupted
a recipe: gatework train recipe=text_generation   own model: gatework new mine --from text_generation
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: the words after the command's name; those of the process when not given.

    Returns:
        The exit code: 0 done, 1 failed, 2 the input is wrong, 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    with showing(display=bool(words) and words[0] in _WORK and not _ANSWERS.intersection(words)):
        try:
            code = _run(words)
            sys.stdout.flush()
            return code
        except GateworkError as error:
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
        except MemoryError as error:
            print(f"error: memory does not suffice: {error}\n    hint: {_LESS_MEMORY}", file=sys.stderr)
            return EXIT_FAILED
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return EXIT_INTERRUPTED
        except ReaderGone:
            return EXIT_DONE
        except OSError as error:
            place = f": {concealed(str(error.filename))}" if error.filename else ""
            print(f"error: {error.strerror or error}{place}", file=sys.stderr)
            return EXIT_USER_INPUT if error.errno in _WRONG_PLACES else EXIT_FAILED


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        _parser().print_help()
        return EXIT_DONE
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"gatework {version('gatework')}")
        return EXIT_DONE
    verb = words[0]
    if verb not in VERBS:
        guess = nearest(verb, VERBS)
        hint = f"; did you mean {guess}?" if guess else ""
        print(f"error: no command '{concealed(verb)}'; one of {', '.join(VERBS)}{hint}", file=sys.stderr)
        return EXIT_USER_INPUT
    _check_folder()
    parser = parser_of(verb)
    arguments = parser.parse_intermixed_args(parser.joined(words[1:]))
    code: int = _module(verb).run(arguments)
    return code


def parser_of(verb: str) -> _VerbParser:
    """What reads the words behind a verb."""
    module = _module(verb)
    parser = _VerbParser(
        prog=f"{typed_command()} {verb}",
        description=_as_typed(module.__doc__ or ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    for action in parser._actions:
        if action.nargs == argparse.ZERO_OR_MORE:
            action.required = False  # or argparse names it among what is missing, beside what is
    return parser


def _as_typed(text: str) -> str:
    """A text whose commands are written as they are typed here."""
    return re.sub(rf"\bgatework (?=({'|'.join(VERBS)})\b)", lambda _: f"{typed_command()} ", text)


def _module(verb: str) -> Any:
    return importlib.import_module(f"framework.cli.{_MODULES.get(verb, verb)}")


def _check_folder() -> None:
    try:
        os.getcwd()
    except OSError as error:
        raise InputError(f"the working folder cannot be used: {error.strerror}; change to another one") from error


class _VerbParser(argparse.ArgumentParser):
    """Names the nearest option where one is not known, and takes a value that begins with a dash for what it is."""

    def joined(self, words: Sequence[str]) -> list[str]:
        """The words, an option and a value that begins with a dash made one (``--prompt=-the``), since no option is called so."""
        takes = {option for action in self._actions if action.nargs is None and action.option_strings for option in action.option_strings}
        known = {option for action in self._actions for option in action.option_strings}
        found: list[str] = []
        for word in words:
            if found and found[-1] in takes and word.startswith("-") and word.partition("=")[0] not in known:
                found[-1] = f"{found[-1]}={word}"
            else:
                found.append(word)
        return found

    def error(self, message: str) -> NoReturn:
        """Ends the process with one message."""
        options = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        unknown = [word.partition("=")[0] for word in message.split() if word.startswith("--")] if "unrecognized" in message else []
        guesses = [f"did you mean {guess}?" for word in unknown if (guess := nearest(word, options))]
        print(f"error: {concealed('; '.join([message, *guesses]))}\n    hint: {self.prog} --help shows what it takes", file=sys.stderr)
        raise SystemExit(EXIT_USER_INPUT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=typed_command(),
        description="Sequence models around the GRU from YAML, on TensorFlow and on PyTorch Lightning.",
        epilog=_as_typed(_EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage=f"{typed_command()} COMMAND [options] [key=value …]",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for verb, line in VERBS.items():
        commands.add_parser(verb, help=line)
    return parser
