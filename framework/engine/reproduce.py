"""A publication's experiment as a run of ours: trained, measured, judged, and kept with its recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.config.recipe_files import TARGETS, read_targets
from framework.engine.files import write_text
from framework.engine.folder import RunFolder
from framework.engine.recipe_page import write_page
from framework.engine.results import measure_run, result_text, write_result
from framework.engine.sync import sync
from framework.errors import GateworkError
from framework.report.curves import plot_beside
from framework.report.marked import has_marked, marked, replace_marked
from framework.report.reproduction import curves
from framework.report.verdicts import Verdict, tally, verdict_table, verdicts
from framework.spec.result import Result
from framework.spec.targets import Variant
from framework.tracking.installed import mlflow_is_installed
from framework.tracking.outbox import REPRODUCTION, is_tracked

_SECTION = "reproduction"
_WRITER = "gatework reproduce"


@dataclass(frozen=True)
class Reproduction:
    """What became of one run.

    Attributes:
        run: its folder.
        result: what it measured.
        found: the verdicts; without any where the settings are not the variant's.
        kept: the file that the recipe keeps of it; None where it keeps none.
        why_not: why it keeps none, or why its README does not show it.
    """

    run: Path
    result: Result
    found: tuple[Verdict, ...]
    kept: Path | None
    why_not: str | None

    @property
    def reproduced(self) -> bool:
        """Whether every target is met; a run with other settings claims nothing, and fails nothing."""
        return all(one.status == "met" for one in self.found)


def conclude(
    folder: RunFolder, name: str, variant: Variant, reference: Mapping[str, Any], keep: Path | None, warn: Callable[[str], None]
) -> Reproduction:
    """Measures and judges a trained run, writes the verdicts into its report, to MLflow, and to the recipe.

    Args:
        folder: the run's folder.
        name: name of the variant that it runs.
        variant: that variant.
        reference: its resolved config.
        keep: folder of the recipe that keeps the result; None where none does.
        warn: told when MLflow does not take the verdicts.
    """
    result = measure_run(folder, name, reference)
    found = () if result.deviations else tuple(verdicts(variant, result))
    _write_report(folder, variant, result, found)
    if is_tracked(folder.path) and mlflow_is_installed():
        trouble = sync(folder.path).trouble
        if trouble is not None:
            warn(f"MLflow does not have the verdicts yet ({trouble}): gatework sync {folder.path}")
    kept, why_not = _keep(result, keep)
    return Reproduction(folder.path, result, found, kept, why_not)


def _keep(result: Result, keep: Path | None) -> tuple[Path | None, str | None]:
    if result.deviations:
        return None, f"its settings are not those that are published ({', '.join(result.deviations)})"
    if keep is None:
        return None, "the recipe is the installed one; --recipes-dir names a folder of yours"
    kept = None
    try:
        kept = write_result(keep, result)
        write_page(keep, read_targets(keep / TARGETS))
    except GateworkError as error:
        return kept, str(error)
    return kept, None


def _write_report(folder: RunFolder, variant: Variant, result: Result, found: tuple[Verdict, ...]) -> None:
    """Adds the verdicts to the run's report, or puts them in the place of earlier ones."""
    write_text(folder.path / REPRODUCTION, result_text(result))
    ours, theirs = curves(variant, [result])
    plot_beside(folder.plots / "published.png", ours, theirs, variant.title)
    lines = [f"## Reproduction: {variant.title}", ""]
    if result.deviations:
        changed = ", ".join(f"`{key}={value}`" for key, value in result.deviations.items())
        lines += [f"Nothing is compared: this run has other settings than the publication ({changed})."]
    else:
        lines += [f"{tally(found)}{'' if result.complete else ' (partial run)'}.", ""]
        lines += [*(verdict_table(found) if found else []), "", "![published and ours](plots/published.png)"]
        folder.update_record(reproduction=tally(found))
    section = "\n".join(lines)
    path = folder.path / "report.md"
    text = path.read_text(encoding="utf-8")
    if has_marked(text, _SECTION, _WRITER):
        text = replace_marked(text, _SECTION, _WRITER, section, str(path))
    else:
        text = f"{text}\n{marked(_SECTION, _WRITER, section)}\n"
    write_text(path, text)
