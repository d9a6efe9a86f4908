"""The tables and pictures of a recipe's README, written from its results and from nothing else."""

from __future__ import annotations

from pathlib import Path

from framework.engine.compare.results import RESULTS, read_results
from framework.engine.compare.spec_file import read_spec
from framework.engine.run.files import write_text
from framework.errors import InputError
from framework.file_lock import file_lock
from framework.report.benchmarks import benchmark_lines
from framework.report.curves import plot_beside
from framework.report.marked import marked_names, replace_marked
from framework.report.parity import parity_report
from framework.report.reproduction import curves, picture_name, recipe_results
from framework.spec.measurements import BenchmarkResult, ParityResult
from framework.spec.targets import Targets
from framework.tracking.outbox import PARITY

WRITER = "gatework reproduce --from-results"

BENCHMARKS = "benchmarks"
"""In the folder of results: a file for each subject that ``scripts/benchmark.py --json`` wrote."""

LOCK = ".lock"
"""In the folder of results: held by whoever writes results or the page."""

_REQUIRED = "results"
_NOTHING = "Not measured yet."


def write_page(recipe: Path, targets: Targets) -> Path:
    """Rewrites the marked parts of ``README.md`` and draws ``results/<variant>.png`` anew.

    Args:
        recipe: the recipe's folder.
        targets: what it is compared with.

    Returns:
        The README.

    Raises:
        InputError: there is no README, it is no UTF-8 text, or it has no place for the results.
        SpecError: a file of results is wrong.
        RunError: a file cannot be read or written.
    """
    with file_lock(recipe / RESULTS / LOCK):
        path = recipe / "README.md"
        text = page_text(path, page_parts(recipe, targets))
        results = read_results(recipe)
        for name, variant in targets.variants.items():
            ours, published = curves(variant, [one for one in results if one.variant == name])
            if ours and variant.baseline is None:
                plot_beside(recipe / RESULTS / picture_name(name), ours, published, variant.title)
        write_text(path, text)
        return path


def page_text(path: Path, parts: dict[str, str]) -> str:
    """The text of a README with its marked parts written anew; a place that nothing was measured for says so."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"there is no {path} to write the results into") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not written in UTF-8") from error
    for name in [_REQUIRED, *(one for one in marked_names(text, WRITER) if one != _REQUIRED)]:
        text = replace_marked(text, name, WRITER, parts.get(name, _NOTHING), str(path))
    return text


def page_parts(recipe: Path, targets: Targets) -> dict[str, str]:
    """What stands between the markers of the README, by the name of the part: ``results``, ``parity``, ``benchmark-step`` and so on."""
    folder = recipe / RESULTS
    parts = {_REQUIRED: recipe_results(targets, read_results(recipe))}
    if (folder / PARITY).is_file():
        parts["parity"] = "\n".join(parity_report(read_spec(folder / PARITY, ParityResult, "comparison of both backends")))
    for path in sorted((folder / BENCHMARKS).glob("*.json")):
        parts[f"benchmark-{path.stem}"] = "\n".join(benchmark_lines(read_spec(path, BenchmarkResult, "result of a benchmark")))
    return parts
