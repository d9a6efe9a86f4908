"""A comparison of both backends, kept as a run is: a folder, its tables, and a run in MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from framework.backends.base.registry import BACKENDS
from framework.config.saved import dump_yaml
from framework.engine.compare.parity import Measured
from framework.engine.compare.spec_file import spec_text
from framework.engine.many.sync import PARITIES, deliver_now
from framework.engine.run.digest import config_digest, resolved
from framework.engine.run.files import write_json, write_text
from framework.engine.run.folder import RunFolder
from framework.engine.run.prepare import prepare_experiment
from framework.engine.run.recorder import Recorder
from framework.files import expanded
from framework.report.parity import parity_report, parity_tally
from framework.spec.experiment import Experiment
from framework.spec.measurements import ParityResult, ParityRow
from framework.tracking.outbox import PARITY

_LIBRARIES = ("gatework", "numpy", "torch", "pytorch-lightning", "tensorflow", "keras")


def parity_result(
    experiment: Experiment, measured: Mapping[str, Measured], rows: Sequence[ParityRow], environment: Mapping[str, Any]
) -> ParityResult:
    """What two backends had in common, with where and with what it was measured.

    Args:
        experiment: what was compared.
        measured: by backend, from :func:`~framework.engine.compare.parity.measure_backends`.
        rows: the lines of the table, from :func:`~framework.engine.compare.parity.table`.
        environment: from :func:`~framework.tracking.environment.describe_environment`.
    """
    losses = {backend: [float(loss) for loss in measured[backend]["step losses"]["steps"]] for backend in BACKENDS}
    return ParityResult(
        recipe=experiment.recipe,
        steps=min(len(values) for values in losses.values()),
        ok=all(row.ok for row in rows),
        config_digest=config_digest(experiment),
        data_digest=prepare_experiment(experiment).data.digest,
        versions={name: version for name in _LIBRARIES if (version := environment["libraries"].get(name))},
        hardware={"platform": environment["platform"], **environment["hardware"]},
        measured=time.strftime("%Y-%m-%d", time.gmtime()),
        rows=list(rows),
        losses=losses,
    )


def record_parity(experiment: Experiment, found: ParityResult, environment: Mapping[str, Any], warn: Callable[[str], None]) -> Path:
    """Writes a comparison to a folder of its own, and delivers it to MLflow as ``tracking`` says.

    Args:
        experiment: what was compared.
        found: from :func:`parity_result`.
        environment: what that was given.
        warn: told when MLflow does not take it.

    Returns:
        The folder.

    Raises:
        RunError: the folder cannot be written.
    """
    began = time.time()
    root = expanded(experiment.paths.runs_dir).resolve()
    folder = RunFolder(root / PARITIES / f"{experiment.recipe}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(began))}")
    write_text(folder.path / PARITY, spec_text(found))
    write_text(folder.path / "report.md", "\n".join([f"# Parity of {experiment.recipe}", "", *parity_report(found)]) + "\n")
    write_text(folder.config / "resolved.yaml", dump_yaml(resolved(experiment)))
    write_json(folder.environment, environment)
    recorder = Recorder(folder.metrics)
    for place, values in enumerate(zip(*found.losses.values(), strict=True), 1):
        recorder.record(place, float(place), {f"loss/{backend}": loss for backend, loss in zip(found.losses, values, strict=True)})
    recorder.close()
    record: dict[str, Any] = {"title": f"parity of {experiment.recipe}", "command": "gatework parity", "parity": parity_tally(found.rows)}
    digests = {"digest": found.config_digest, "data_digest": found.data_digest}
    folder.update_record(status="finished", **record, **digests, started=began, ended=time.time())
    deliver_now(folder.path, "the comparison", warn)
    return folder.path
