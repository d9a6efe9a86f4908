"""Our launcher and sweeper, offered to Hydra for as long as it looks for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.plugins.plugin import Plugin
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from framework.config.process_launcher import ProcessLauncher
from framework.config.session import PLUGINS
from framework.config.sweeper import SearchSweeper

_OURS: tuple[type[Plugin], ...] = (ProcessLauncher, SearchSweeper)


def run_sweep(hydra: Any, config: DictConfig, job: TaskFunction, config_name: str) -> Any:
    """What Hydra's own ``multirun`` does, with our launcher and sweeper among those it can choose.

    Args:
        hydra: Hydra's object of a session.
        config: composed for a multirun.
        job: called for each config.
        config_name: name of the primary config.
    """
    callbacks = Callbacks(config)
    callbacks.on_multirun_start(config=config, config_name=config_name)
    with _offered():
        context = HydraContext(config_loader=hydra.config_loader, callbacks=callbacks)
        sweeper = Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=job)
    words = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    assert isinstance(words, list)
    returned = sweeper.sweep(arguments=words)
    callbacks.on_multirun_end(config=config, config_name=config_name)
    return returned


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
