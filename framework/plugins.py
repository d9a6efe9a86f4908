"""Own data sets, layer kinds, tasks and metrics: modules that register themselves when they are imported, found by entry point."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import sys
from pathlib import Path

GROUP = "gatework.plugins"
RECIPES = "framework.recipes"

_failures: dict[str, str] = {}
_loaded = False


def load_plugins() -> dict[str, str]:
    """Import every plug-in once: the shipped recipes' data sets and all entry points of the group ``gatework.plugins``.

    A plug-in that cannot be imported does not stop the others. It is logged as a warning, and named again where a name is
    sought that it may have been meant to provide.

    Returns:
        Why plug-ins could not be imported, by entry point's name.
    """
    global _loaded
    if _loaded:
        return dict(_failures)
    _loaded = True
    for name, module in {**_shipped(), **_declared()}.items():
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever a stranger's module does at import must not end an unrelated run
            _failures[name] = f"{type(error).__name__}: {error}"
            logging.getLogger("gatework").warning("plug-in '%s' (%s) cannot be imported: %s", name, module, _failures[name])
    return dict(_failures)


def _declared() -> dict[str, str]:
    """Modules by entry point's name."""
    return {point.name: point.module for point in importlib.metadata.entry_points(group=GROUP)}


def plugin_distributions() -> list[str]:
    """Names of the installed distributions that bring plug-ins."""
    found = (point.dist.name for point in importlib.metadata.entry_points(group=GROUP) if point.dist is not None)
    return list(dict.fromkeys(found))


def _shipped() -> dict[str, str]:
    """The shipped recipes' modules: an installation made before a recipe was added does not list it as an entry point."""
    folder = _recipes_folder()
    if folder is None:
        return {}
    return {file.parent.name: f"{RECIPES}.{file.parent.name}.dataset" for file in sorted(folder.glob("*/dataset.py"))}


def _recipes_folder() -> Path | None:
    """Where the shipped recipes lie; in a checkout that is not installed, the folder beside the package becomes importable."""
    spec = sys.modules[RECIPES].__spec__ if RECIPES in sys.modules else importlib.util.find_spec(RECIPES)
    if spec is None:
        folder = Path(__file__).parents[1] / "recipes"
        if not (folder / "__init__.py").is_file():
            return None
        spec = importlib.util.spec_from_file_location(RECIPES, folder / "__init__.py", submodule_search_locations=[str(folder)])
        if spec is None or spec.loader is None:
            return None
        package = importlib.util.module_from_spec(spec)
        sys.modules[RECIPES] = package
        spec.loader.exec_module(package)
    locations = spec.submodule_search_locations
    return Path(next(iter(locations))) if locations else None
