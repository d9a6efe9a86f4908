"""The files of a recipe beside its configs: where they lie, and its targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from framework.config.location import display
from framework.config.yaml_file import read_positions
from framework.config.yaml_text import Positioned
from framework.errors import InputError, Origin, SpecError, nearest
from framework.spec.problems import ProblemCollector
from framework.spec.targets import Targets

TARGETS = "targets.yaml"

_PACKAGE = Path(__file__).resolve().parents[1]


OWN = Path("recipes")
"""The user's folder of recipes, where no other is named."""


def shipped_recipes() -> Path | None:
    """The folder of recipes that comes with Gatework: inside the installed package, or beside it in a checkout."""
    return next((folder.resolve() for folder in (_PACKAGE / "recipes", _PACKAGE.parent / "recipes") if folder.is_dir()), None)


def recipe_folders(own: Path | None = None) -> list[Path]:
    """Folders that hold recipes: the user's, then the shipped one.

    Args:
        own: the user's folder; ``./recipes``, where it exists, when not given.

    Raises:
        InputError: ``own`` is no folder.
    """
    if own is not None and not own.is_dir():
        raise InputError(f"no folder of recipes '{own}'; --recipes-dir names an existing folder")
    folders = [(own or OWN).resolve(), shipped_recipes()]
    return list(dict.fromkeys(folder for folder in folders if folder is not None and folder.is_dir()))


def find_targets(recipe: str, folders: Iterable[Path]) -> tuple[Path, Targets]:
    """The folder of the recipe whose targets name a config recipe, and these targets.

    Args:
        recipe: name of the config recipe.
        folders: from :func:`recipe_folders`; an earlier one comes first.

    Raises:
        InputError: no recipe has targets for it.
        SpecError: its targets file is wrong; with every problem.
    """
    known: list[str] = []
    looked = list(folders)
    for path in _target_files(looked):
        targets = read_targets(path)
        if targets.variant(recipe) is not None:
            return path.parent, targets
        known += [variant.recipe for variant in targets.variants.values()]
    guess = nearest(recipe, known)
    places = " or ".join(display(folder / "NAME" / TARGETS) for folder in looked)
    raise InputError(
        f"there are no published figures for recipe '{recipe}': no variant in {places} names it"
        + (f"\n    did you mean: {guess}" if guess else "")
        + (f"\n    expected: one of {', '.join(dict.fromkeys(known))}" if known else "")
    )


def read_targets(path: Path) -> Targets:
    """Reads and validates one file of targets.

    Raises:
        SpecError: with every problem, each with its line.
    """
    try:
        content = read_positions(path)
    except SpecError as error:
        raise SpecError(error.problems, _title(path)) from error
    collector = ProblemCollector(lambda key: _origin(path, content, key))
    targets = collector.parse(Targets, content.value, "")
    if collector.problems or targets is None:
        raise SpecError(collector.problems, _title(path))
    return targets


def _target_files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.glob(f"*/{TARGETS}"))


def _title(path: Path) -> str:
    return f"{display(path)} is wrong"


def _origin(path: Path, content: Positioned, key: str) -> Origin | None:
    here = content
    for part in key.split("."):
        if part not in here.children:
            return None
        here = here.children[part]
    return Origin(display(path), here.line)
