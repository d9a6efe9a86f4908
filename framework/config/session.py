"""Hydra, set up to look into the user's folders before the shipped ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from framework.config.hydra_section import PLUGINS
from framework.config.location import SearchPath
from framework.config.secret_values import environment_variable
from framework.config.source import SCHEME, FolderSource
from framework.spec.search import SearchSpec

VERSION_BASE = "1.3"
JOB_NAME = "gatework"

_own_folders: ContextVar[tuple[Path, ...] | None] = ContextVar("own_folders", default=None)


class OwnFoldersFirst(SearchPathPlugin):
    """Puts the user's config folders before the shipped one; does nothing outside :func:`hydra_session`."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra whenever it builds a search path."""
        folders = _own_folders.get()
        if folders is None:
            return
        for folder in folders:
            search_path.prepend(provider="gatework", path=f"{SCHEME}://{folder}", anchor="main")
        for element in search_path.get_path():
            if element.provider == "main":
                element.path = f"{SCHEME}://{element.path}"


def size_text(name: str) -> str:
    """The resolver of ``${size:NAME}`` gives its own text back, so that it stays until the data is prepared."""
    return f"${{size:{name}}}"


def _register_resolvers() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*register_new_resolver")  # OmegaConf 2.4 renames it
        OmegaConf.register_new_resolver("size", size_text, replace=True)
        OmegaConf.register_new_resolver("oc.env", environment_variable, replace=True)


def _register_plugins() -> None:
    """What Hydra composes for ``hydra/launcher=process`` and ``hydra/sweeper=optuna``; :mod:`framework.config.launch` has the classes."""
    store = ConfigStore.instance()
    store.store(group="hydra/launcher", name="process", node={"_target_": f"{PLUGINS}.ProcessLauncher", "n_jobs": 1}, provider="gatework")
    settings = {**SearchSpec().model_dump(), "params": {}}
    store.store(group="hydra/sweeper", name="optuna", node={"_target_": f"{PLUGINS}.SearchSweeper", **settings}, provider="gatework")


@contextmanager
def hydra_session(search: SearchPath) -> Iterator[Any]:
    """Hydra over these folders, for as long as the context lasts; another Hydra that was active is put back afterwards.

    Yields:
        Hydra's own object, which composes, launches and shows configs.
    """
    _register_resolvers()
    _register_plugins()
    Plugins.instance().register(FolderSource)
    Plugins.instance().register(OwnFoldersFirst)
    active = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    token = _own_folders.set(search.folders[:-1])
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*version_base")  # Hydra 1.4 means to drop it
            session = initialize_config_dir(str(search.folders[-1]), job_name=JOB_NAME, version_base=VERSION_BASE)
        with session:
            yield GlobalHydra.instance().hydra
    finally:
        _own_folders.reset(token)
        GlobalHydra.instance().hydra = active
