"""A benchmark beside another job measures the other job too."""

from __future__ import annotations

import time

import psutil

BUSY = 0.15
"""Share of the machine's processor time that others may take."""


def require_quiet(anyway: bool) -> str | None:
    """Looks for a second at what else runs.

    Returns:
        What the machine is busy with, if ``anyway``; None where it is quiet.

    Raises:
        SystemExit: the machine is busy.
    """
    before = _used()
    started = time.perf_counter()
    time.sleep(1.0)
    seconds = time.perf_counter() - started
    after = _used()
    shares = {key: (after[key][0] - before[key][0]) / seconds for key in after if key in before}
    total = sum(shares.values()) / (psutil.cpu_count() or 1)
    if total <= BUSY:
        return None
    worst = max(shares, key=lambda key: shares[key])
    text = f"the machine is busy ({total:.0%} of its processors), most with process {worst}: {after[worst][1]}"
    if not anyway:
        raise SystemExit(f"error: {text}; wait for it, or measure anyway with --busy")
    return text


def _used() -> dict[int, tuple[float, str]]:
    """Processor seconds and command of every other process, by its id."""
    found = {}
    for process in psutil.process_iter():
        try:
            times = process.cpu_times()
            if process.pid != psutil.Process().pid:
                found[process.pid] = (times.user + times.system, " ".join(process.cmdline())[:100] or process.name())
        except psutil.Error:  # it has ended meanwhile
            continue
    return found
