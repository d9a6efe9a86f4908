"""The tables and pictures of a recipe's README, written from its results and from nothing else."""

from __future__ import annotations

from pathlib import Path

from framework.engine.files import write_text
from framework.engine.results import RESULTS, read_results
from framework.errors import InputError
from framework.report.curves import plot_beside
from framework.report.marked import replace_marked
from framework.report.reproduction import curves, picture_name, recipe_results
from framework.spec.targets import Targets

PART = "results"
WRITER = "gatework reproduce --from-results"


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
    text = replace_marked(path.read_text(encoding="utf-8"), PART, WRITER, page_part(recipe, targets), str(path))
    results = read_results(recipe)
    for name, variant in targets.variants.items():
        ours, published = curves(variant, [one for one in results if one.variant == name])
        if ours:
            plot_beside(recipe / RESULTS / picture_name(name), ours, published, variant.title)
    write_text(path, text)
    return path


def page_part(recipe: Path, targets: Targets) -> str:
    """What stands between the markers of the README."""
    return recipe_results(targets, read_results(recipe))
