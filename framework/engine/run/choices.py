"""The ways to compute that a run has chosen, kept in its folder, and with the machine for its other runs."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from framework.backends.base.choices import Choices
from framework.data.download import cache_folder
from framework.engine.run.files import write_json
from framework.engine.run.folder import RunFolder
from framework.errors import GateworkError
from framework.files import read_plain, replace_text
from framework.spec.experiment import Experiment

SWITCH = "GATEWORK_TUNE"
"""Environment variable; 0 is as ``backend.tune=false`` for every run."""


class KeptChoices:
    """Choices of a run: what it has chosen before holds, then what other runs have measured on this machine.

    Each new choice is written at once, before a step that uses it has ended: whatever a checkpoint was made with is known when the run
    goes on from it.

    Args:
        folder: of the run; its file is read if there is one.
        experiment: whether it measures, and where the machine's own file lies.
        warn: told of a file of the run that is damaged.
        together: whether several processes train: they keep to what is known, since each would measure the others' work.
    """

    def __init__(
        self, folder: RunFolder, experiment: Experiment, warn: Callable[[str], None] = warnings.warn, together: bool = False
    ) -> None:
        self._file = folder.choices
        measuring = experiment.backend.tune and os.environ.get(SWITCH, "1") != "0"
        self._machine = _machine_file(experiment) if measuring else None
        self._begun = self._file.parent.is_dir()
        own = _read(self._file)
        if own is None and self._file.exists():
            warn(f"{self._file} is damaged: what it chose is chosen anew, and the run's numbers may round otherwise from here on")
        of_machine = {} if together and folder.exists() else _read(self._machine) or {}  # what it went on with it keeps
        known = {**of_machine, **(own or {})}
        self.choices = Choices(known, measuring=measuring and not together, told=self._write)

    def begin(self) -> None:
        """Writes what is known into the folder, which is there from now on."""
        self._begun = True
        if self.choices.known:
            self._write(self.choices.known)

    def _write(self, known: Mapping[str, str]) -> None:
        if self._begun:
            write_json(self._file, dict(sorted(known.items())))
        if self._machine is not None:
            merged = {**known, **(_read(self._machine) or {})}  # what another run was first with holds
            with suppress(OSError):  # it saves measuring again, no more
                replace_text(self._machine, json.dumps(dict(sorted(merged.items())), indent=1) + "\n")


def _read(file: Path | None) -> dict[str, str] | None:
    """What a file has; None where it is missing or damaged."""
    if file is None:
        return None
    try:
        found = json.loads(read_plain(file))
    except (OSError, ValueError):
        return None
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else None


def _machine_file(experiment: Experiment) -> Path | None:
    """The file for this processor and these libraries; None where there is no folder for it."""
    try:
        library = version("torch" if experiment.backend.name == "torch" else "tensorflow")
        folder = cache_folder(experiment.paths)
    except (PackageNotFoundError, GateworkError):
        return None
    told = [experiment.backend.name, library, _processor(), os.cpu_count()]
    return folder / "choices" / f"{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]}.json"


def _processor() -> str:
    """The processor with its abilities, as the system tells it."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags"))}))
    return platform.processor()
