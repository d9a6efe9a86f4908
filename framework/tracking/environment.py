"""Where and with what a run is trained: code, libraries, machine."""

from __future__ import annotations

import getpass
import os
import platform
import shutil
import socket
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from typing import Any


def describe_environment(folder: Path) -> dict[str, Any]:
    """Everything that a person who wants the same results again may ask for.

    Args:
        folder: working folder of the run; its git state is told where it lies in a git checkout.

    Returns:
        ``python``, ``platform``, ``host``, ``user``, ``hardware``, ``libraries`` (name to version) and, in a checkout, ``git``.
    """
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "user": _user(),
        "hardware": _hardware(),
        "libraries": _libraries(),
    }
    git = git_state(folder)
    if git is not None:
        found["git"] = git
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """``commit``, ``branch`` and ``dirty`` (tracked files differ from the commit) of the checkout that holds ``folder``."""
    commit = _ask(["git", "rev-parse", "HEAD"], folder)
    if commit is None:
        return None
    branch = _ask(["git", "rev-parse", "--abbrev-ref", "HEAD"], folder)
    changed = _ask(["git", "status", "--porcelain", "--untracked-files=no"], folder)
    return {"commit": commit, "branch": branch, "dirty": bool(changed)}


def _hardware() -> dict[str, Any]:
    found: dict[str, Any] = {
        "machine": platform.machine(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "usable_processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found["memory_gigabytes"] = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)
    if shutil.which("nvidia-smi"):
        listed = _ask(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"], Path.cwd())
        found["gpus"] = listed.splitlines() if listed else []
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _libraries() -> dict[str, str]:
    # The first of a name is the one that is imported.
    found: dict[str, str] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name, distribution.version)
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in some containers
        return None


def _ask(command: list[str], folder: Path) -> str | None:
    """What a command prints; None where it fails or is not there."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
