"""Run a publication's experiment and compare: each published figure beside ours, with bounds and a verdict.

gatework reproduce recipe=text_generation
gatework reproduce recipe=text_generation backend=tensorflow --seeds 3
gatework reproduce recipe=text_generation --variant held_out
gatework reproduce recipe=text_generation --from-results       only writes the tables of the recipe's README anew

The run is an ordinary one: the same command goes on with it, and `train` with the same settings finds it. Ends with 1 where a
target is missed or was not reached. With other settings than the publication's nothing is compared.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from framework.config.compose import Composed, compose
from framework.config.recipe_files import TARGETS, find_targets, recipe_folders
from framework.errors import EXIT_DONE, EXIT_FAILED, InputError, nearest
from framework.spec.targets import Targets, Variant


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    from framework.cli.composing import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("--variant", metavar="NAME", help="which experiment of the publication; the recipe's first when not given")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="train from N seeds, and show mean and spread (%(default)s)")
    parser.add_argument("--from-results", action="store_true", help="train nothing; write the README's tables anew from its results")
    parser.add_argument(
        "--recipes-dir",
        type=Path,
        default=Path("recipes"),
        metavar="DIR",
        help="folder with NAME/targets.yaml, searched first (%(default)s)",
    )


@dataclass(frozen=True)
class Plan:
    """What a command asks for.

    Attributes:
        name: of the variant.
        variant: the experiment.
        words: overrides of its runs.
        config_dirs: folders searched before ``./configs`` and the shipped configs.
        keep: the recipe's folder, where it is the user's own.
    """

    name: str
    variant: Variant
    words: tuple[str, ...]
    config_dirs: tuple[Path, ...]
    keep: Path | None


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    if arguments.seeds < 1:
        raise InputError(f"--seeds is {arguments.seeds}; expected at least 1")
    composed = compose(arguments.overrides, arguments.config_dir)
    recipe = str(composed.mapping.get("recipe"))
    folders = recipe_folders(arguments.recipes_dir)
    folder, targets = find_targets(recipe, folders)
    own = folder.parent == arguments.recipes_dir.resolve()
    if arguments.from_results:
        return _rewrite(folder, targets, own)
    name = _chosen(targets, recipe, arguments.variant, folder)
    variant = targets.variants[name]
    words = (*variant.overrides, *arguments.overrides)
    plan = Plan(name, variant, words, tuple(arguments.config_dir), folder if own else None)
    if arguments.seeds == 1:
        return EXIT_DONE if reproduce_composed(plan, compose(list(words), arguments.config_dir))["reproduced"] else EXIT_FAILED
    return _from_seeds(plan, composed, arguments.seeds)


def reproduce_composed(plan: Plan, composed: Composed) -> dict[str, Any]:
    """Trains and judges one run; a function at the top of a module, so that it can run in another process.

    Raises:
        KeyboardInterrupt: the run was stopped by a signal; what it has measured is kept as partial.
    """
    from rich.console import Console

    from framework.cli.train import train_composed
    from framework.engine.digest import resolved
    from framework.engine.folder import RunFolder
    from framework.engine.reproduce import conclude
    from framework.spec.validate import validate_experiment

    reference_words = [f"recipe={plan.variant.recipe}", *plan.variant.overrides]
    published = compose(reference_words, list(plan.config_dirs))
    stopped = False
    try:
        trained = train_composed(composed)
        path = Path(trained["run"])
    except KeyboardInterrupt:
        stopped, path = True, _folder_of(composed)
        if not (path / "metrics.jsonl").is_file():
            raise
    reference = resolved(validate_experiment(published.mapping, published.locate))
    console = Console(soft_wrap=True, highlight=False)
    done = conclude(
        RunFolder(path), plan.name, plan.variant, reference, plan.keep, lambda text: console.print(f"warning: {text}", markup=False)
    )
    _tell(done, console)
    if stopped:
        raise KeyboardInterrupt
    return {"run": str(path), "status": "finished", "reproduced": done.reproduced}


def _folder_of(composed: Composed) -> Path:
    from framework.engine.folder import folder_for
    from framework.spec.validate import validate_experiment

    return folder_for(validate_experiment(composed.mapping, composed.locate)).path


def _from_seeds(plan: Plan, composed: Composed, count: int) -> int:
    """A run for each seed, each in a process of its own, as one multirun."""
    from rich.console import Console

    from framework.config.jobs import Job, JobOutcome
    from framework.config.launch import RunJobs, multirun, report
    from framework.engine.multirun import record_multirun
    from framework.report.progress import ConsoleReporter

    if composed.mapping.get("name"):
        raise InputError("name=… names one run, and --seeds makes several; leave it out")
    first = int(composed.mapping["seed"])
    words = [*plan.words, f"seed={','.join(str(first + number) for number in range(count))}"]

    def around(runs_dir: Path, job: Job, run_jobs: RunJobs) -> list[JobOutcome]:
        return record_multirun(runs_dir, words, job, run_jobs, ConsoleReporter(Console()).warn)

    outcomes = multirun(words, list(plan.config_dirs), partial(reproduce_composed, plan), around)
    code = report(outcomes)
    reproduced = all(isinstance(one.value, dict) and one.value["reproduced"] for one in outcomes)
    return code if code != EXIT_DONE or reproduced else EXIT_FAILED


def _rewrite(folder: Path, targets: Targets, own: bool) -> int:
    from framework.engine.recipe_page import write_page

    if not own:
        raise InputError(f"{folder} is the installed recipe; --recipes-dir names the folder of recipes to write into")
    print(f"wrote {write_page(folder, targets)}")
    return EXIT_DONE


def _chosen(targets: Targets, recipe: str, wanted: str | None, folder: Path) -> str:
    name = targets.variant(recipe, wanted)
    if name is not None:
        return name
    known = [key for key, one in targets.variants.items() if one.recipe == recipe]
    guess = nearest(str(wanted), known)
    raise InputError(
        f"recipe={recipe} has no variant '{wanted}' in {folder / TARGETS}\n    expected: one of {', '.join(known)}"
        + (f"\n    did you mean: {guess}" if guess else "")
    )


def _tell(done: Any, console: Any) -> None:
    from framework.report.figures import figure
    from framework.report.verdicts import bounds, published, tally

    if done.result.deviations:
        changed = ", ".join(f"{key}={value}" for key, value in done.result.deviations.items())
        console.print(f"nothing is compared: this run has other settings than the publication ({changed})", markup=False)
    else:
        for one in done.found:
            ours = "" if one.measured is None else figure(one.measured)
            told = published(one.target) or "nothing"
            console.print(f"{one.target.title}: {ours or '-'}, {one.status} (published {told}; {bounds(one.target)} counts)", markup=False)
        console.print(f"{tally(done.found)}{'' if done.result.complete else '; the run is partial'}", markup=False)
    console.print(f"report: {done.run / 'report.md'}", markup=False)
    if done.kept is not None:
        console.print(f"kept as {done.kept}", markup=False)
    if done.why_not is not None:
        console.print(f"not in the recipe's results: {done.why_not}" if done.kept is None else f"warning: {done.why_not}", markup=False)
