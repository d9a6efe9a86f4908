"""Processes that train together have the same data and the same config; who started them may not have seen to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from framework.backends.base.processes import Processes
from framework.engine.run.digest import NOT_PART_OF_A_RUN, differences, resolved
from framework.engine.run.prepare import Prepared
from framework.errors import RunError


def description(prepared: Prepared) -> dict[str, Any]:
    """What process 0 tells of its data and its config, but for where things lie."""
    experiment = prepared.experiment
    settings = {key: value for key, value in resolved(experiment).items() if key not in NOT_PART_OF_A_RUN}
    settings["data"] = {key: value for key, value in settings["data"].items() if key not in experiment.data.places}
    return {"data": prepared.data.digest, "settings": settings}


def require_same(told: Mapping[str, Any], prepared: Prepared, processes: Processes) -> None:
    """Ends the training on all processes where one of them has other data or another config than process 0.

    Args:
        told: process 0's :func:`description`.
        prepared: what this process has.
        processes: all of them.

    Raises:
        RunError: this one has, or another one.
    """
    own = description(prepared)
    unlike = [f"{key}: {theirs!r} there, {ours!r} here" for key, theirs, ours in differences(told["settings"], own["settings"])]
    if told["data"] != own["data"]:
        unlike.append(f"data: digest {told['data'][:12]}… there, {own['data'][:12]}… here")
    others = np.zeros(processes.size)
    others[processes.rank] = bool(unlike)
    others = processes.add_up(others)
    who = f"process {processes.rank} of {processes.size}"
    if unlike:
        raise RunError("\n".join([f"{who} is to train on something else than process 0:", *(f"  {one}" for one in unlike)]))
    if others.any():
        numbers = ", ".join(str(rank) for rank in np.flatnonzero(others))
        raise RunError(f"other data or another config than process 0 has is at: process {numbers} of {processes.size}, which says what")
