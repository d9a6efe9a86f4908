"""Our launcher and sweeper, offered to Hydra for as long as it looks for them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.errors import InstantiationException
from hydra.plugins.plugin import Plugin
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from framework.config.hydra_section import PLUGINS, check_job
from framework.config.process_launcher import ProcessLauncher
from framework.config.sweeper import SearchSweeper
from framework.errors import GateworkError

_OURS: tuple[type[Plugin], ...] = (ProcessLauncher, SearchSweeper)


def run_sweep(hydra: Any, config: DictConfig, job: TaskFunction, groups: Callable[[str], bool]) -> Any:
    """What Hydra's own ``multirun`` does, with our launcher and sweeper among those it can choose, and without callbacks.

    Args:
        hydra: Hydra's object of a session.
        config: composed for a multirun.
        job: called for each config.
        groups: whether a name is a config group.
    """
    with _offered():
        loader: Any = _JobLoader(hydra.config_loader, groups)
        context = HydraContext(config_loader=loader, callbacks=Callbacks())
        try:
            sweeper = Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=job)
        except InstantiationException as error:
            if isinstance(error.__cause__, GateworkError):
                raise error.__cause__ from error
            raise
    words = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    assert isinstance(words, list)
    return sweeper.sweep(arguments=words)


class _JobLoader:
    """Hydra's loader of configs, which lets no job's files change what Hydra does with the job, and takes no option for one.

    Args:
        loader: Hydra's.
        groups: whether a name is a config group.
    """

    def __init__(self, loader: Any, groups: Callable[[str], bool]) -> None:
        self._loader = loader
        self._groups = groups

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Composes the config of one job.

        Raises:
            SpecError: it changes Hydra's settings.
        """
        words = [self._without_option(word) for word in sweep_overrides]
        config: DictConfig = self._loader.load_sweep_config(master_config, words)
        check_job(config, master_config)
        return config

    def _without_option(self, word: str) -> str:
        """``~debug`` for ``debug=null``, which Hydra takes for a slip."""
        key, _, value = word.partition("=")
        return f"~{key}" if value == "null" and self._groups(key.partition("@")[0]) else word

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_loader":  # asked for while it is unpickled
            raise AttributeError(name)
        return getattr(self._loader, name)


@contextmanager
def _offered() -> Iterator[None]:
    """Our plug-ins under the names by which Hydra's configs have them.

    Hydra 1.3 takes none from outside the package ``hydra_plugins``, into which we install nothing. They do not stay there: launchers
    send Hydra's list of plug-ins to processes that could not import them.
    """
    plugins = Plugins.instance()
    names = dict(plugins.class_name_to_class)
    by_type = {kind: list(classes) for kind, classes in plugins.plugin_type_to_subclass_list.items()}
    module = ModuleType(PLUGINS)
    before = {name: sys.modules.get(name) for name in (PLUGINS.partition(".")[0], PLUGINS)}
    for name in before:
        sys.modules.setdefault(name, module if name == PLUGINS else ModuleType(name))
    for plugin in _OURS:
        setattr(module, plugin.__name__, plugin)
        plugin.__module__ = PLUGINS
        plugins.register(plugin)
    setattr(sys.modules[PLUGINS.partition(".")[0]], PLUGINS.rpartition(".")[2], module)
    try:
        yield
    finally:
        plugins.class_name_to_class = names
        plugins.plugin_type_to_subclass_list.clear()
        plugins.plugin_type_to_subclass_list.update(by_type)
        for name, old in before.items():
            if old is None:
                del sys.modules[name]
