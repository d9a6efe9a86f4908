"""The tables and pictures of a recipe's README, written from its results and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from framework.engine.files import read_json, write_text
from framework.engine.results import RESULTS, read_results
from framework.errors import InputError
from framework.report.benchmarks import benchmark_lines
from framework.report.curves import plot_beside
from framework.report.marked import has_marked, replace_marked
from framework.report.parity import parity_table
from framework.report.reproduction import curves, picture_name, recipe_results
from framework.spec.targets import Targets

WRITER = "gatework reproduce --from-results"

PARITY = "parity.json"
"""In the folder of results: what ``gatework parity --json`` printed."""

BENCHMARKS = "benchmarks"
"""In the folder of results: a file for each subject that ``scripts/benchmark.py --json`` wrote."""

_REQUIRED = "results"


def write_page(recipe: Path, targets: Targets) -> Path:
    """Rewrites the results in ``README.md`` and draws ``results/<variant>.png`` anew.

    Args:
        recipe: the recipe's folder.
        targets: what it is compared with.

    Returns:
        The README.

    Raises:
        InputError: there is no README, or it has no place for the results.
        SpecError: a file of results is wrong.
    """
    path = recipe / "README.md"
    if not path.is_file():
        raise InputError(f"there is no {path} to write the results into")
    text = path.read_text(encoding="utf-8")
    for name, content in page_parts(recipe, targets).items():
        if name == _REQUIRED or has_marked(text, name, WRITER):
            text = replace_marked(text, name, WRITER, content, str(path))
    results = read_results(recipe)
    for name, variant in targets.variants.items():
        ours, published = curves(variant, [one for one in results if one.variant == name])
        if ours:
            plot_beside(recipe / RESULTS / picture_name(name), ours, published, variant.title)
    write_text(path, text)
    return path


def page_parts(recipe: Path, targets: Targets) -> dict[str, str]:
    """What stands between the markers of the README, by the name of the part.

    ``results`` has to have its place there; ``parity`` and the benchmarks (``benchmark-step``, …) are written where they have one.
    """
    parts = {_REQUIRED: recipe_results(targets, read_results(recipe))}
    parity = read_json(recipe / RESULTS / PARITY)
    if parity is not None:
        parts["parity"] = "\n".join(_parity(parity))
    for path in sorted((recipe / RESULTS / BENCHMARKS).glob("*.json")):
        parts[f"benchmark-{path.stem}"] = "\n".join(benchmark_lines(read_json(path)))
    return parts


def _parity(found: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return [
        *parity_table(found["rows"]),
        "",
        f"Measured {found['measured']} over {found['steps']} steps on {found['hardware']['processor']}; {versions}; "
        f"config {found['config_digest'][:12]}, data {found['data_digest'][:12]}.",
    ]
