"""Figures as Markdown on the screen and as JSON in a file, with where they were measured."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from framework.files import replace_text
from framework.report.benchmarks import benchmark_table


def write(subject: str, rows: Sequence[dict[str, Any]], busy: str | None, path: Path | None) -> None:
    """Prints the rows as a table, and writes them to ``path`` where given."""
    place = {"machine": _machine(), "versions": _versions(), "measured": time.strftime("%Y-%m-%d"), "busy": busy}
    print(f"{subject}, {place['machine']}" + (f" (BUSY: {busy})" if busy else ""))
    print("\n" + "\n".join(benchmark_table(rows)))
    if path is not None:
        replace_text(path, json.dumps({"subject": subject, **place, "rows": list(rows)}, indent=2) + "\n")


def _machine() -> str:
    import torch

    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        name = next((line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")), name)
    return f"{name}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"


def _versions() -> dict[str, str]:
    found = {}
    for name in ("gatework", "torch", "tensorflow", "keras", "tf-keras", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
