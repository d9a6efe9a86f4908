"""What is written when a run ends: curves and a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from framework.engine.run.files import write_text
from framework.engine.run.folder import RunFolder
from framework.engine.run.recorder import read_records
from framework.files import read_plain
from framework.report.curves import plot_curves
from framework.report.progress import duration

NEEDED = ("status", "backend", "parameters", "data_source", "data_digest", "digest")
"""What ``run.json`` has to hold for the report."""


def write_summary(folder: RunFolder) -> None:
    """Writes ``plots/loss.png`` and ``report.md`` from what was recorded."""
    curves: dict[str, list[tuple[float, float]]] = {"loss": [], "epoch mean": [], "validation": []}
    names = {"loss": "loss", "epoch/loss": "epoch mean", "epoch/val_loss": "validation"}
    rows: dict[int, dict[str, float]] = {}
    for record in read_records(folder.metrics):
        for name, value in record.values.items():
            if name in names:
                curves[names[name]].append((record.epoch, value))
        if measured := record.of_epoch:
            rows.setdefault(round(record.epoch), {}).update(measured)
    if any(curves.values()):  # nothing was measured of a model that was trained elsewhere
        plot_curves(folder.plots / "loss.png", curves, f"{folder.recipe} / {folder.name}")
    write_text(folder.path / "report.md", _report(folder, rows))


def _report(folder: RunFolder, rows: dict[int, dict[str, float]]) -> str:
    record = folder.read_record(*NEEDED)
    columns = list(dict.fromkeys(name for values in rows.values() for name in values))
    lines = [
        f"# {folder.recipe} / {folder.name}",
        "",
        f"- status: {record['status']}",
        f"- backend: {record['backend']} ({', '.join(f'{name} {version}' for name, version in record.get('versions', {}).items())})",
        f"- parameters: {record['parameters']:,}",
        f"- data: {record['data_source']} (digest {record['data_digest'][:12]})",
        f"- config digest: {record['digest'][:12]}",
        f"- time in training: {duration(record.get('wall_seconds', 0.0))}",
        *_imported(record),
    ]
    if (folder.plots / "loss.png").is_file():
        lines += ["", "![loss](plots/loss.png)"]
    if rows:
        lines += ["", "| epoch | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for epoch, values in sorted(rows.items()):
        cells = [f"{values[name]:.4f}" if name in values else "" for name in columns]
        lines.append(f"| {epoch} | " + " | ".join(cells) + " |")
    lines += _sample(folder)
    return "\n".join(lines) + "\n"


def _imported(record: Mapping[str, Any]) -> Iterator[str]:
    """Which file a model came from that was trained elsewhere."""
    source = record.get("imported_from")
    if source is not None:
        difference = source.get("difference")
        compared = "its outputs were not compared" if difference is None else f"outputs within {difference:.1e} of its"
        yield f"- imported from: {source['file']} ({source['format']}, SHA-256 {source['sha256'][:12]}; {compared})"


def _sample(folder: RunFolder) -> list[str]:
    """The latest sample; nothing where there is none that can be read."""
    samples = [path for path in sorted(folder.samples.glob("epoch-*.txt")) if path.stem.rpartition("-")[2].isdecimal()]
    if not samples:
        return []
    try:
        text = read_plain(samples[-1]).decode("utf-8", "replace")
    except OSError:
        return []
    return ["", f"Sample after epoch {int(samples[-1].stem.rpartition('-')[2])}:", "", "```text", text, "```"]
