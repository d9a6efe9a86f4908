"""One run, or with ``-m`` a run for each combination of values, through Hydra's launchers and sweepers."""

from __future__ import annotations

import argparse
import io
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from framework.config.compose import compose
from framework.config.composition_errors import reworded
from framework.config.hydra_section import check_hydra
from framework.config.interpolation import resolved
from framework.config.interpolation_limit import limited_interpolations
from framework.config.jobs import Job, JobOutcome, JobRunner, key_of
from framework.config.layers import provenance_of
from framework.config.location import PRIMARY, SearchPath
from framework.config.overrides import Given, OverrideReader, for_hydra, with_nothing_chosen
from framework.config.plugins import run_sweep
from framework.config.provenance import Provenance
from framework.config.secret_overrides import by_environment
from framework.config.secret_values import hide_secrets, note_secrets
from framework.config.session import hydra_session
from framework.config.sweeper import OpenSearch, searching
from framework.errors import EXIT_DONE, EXIT_FAILED, EXIT_USER_INPUT, InputError, SpecError, nearest
from framework.files import expanded
from framework.secrets import concealed

_MOST_JOBS = 10_000
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")

RunJobs = Callable[[Job, OpenSearch | None], list[JobOutcome]]
"""Runs a job for each config; with what a search is opened with, where the sweeper searches."""

Around = Callable[[Path, Job, RunJobs], list[JobOutcome]]
"""What is done around a multirun: called with the folder of all runs, the job, and the function that runs the jobs."""


def add_launch_arguments(parser: argparse.ArgumentParser) -> None:
    """The overrides, and Hydra's options that Gatework passes on."""
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="recipe=NAME, group choices, and values of any key")
    parser.add_argument("--config-dir", action="append", default=[], type=Path, metavar="DIR", help="folder of configs, before ./configs")
    parser.add_argument("-m", "--multirun", action="store_true", help="a run for each of the values a key has: key=a,b")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"), help="print the composed config instead of running")
    parser.add_argument("--resolve", action="store_true", help="with --cfg: replace interpolations by their values")
    parser.add_argument("-p", "--package", help="with --cfg: print only this part, such as model.layers")
    parser.add_argument("--info", nargs="?", const="all", choices=_INFO, help="print what Hydra knows instead of running")


def launch(arguments: argparse.Namespace, job: Job, around: Around | None = None) -> int:
    """Does what the arguments of :func:`add_launch_arguments` ask for: shows the config, runs the job, or runs it many times.

    Args:
        arguments: the parsed command line.
        job: called with each run's config; what it returns must be picklable.
        around: what is done around a multirun.

    Returns:
        0 when done; after a multirun 1 when a job failed, or 2 when every failure was the input's fault.

    Raises:
        GateworkError: the single run failed, or the command line is wrong.
    """
    if arguments.cfg or arguments.info:
        _show(arguments)
        return EXIT_DONE
    if arguments.resolve or arguments.package:
        raise InputError("--resolve and --package belong to --cfg")
    # A sweep is chosen to run many times; its own overrides may have several values, which compose refuses.
    if not arguments.multirun and not any(word.startswith(("hydra.mode=", "sweep=")) for word in arguments.overrides):
        composed = compose(arguments.overrides, arguments.config_dir)
        if not composed.multirun:
            job(composed)
            return EXIT_DONE
    outcomes = multirun(arguments.overrides, arguments.config_dir, job, around)
    return report(outcomes)


def multirun(overrides: Sequence[str], config_dirs: Sequence[Path], job: Job, around: Around | None = None) -> list[JobOutcome]:
    """Runs a job for each combination of the values that the overrides (or ``hydra.sweeper.params``) give.

    A job that fails does not keep the others from running.

    Args:
        overrides: as for :func:`~framework.config.compose.compose`, with ``key=a,b`` and Hydra's other sweeps.
        config_dirs: folders searched before ``./configs`` and the shipped configs.
        job: called with each run's config, perhaps in another process; what it returns must be picklable.
        around: called in place of the jobs, to run them.

    Raises:
        SpecError: the overrides are wrong, or some combination cannot be composed; then no job has run.
    """
    with by_environment(overrides) as words:
        return _multirun(words, config_dirs, job, around)


