"""What a run's folder holds before its first step: the config, what belongs to its data, the environment, the record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from framework.engine.run.digest import config_digest, resolved
from framework.engine.run.files import write_json, write_text
from framework.engine.run.folder import RunFolder
from framework.engine.run.prepare import Prepared
from framework.spec.experiment import Experiment
from framework.tracking.environment import describe_environment


def write_start(
    folder: RunFolder,
    experiment: Experiment,
    prepared: Prepared,
    composed: str | None = None,
    overrides: Sequence[str] = (),
    title: str | None = None,
) -> None:
    """Writes config and environment, and marks the run as running.

    Args:
        folder: the run's.
        experiment: as it was asked for.
        prepared: the same with its data.
        composed: the composed YAML; written from the experiment when not given.
        overrides: as typed.
        title: what people see of the run in MLflow's list; its name when not given.
    """
    write_config(folder, experiment, prepared, composed, overrides)
    write_json(folder.environment, describe_environment(Path.cwd()))
    folder.update_record(
        status="running",
        error=None,
        backend=experiment.backend.name,
        digest=config_digest(experiment),
        data_digest=prepared.data.digest,
        data_source=prepared.data.source,
        settings=resolved(experiment),
        sizes=dict(prepared.data.sizes),
        parameters=prepared.plan.parameters,
        started=folder.read_record().get("started", time.time()),
        **({} if title is None else {"title": title}),
    )


def write_config(
    folder: RunFolder, experiment: Experiment, prepared: Prepared, composed: str | None = None, overrides: Sequence[str] = ()
) -> None:
    """Writes a run's config, and what belongs to its data beside it.

    Args:
        folder: the run's.
        experiment: as it was asked for.
        prepared: the same with its data.
        composed: the composed YAML; written from the experiment when not given.
        overrides: as typed.
    """
    from framework.config.saved import dump_yaml, save_resolved

    write_text(folder.config / "composed.yaml", composed if composed is not None else dump_yaml(resolved(experiment)))
    write_text(folder.config / "overrides.yaml", dump_yaml(list(overrides)))
    save_resolved(folder.config / "resolved.yaml", resolved(prepared.experiment))
    prepared.data.processor.save(folder.config)
