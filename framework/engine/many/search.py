"""Searches for good settings with Optuna: resumable trials in the multirun's folder, and pruning from inside the jobs."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from framework.config.jobs import JobOutcome
from framework.config.search_space import Dimension
from framework.config.sweeper import Trial
from framework.engine.run.files import drop_cut_line, read_json, write_json
from framework.engine.run.folder import RunFolder
from framework.engine.run.monitor import Prune
from framework.engine.run.recorder import read_records
from framework.errors import InputError, RunError
from framework.file_lock import FileLock
from framework.report.search import SearchTrial, plot_search
from framework.spec.problems import ProblemCollector
from framework.spec.search import SearchSpec

JOURNAL = "study.journal"
SETTINGS = "search.json"
_JOURNAL_LOCK = ".journal.lock"


class OptunaSearch:
    """Implements :class:`~framework.config.sweeper.Search` over an Optuna study in a file that a kill at any moment leaves whole.

    A trial that was running when the search was killed is run again under its number: its run goes on from its checkpoint. What is
    suggested depends on the seed, the trial's number and the trials before, not on how often the search was interrupted.

    Args:
        folder: of the multirun.
        spec: settings.
        space: what is chosen from.

    Raises:
        InputError: Optuna is not installed.
        RunError: the folder has a search over another space, or by another metric.
    """

    def __init__(self, folder: Path, spec: SearchSpec, space: Sequence[Dimension]) -> None:
        self.folder, self.spec, self.space = folder, spec, list(space)
        _check_settings(folder, spec, self.space)
        drop_cut_line(folder / JOURNAL)  # what it noted is found again in the run's own folder
        self._study = _open_study(folder, spec.direction)
        optuna = _optuna()
        self._distributions = {one.name: _distribution(optuna, one) for one in self.space}
        running = optuna.trial.TrialState.RUNNING
        self._interrupted = [trial for trial in self._study.trials if trial.state == running]

    def ask(self, room: int) -> list[Trial]:
        """The next trials: those that were interrupted first, then new ones up to ``n_trials`` in all, or to the end of a grid."""
        again = [self._trial(one.number, one.params) for one in self._interrupted[:room]]
        del self._interrupted[:room]
        begun = len(self._study.trials)
        return again + [self._new(number) for number in range(begun, min(begun + room - len(again), self._most))]

    def tell(self, outcome: JobOutcome) -> None:
        """Notes what a trial gave: its best value, that it was pruned, or that it failed."""
        optuna = _optuna()
        # What chose a trial has no say once it is done: that of a grid would stop a loop of Optuna's own, which there is none of.
        self._study.sampler = optuna.samplers.RandomSampler()
        states = optuna.trial.TrialState
        found = outcome.value if isinstance(outcome.value, dict) else {}
        trial_id = self._study.trials[outcome.number]._trial_id
        if "run" in found:
            self._study._storage.set_trial_user_attr(trial_id, "run", found["run"])
        if outcome.message is not None:
            self._study._storage.set_trial_user_attr(trial_id, "error", outcome.message)
        value = None if outcome.message is not None else best_value(Path(found["run"]), self.spec)
        if value is None:
            self._study.tell(outcome.number, state=states.FAIL)
        elif found["status"] == "pruned":
            self._study.tell(outcome.number, state=states.PRUNED)
        else:
            self._study.tell(outcome.number, value)

    def trials(self) -> list[SearchTrial]:
        """All trials so far."""
        found = []
        for trial in self._study.trials:
            shown = {one.name: _shown(trial.params[one.name]) for one in self.space if one.name in trial.params}
            run, error = trial.user_attrs.get("run"), trial.user_attrs.get("error")
            state = trial.state.name.lower()
            value = trial.value if state == "complete" else None
            found.append(SearchTrial(trial.number, shown, state, value, len(trial.intermediate_values), run, error))
        return found

    def report(self) -> None:
        """Writes ``trials.json`` and the plots of the history, the importances and the parallel coordinates."""
        trials = self.trials()
        write_json(self.folder / "trials.json", [vars(trial) for trial in trials])
        plot_search(self.folder / "plots", trials, self.importances(), self.spec.metric, self.spec.direction)

    def importances(self) -> dict[str, float]:
        """The share of each setting in how much the value varies, where there are trials enough to tell.

        Source: Watanabe et al. 2023, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces".
        """
        optuna = _optuna()
        done = [trial for trial in self._study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
        if len(done) < 4 or len({trial.value for trial in done}) < 2:
            return {}
        try:
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            return dict(optuna.importance.get_param_importances(self._study, evaluator=evaluator))
        except (ValueError, RuntimeError):  # every setting had one value only
            return {}

    @property
    def _most(self) -> int:
        """Trials in all."""
        if self.spec.sampler != "grid":
            return self.spec.n_trials
        return min(self.spec.n_trials, math.prod(len(_grid(one)) for one in self.space))

    def _new(self, number: int) -> Trial:
        self._study.sampler = _sampler(_optuna(), self.spec, number, self.space)
        trial = self._study.ask(self._distributions)
        return self._trial(trial.number, trial.params)

    def _trial(self, number: int, values: Mapping[str, Any]) -> Trial:
        return Trial(number, tuple(one.word(values[one.name]) for one in self.space))


def pruning(folder: Path, number: int) -> Prune | None:
    """What a trial asks after each epoch; None outside a search, or where nothing is pruned.

    Args:
        folder: of the multirun.
        number: of the trial.
    """
    if not (folder / SETTINGS).is_file():
        return None
    spec = _read_settings(folder / SETTINGS)[0]
    if spec.pruner == "none":
        return None
    optuna = _optuna()
    study = _open_study(folder, spec.direction)
    study.pruner = _pruner(optuna, spec)
    trial = optuna.trial.Trial(study, study.trials[number]._trial_id)

    def prune(epoch: int, values: Mapping[str, float]) -> bool:
        value = metric_of(values, spec.metric)
        if value is None or not math.isfinite(value):
            return False
        if epoch not in study.trials[number].intermediate_values:  # told before the trial was interrupted
            trial.report(value, epoch)
        return bool(trial.should_prune())

    return prune


def best_value(run: Path, spec: SearchSpec) -> float | None:
    """The best value of an epoch that a run has recorded; None where it recorded none."""
    found = [metric_of(record.values, spec.metric) for record in read_records(RunFolder(run).metrics)]
    values = [value for value in found if value is not None and math.isfinite(value)]
    if not values:
        return None
    return min(values) if spec.direction == "minimize" else max(values)


def metric_of(values: Mapping[str, float], metric: str) -> float | None:
    """The value that is sought for, among those recorded at the end of an epoch."""
    if metric == "auto":
        return values.get("epoch/val_loss", values.get("epoch/loss"))
    return values.get(metric)


def _check_settings(folder: Path, spec: SearchSpec, space: Sequence[Dimension]) -> None:
    """A search goes on only over the space that it was begun with."""
    path = folder / SETTINGS
    now: dict[str, Any] = {"spec": spec.model_dump(), "space": [one.as_json() for one in space]}
    if path.is_file():
        before, where = _read_settings(path)
        fixed = [name for name in ("metric", "direction") if getattr(before, name) != now["spec"][name]]
        if where != now["space"]:
            fixed.append("the search space")
        if fixed:
            raise RunError(f"{folder} has a search with another {' and '.join(fixed)}; remove that folder to begin anew")
    write_json(path, now)


class _JournalLock:
    """Optuna's lock of the journal, in the system's hands: Optuna's own is a link, which a killed process leaves for others to wait for."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path)

    def acquire(self) -> bool:
        """Waits for the lock."""
        while not self._lock.acquire():
            time.sleep(0.01)
        return True

    def release(self) -> None:
        """Lets it go."""
        self._lock.release()


