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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from framework.config.compose import Composed, compose
from framework.config.recipe_files import OWN, TARGETS, find_targets, recipe_folders, shipped_recipes
from framework.errors import EXIT_DONE, EXIT_FAILED, InputError, nearest
from framework.secrets import conceal
from framework.spec.targets import Targets, Variant


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    from framework.cli.composing import add_config_arguments

    add_config_arguments(parser)
    parser.add_argument("--variant", metavar="NAME", help="which experiment of the publication; the recipe's first when not given")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="train from N seeds, and show mean and spread (%(default)s)")
    parser.add_argument("--from-results", action="store_true", help="train nothing; write the README's tables anew from its results")
    parser.add_argument("--recipes-dir", type=Path, metavar="DIR", help="folder with NAME/targets.yaml, searched first (./recipes)")


@dataclass(frozen=True)
class Plan:
    """What a command asks for.

    Attributes:
        name: of the variant.
        variant: the experiment.
        words: overrides of its runs.
        reference: resolved config of the variant itself.
        keep: the recipe's folder, where it is the user's own.
    """

    name: str
    variant: Variant
    words: tuple[str, ...]
    reference: Mapping[str, Any]
    keep: Path | None


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    if arguments.seeds < 1:
        raise InputError(f"--seeds is {arguments.seeds}; expected at least 1")
    recipe = str(compose(arguments.overrides, arguments.config_dir).mapping.get("recipe"))
    folders = recipe_folders(arguments.recipes_dir)
    folder, targets = find_targets(recipe, folders)
    own = folder.parent == (arguments.recipes_dir or OWN).resolve()
    if arguments.from_results:
        return _rewrite(folder, targets, own)
    name = _chosen(targets, recipe, arguments.variant, folder)
    variant = targets.variants[name]
    reference = _published(variant, folder, arguments.config_dir)
    plan = Plan(name, variant, (*variant.overrides, *arguments.overrides), reference, folder if own else None)
    if arguments.seeds > 1:
        return _from_seeds(plan, arguments.config_dir, arguments.seeds)
    done = reproduce_composed(plan, compose(list(plan.words), arguments.config_dir))
    return EXIT_DONE if done["reproduced"] else EXIT_FAILED


def reproduce_composed(plan: Plan, composed: Composed) -> dict[str, Any]:
    """Trains and judges one run; a function at the top of a module, so that it can run in another process.

    Raises:
        RunStopped: the run was stopped by a signal; what it has measured is kept as partial.
    """
    from framework.cli.train import RunStopped, train_composed

    try:
        trained = train_composed(composed)
    except RunStopped as stopped:
        _conclude(plan, stopped.run)
        raise
    done = _conclude(plan, Path(trained["run"]))
    reproduced = all(one.status == "met" for one in done.found) and (done.result.complete or not done.found)
    return {**trained, "reproduced": reproduced}


def _conclude(plan: Plan, run: Path) -> Any:
    from rich.console import Console

    from framework.engine.compare.reproduce import conclude
    from framework.engine.run.folder import RunFolder

    console = Console(soft_wrap=True, highlight=False, markup=False)
    done = conclude(RunFolder(run), plan.name, plan.variant, plan.reference, plan.keep, lambda text: console.print(f"warning: {text}"))
    for line in _told(done):
        console.print(line)
    return done


def _published(variant: Variant, folder: Path, config_dirs: Sequence[Path]) -> dict[str, Any]:
    """The variant's own resolved config; of a shipped recipe from the shipped configs alone, whatever the user's folders hide."""
    from framework.engine.run.digest import resolved

    shipped = folder.parent == shipped_recipes()
    words = [f"recipe={variant.recipe}", *variant.overrides]
    composed = compose(words, [] if shipped else list(config_dirs), own=not shipped)
    published: dict[str, Any] = conceal(resolved(composed.experiment()))
    return published


def _from_seeds(plan: Plan, config_dirs: list[Path], count: int) -> int:
    """A run for each seed, each in a process of its own, as one multirun; then mean and spread."""
    from rich.console import Console

    from framework.config.jobs import Job, JobOutcome
    from framework.config.launch import RunJobs, multirun, report
    from framework.engine.many.multirun import record_multirun
    from framework.report.progress import ConsoleReporter

    composed = compose(list(plan.words), config_dirs)
    experiment = composed.experiment()
    if experiment.name:
        raise InputError("name=… names one run, and --seeds makes several; leave it out")
    seeds = ",".join(str(experiment.seed + number) for number in range(count))
    words = [*(word for word in plan.words if not word.startswith("seed=")), f"seed={seeds}"]

    def around(runs_dir: Path, job: Job, run_jobs: RunJobs) -> list[JobOutcome]:
        return record_multirun(runs_dir, words, job, run_jobs, ConsoleReporter(Console()).warn, partial(_means, plan))

    outcomes = multirun(words, config_dirs, partial(reproduce_composed, replace(plan, words=())), around)
    code = report(outcomes)
    for line in _means(plan, outcomes):
        print(line)
    reproduced = _reproduced_on_average(plan, outcomes) and len(_results(outcomes)) == count
    return code if code != EXIT_DONE or reproduced else EXIT_FAILED


def _results(outcomes: Sequence[Any]) -> list[Any]:
    """What the runs of a multirun measured; jobs that failed have measured nothing."""
    from framework.engine.compare.results import read_result
    from framework.tracking.outbox import REPRODUCTION

    return [read_result(Path(one.value["run"]) / REPRODUCTION) for one in outcomes if isinstance(one.value, dict)]


def _means(plan: Plan, outcomes: Sequence[Any]) -> list[str]:
    """Mean and spread over the seeds as a table; nothing where nothing is compared."""
    from framework.report.verdicts import mean_table

    results = _results(outcomes)
    return mean_table(plan.variant, results) if results and not any(one.deviations for one in results) else []


def _reproduced_on_average(plan: Plan, outcomes: Sequence[Any]) -> bool:
    from framework.report.verdicts import mean_verdict

    results = _results(outcomes)
    if any(one.deviations for one in results):
        return True
    met = all(mean_verdict(target, results).status == "met" for target in plan.variant.targets)
    return met and all(one.complete for one in results)


def _rewrite(folder: Path, targets: Targets, own: bool) -> int:
    from framework.engine.compare.recipe_page import write_page

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


def _told(done: Any) -> list[str]:
    """What a person is told of one run."""
    from framework.report.figures import figure
    from framework.report.verdicts import bounds, published, tally

    lines = []
    if done.result.deviations:
        changed = ", ".join(f"{key}={value}" for key, value in done.result.deviations.items())
        lines.append(f"nothing is compared: this run has other settings than the publication ({changed})")
    else:
        for one in done.found:
            ours = "-" if one.measured is None else figure(one.measured)
            lines.append(f"{one.target.title}: {ours}, {one.status} (published {published(one.target)}; {bounds(one.target)} counts)")
        lines.append(tally(done.found, done.result.complete))
    lines.append(f"report: {done.run / 'report.md'}")
    if done.kept is not None:
        lines.append(f"kept as {done.kept}")
    if done.why_not is not None:
        lines.append(f"not in the recipe's results: {done.why_not}" if done.kept is None else f"warning: {done.why_not}")
    return lines
