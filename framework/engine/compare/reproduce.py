"""A publication's experiment as a run of ours: measured, judged, and kept with its recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.config.recipe_files import TARGETS, read_targets
from framework.engine.compare.measures import TrainedModel
from framework.engine.compare.recipe_page import write_page
from framework.engine.compare.results import RESULTS, measure_run, write_result
from framework.engine.compare.spec_file import spec_text
from framework.engine.many.sync import deliver_now
from framework.engine.run.files import write_text
from framework.engine.run.folder import RunFolder
from framework.errors import GateworkError
from framework.report.curves import plot_beside
from framework.report.marked import has_marked, marked, replace_marked
from framework.report.reproduction import attention_picture, curves
from framework.report.verdicts import Verdict, tally, verdict_table, verdicts
from framework.spec.result import Result
from framework.spec.targets import Variant
from framework.tracking.outbox import REPRODUCTION

_SECTION = "reproduction"
_WRITER = "gatework reproduce"


@dataclass(frozen=True)
class Reproduction:
    """What became of one run.

    Attributes:
        run: its folder.
        result: what it measured.
        found: the verdicts; none where the settings are not the variant's.
        kept: the file that the recipe keeps of it; None where it keeps none.
        why_not: why it keeps none, or why its README does not show it.
    """

    run: Path
    result: Result
    found: tuple[Verdict, ...]
    kept: Path | None
    why_not: str | None


def conclude(
    folder: RunFolder, name: str, variant: Variant, reference: Mapping[str, Any], keep: Path | None, warn: Callable[[str], None]
) -> Reproduction:
    """Measures and judges a run whose training has ended; writes the verdicts to its report, to the recipe, and to MLflow.

    Args:
        folder: the run's folder.
        name: name of the variant that it runs.
        variant: that variant.
        reference: its resolved config.
        keep: folder of the recipe that keeps the result; None where none does.
        warn: told when MLflow does not take the verdicts.

    Raises:
        GateworkError: the run's model cannot be opened, or its folder cannot be written.
    """
    trained = TrainedModel(folder)
    result = measure_run(trained, name, variant, reference)
    found = () if result.deviations else tuple(verdicts(variant, result))
    _write_report(folder, variant, result, found)
    kept, why_not = _keep(trained, variant, result, keep)
    deliver_now(folder.path, "the verdicts", warn)
    return Reproduction(folder.path, result, found, kept, why_not)


def _keep(trained: TrainedModel, variant: Variant, result: Result, keep: Path | None) -> tuple[Path | None, str | None]:
    if result.deviations:
        return None, f"its settings are not those that are published ({', '.join(result.deviations)})"
    if keep is None:
        return None, "the recipe is the installed one; --recipes-dir names a folder of yours"
    kept = None
    try:
        kept = write_result(keep, _with_picture(trained, variant, result, keep / RESULTS))
        write_page(keep, read_targets(keep / TARGETS))
    except GateworkError as error:
        return kept, str(error)
    return kept, None


def _with_picture(trained: TrainedModel, variant: Variant, result: Result, results: Path) -> Result:
    """The result of a complete run with what its model attended to in a probe drawn beside it, where there is something to draw."""
    name = attention_picture(result)
    drawn = result.complete and trained.draw_attention(results / name, variant)
    return result.model_copy(update={"pictures": [name]}) if drawn else result


def _write_report(folder: RunFolder, variant: Variant, result: Result, found: tuple[Verdict, ...]) -> None:
    """Adds the verdicts to the run's report, or puts them in the place of earlier ones."""
    write_text(folder.path / REPRODUCTION, spec_text(result))
    ours, theirs = curves(variant, [result])
    plot_beside(folder.plots / "published.png", ours, theirs, variant.title)
    told = None if result.deviations else tally(found, result.complete)
    folder.update_record(reproduction=told)
    path = folder.path / "report.md"
    text = path.read_text(encoding="utf-8")
    section = "\n".join(_section(variant, result, found, told))
    if has_marked(text, _SECTION, _WRITER):
        text = replace_marked(text, _SECTION, _WRITER, section, str(path))
    else:
        text = f"{text}\n{marked(_SECTION, _WRITER, section)}\n"
    write_text(path, text)


def _section(variant: Variant, result: Result, found: tuple[Verdict, ...], told: str | None) -> list[str]:
    lines = [f"## Reproduction: {variant.title}", ""]
    if told is None:
        changed = ", ".join(f"`{key}={value}`" for key, value in result.deviations.items())
        return [*lines, f"Nothing is compared: this run has other settings than the publication ({changed})."]
    return [*lines, f"{told}.", "", *(verdict_table(found) if found else []), "", "![published and ours](plots/published.png)"]
