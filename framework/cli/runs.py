"""List all runs: status, loss, time, size, and in what the runs of one recipe differ. Imports no backend and no MLflow.

--prune lists what may go without loss: the checkpoint before the last of finished runs, and what a kill left half written.
--prune --yes removes it.
"""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import asdict
from pathlib import Path

from framework.errors import EXIT_DONE, InputError, nearest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("recipe", nargs="?", help="only the runs of this recipe")
    parser.add_argument("--runs-dir", default="runs", metavar="DIR", help="folder of all runs (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.add_argument("--prune", action="store_true", help="list checkpoints that nothing needs any more")
    parser.add_argument("--yes", action="store_true", help="with --prune: remove them")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.cli.warning import warn
    from framework.engine.many.listing import list_runs
    from framework.report.runs import print_runs

    if arguments.yes and not arguments.prune:
        raise InputError("--yes belongs to --prune")
    _check_recipe(arguments.recipe, arguments.runs_dir)
    if arguments.prune:
        return _prune(arguments)
    rows = list_runs(arguments.runs_dir, arguments.recipe)
    for row in rows:
        if row.trouble is not None:
            warn(f"run {row.recipe}/{row.name}: {row.trouble}")
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows], indent=2, default=str))
    elif rows:
        print_runs(rows)
    else:
        print(f"no runs below {Path(arguments.runs_dir).resolve()}")
    return EXIT_DONE


def _prune(arguments: argparse.Namespace) -> int:
    from framework.engine.many.prune import find_prunable, prune
    from framework.report.runs import size

    found = find_prunable(arguments.runs_dir, arguments.recipe)
    freed = prune(found) if arguments.yes else sum(one.bytes for one in found)
    if arguments.json:
        listed = [{"path": str(one.path), "why": one.why, "bytes": one.bytes} for one in found]
        print(json.dumps({"removed": arguments.yes, "bytes": freed, "found": listed}, indent=2))
        return EXIT_DONE
    for one in found:
        print(f"{size(one.bytes):>9}  {one.path}  ({one.why})")
    if not found:
        print("nothing to prune")
    elif arguments.yes:
        print(f"removed; {size(freed)} are free again")
    else:
        print(f"would set {size(freed)} free; {_again(arguments)} --prune --yes removes them")
    return EXIT_DONE


def _again(arguments: argparse.Namespace) -> str:
    """The command that lists the same runs."""
    where = [] if arguments.runs_dir == "runs" else ["--runs-dir", arguments.runs_dir]
    return shlex.join(["gatework", "runs", *([arguments.recipe] if arguments.recipe else []), *where])


def _check_recipe(recipe: str | None, runs_dir: str) -> None:
    """A recipe without runs is most likely a typing error."""
    from framework.engine.run.folder import all_runs

    if recipe is None:
        return
    recipes = sorted({folder.recipe for folder in all_runs(runs_dir)})
    if recipe not in recipes:
        guess = nearest(recipe, recipes)
        there = f"runs there: of {', '.join(recipes)}" if recipes else "there are no runs yet"
        raise InputError(
            f"no runs of recipe '{recipe}' below {Path(runs_dir).resolve()}; {there}" + (f"; did you mean {guess}?" if guess else "")
        )
