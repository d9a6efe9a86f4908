"""Print what makes a shell complete the words of gatework: commands, options, recipes, choices, keys, and your runs.

bash: eval "$(gatework completion bash)" in ~/.bashrc; zsh: the same with zsh in ~/.zshrc, behind compinit.
fish: gatework completion fish | source, in ~/.config/fish/config.fish
"""

from __future__ import annotations

import argparse
import shlex

from framework.console import typed_command
from framework.errors import EXIT_DONE, InputError

# bash takes "recipe=first" for three words: what is offered is then the part behind the sign.
_BASH = """\
_gatework() {{
    local IFS=$'\\n'
    COMPREPLY=($({command} completion --line "${{COMP_LINE:0:COMP_POINT}}" --last-part 2>/dev/null))
    [[ ${{#COMPREPLY[@]}} != 1 || ${{COMPREPLY[0]}} != *[.=/] ]] || compopt -o nospace 2>/dev/null
}}
complete -o default -F _gatework {names}
"""

_ZSH = """\
_gatework() {{
    local -a found
    found=(${{(f)"$({command} completion --line "$LBUFFER" 2>/dev/null)"}})
    compadd -S '' -- $found || _files
}}
compdef _gatework {names}
"""

_FISH = """\
complete -c gatework -f -a '({command} completion --line (commandline -cp) 2>/dev/null)'
"""

SHELLS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("shell", nargs="?", choices=tuple(SHELLS), help="the shell that is to complete")
    parser.add_argument("--line", metavar="TEXT", help="what the shell asks: print how the last word of this line may go on")
    parser.add_argument("--last-part", action="store_true", help="with --line: only what follows the last = of a word")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    if arguments.line is not None:
        for word in offered(arguments.line, arguments.last_part):
            print(word)
        return EXIT_DONE
    if arguments.shell is None:
        raise InputError(f"completion needs a shell; expected one of {', '.join(SHELLS)}")
    command = typed_command()
    names = " ".join(dict.fromkeys(["gatework", command]))
    print(SHELLS[arguments.shell].format(command=command, names=names), end="")
    return EXIT_DONE


def offered(line: str, last_part: bool = False) -> list[str]:
    """How the last word of a command line may go on.

    Args:
        line: as far as it is typed, with the command's name.
        last_part: leave out of each word what stands before its last ``=`` in the line.
    """
    from framework.cli.candidates import candidates

    words = _split(line)[1:]
    found = candidates(words or [""])
    typed = (words or [""])[-1]
    begins = typed.rpartition("=")[0]
    return [word.removeprefix(f"{begins}=") for word in found] if last_part and begins else found


def _split(line: str) -> list[str]:
    """A line's words, the last one empty where the line ends with a blank; a quote may still be open."""
    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return [*words, ""] if not line or line[-1].isspace() else words
    return line.split()