def _multirun(overrides: Sequence[str], config_dirs: Sequence[Path], job: Job, around: Around | None) -> list[JobOutcome]:
    search = SearchPath.of(config_dirs)
    given = OverrideReader(search, multirun=True).read(overrides)
    swept = {key_of(one.for_hydra): one.sweeps for one in given}  # of a key given twice, the last word counts
    written = {key_of(one.for_hydra): one.text for one in given if not swept[key_of(one.for_hydra)]}
    with (
        hydra_session(search) as hydra,
        reworded(search, given),
        tempfile.TemporaryDirectory(prefix="gatework-", ignore_cleanup_errors=True) as folder,
    ):
        params = _checked(hydra, given, search, RunMode.MULTIRUN).hydra.sweeper
        if str(params._target_).endswith(".BasicSweeper"):
            _check_count([*given, *_params(params, search)])
        words = [*for_hydra(given), "hydra.mode=MULTIRUN", f"hydra.sweep.dir={_quoted(folder)}", "hydra.sweep.subdir=."]
        config = hydra.compose_config(PRIMARY, words, run_mode=RunMode.MULTIRUN, with_log_configuration=False)
        note_secrets(config)
        runs_dir = expanded(str(OmegaConf.select(config, "paths.runs_dir"))).resolve()
        if "submitit_folder" in (config.hydra.launcher or {}):
            # Its logs must outlive this call and be seen by every machine.
            words.append(f"hydra.launcher.submitit_folder={_quoted(str(runs_dir / '.submitit' / '%j'))}")

        def run_jobs(job: Job, open_search: OpenSearch | None = None) -> list[JobOutcome]:
            with searching(open_search, OverrideReader(search, multirun=True)):
                config = hydra.compose_config(PRIMARY, words, run_mode=RunMode.MULTIRUN, with_log_configuration=False)
                hide_secrets(config)  # launchers write it to files; each job composes its own anew
                returned = run_sweep(hydra, config, JobRunner(job, search.own, written), partial(with_nothing_chosen, search=search))
            return sorted(_outcomes(returned), key=lambda outcome: outcome.number)

        return run_jobs(job) if around is None else around(runs_dir, job, run_jobs)


def report(outcomes: Sequence[JobOutcome]) -> int:
    """Tells on stderr which jobs of a multirun failed and why, and returns the exit code of the whole."""
    failed = [outcome for outcome in outcomes if outcome.message is not None]
    if not failed:
        return EXIT_DONE
    reasons: dict[str, list[JobOutcome]] = {}
    for outcome in failed:
        reasons.setdefault(outcome.message or "", []).append(outcome)
    print(f"{len(failed)} of {len(outcomes)} jobs failed", file=sys.stderr)
    for message, group in reasons.items():
        for outcome in group:
            print(f"job {outcome.number}: {concealed(' '.join(outcome.swept))}", file=sys.stderr)
        print("\n".join(f"    {line}" for line in message.splitlines()), file=sys.stderr)
    return EXIT_USER_INPUT if all(outcome.exit_code == EXIT_USER_INPUT for outcome in failed) else EXIT_FAILED


def _show(arguments: argparse.Namespace) -> None:
    search = SearchPath.of(arguments.config_dir)
    given = OverrideReader(search).read(arguments.overrides)
    shown = io.StringIO()
    with hydra_session(search) as hydra, reworded(search, given), limited_interpolations(), redirect_stdout(shown):
        config = _checked(hydra, given, search, RunMode.RUN)
        if arguments.info:
            hydra.show_info(arguments.info, PRIMARY, for_hydra(given))
        else:
            _check_package(arguments.package, config)
            if arguments.resolve:
                _check_resolvable(config, provenance_of(hydra.config_loader, given, search))
            note_secrets(config)
            hydra.show_cfg(PRIMARY, for_hydra(given), arguments.cfg, arguments.package, arguments.resolve)
    sys.stdout.write(concealed(shown.getvalue()))


def _checked(hydra: Any, given: Sequence[Given], search: SearchPath, mode: RunMode) -> DictConfig:
    """The config of the user's own words, once it is known to ask nothing of Hydra that is not offered."""
    with limited_interpolations():
        config: DictConfig = hydra.compose_config(PRIMARY, for_hydra(given), run_mode=mode, with_log_configuration=False)
        check_hydra(config, lambda: provenance_of(hydra.config_loader, given, search))
    return config


def _params(sweeper: DictConfig, search: SearchPath) -> list[Given]:
    """What the config itself sweeps over."""
    return OverrideReader(search, multirun=True).read(f"{key}={value}" for key, value in (sweeper.get("params") or {}).items())


def _check_count(given: Sequence[Given]) -> None:
    """A slip in a range should not fill the memory with jobs."""
    last = {one.key: one.count for one in given}
    if (jobs := math.prod(last.values())) > _MOST_JOBS:
        swept = ", ".join(f"{key} has {count:,} values" for key, count in last.items() if count > 1)
        raise InputError(f"the multirun would have {jobs:,} jobs: {swept}; expected {_MOST_JOBS:,} at most, or sweep=optuna to search")


def _check_resolvable(config: DictConfig, provenance: Provenance) -> None:
    _, problems = resolved(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), provenance.locate)
    if problems:
        raise SpecError(problems)


def _check_package(package: str | None, config: DictConfig) -> None:
    if package in (None, "_global_") or OmegaConf.select(config, package) is not None:
        return
    parent = OmegaConf.select(config, package.rpartition(".")[0]) if "." in package else config
    guess = nearest(package.rpartition(".")[2], map(str, parent)) if isinstance(parent, DictConfig) else None
    raise InputError(f"the config has no part '{package}'" + (f"; did you mean {guess}?" if guess else ""))


def _outcomes(returned: Any) -> Iterator[JobOutcome]:
    """What the jobs returned, out of a sweeper's nested lists."""
    if isinstance(returned, (list, tuple)):
        for part in returned:
            yield from _outcomes(part)
    elif isinstance(getattr(returned, "return_value", None), JobOutcome):
        yield returned.return_value


def _quoted(text: str) -> str:
    return QuotedString(text, Quote.single).with_quotes()