def _read_settings(path: Path) -> tuple[SearchSpec, Any]:
    """What a search was begun with: its settings, and the space as plain data.

    Raises:
        RunError: the file is damaged.
    """
    value = read_json(path)
    collector = ProblemCollector()
    spec = collector.parse(SearchSpec, value.get("spec"), "spec") if isinstance(value, dict) else None
    if spec is None:
        raise RunError(f"{path} is damaged: it holds no search; remove {path.parent} to begin anew")
    return spec, value.get("space")


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise InputError("a search needs Optuna, which is not installed: pip install 'gatework[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _open_study(folder: Path, direction: str) -> Any:
    optuna = _optuna()
    try:
        backend = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL), _JournalLock(folder / _JOURNAL_LOCK))
        storage = optuna.storages.JournalStorage(backend)
        return optuna.create_study(storage=storage, study_name="search", direction=direction, load_if_exists=True)
    except Exception as error:  # Optuna asserts and looks up without a question
        why = f"{type(error).__name__}: {error}"
        raise RunError(f"cannot read {folder / JOURNAL} ({why}); remove {folder} to begin the search anew") from error


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    if dimension.kind == "choice":
        return optuna.distributions.CategoricalDistribution(dimension.choices)
    if dimension.kind == "int":
        return optuna.distributions.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=dimension.step)
    return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _sampler(optuna: Any, spec: SearchSpec, number: int, space: Sequence[Dimension]) -> Any:
    seed = (spec.seed * 1_000_003 + number) % 2**32
    if spec.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    if spec.sampler == "qmc":
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.QMCSampler(seed=spec.seed, warn_independent_sampling=False)
    if spec.sampler == "grid":
        return optuna.samplers.GridSampler({one.name: _grid(one) for one in space}, seed=spec.seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=spec.n_startup_trials, constant_liar=True)


def _grid(dimension: Dimension) -> list[Any]:
    if dimension.kind == "float":
        raise RunError(f"sampler grid needs choices or ranges; {dimension.name} is an interval of numbers")
    if dimension.kind == "int":
        return list(range(int(dimension.low), int(dimension.high) + 1, dimension.step))
    return list(dimension.choices)


def _pruner(optuna: Any, spec: SearchSpec) -> Any:
    if spec.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner()
    if spec.pruner == "successive_halving":
        return optuna.pruners.SuccessiveHalvingPruner()
    return optuna.pruners.MedianPruner(spec.pruner_startup_trials, spec.pruner_warmup_epochs + 1)  # it counts from 0, epochs do not


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
