"""Our launcher and sweeper, which Hydra finds among its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.plugins import Plugins
from hydra.errors import InstantiationException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from framework.config.hydra_section import PLUGINS, check_job
from framework.config.process_launcher import ProcessLauncher
from framework.config.sweeper import SearchSweeper
from framework.errors import GateworkError

_OURS = {f"{PLUGINS}.{one.__name__}": one for one in (ProcessLauncher, SearchSweeper)}
"""By the names that Hydra's configs have them under. Hydra 1.3 takes none whose name begins otherwise, wherever the class itself is."""


def run_sweep(hydra: Any, config: DictConfig, job: TaskFunction, reworded: Callable[[str], str]) -> Any:
    """What Hydra's own ``multirun`` does, with our launcher and sweeper among those it can choose, and without callbacks.

    Args:
        hydra: Hydra's object of a session.
        config: composed for a multirun.
        job: called for each config.
        reworded: an override of a job as Hydra takes it.
    """
    plugins = Plugins.instance()
    plugins.class_name_to_class.update(_OURS)
    loader: Any = _JobLoader(hydra.config_loader, reworded)
    context = HydraContext(config_loader=loader, callbacks=Callbacks())
    try:
        sweeper = plugins.instantiate_sweeper(config=config, hydra_context=context, task_function=job)
    except InstantiationException as error:
        if isinstance(error.__cause__, GateworkError):
            raise error.__cause__ from error
        raise
    words = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    assert isinstance(words, list)
    return sweeper.sweep(arguments=words)


class _JobLoader:
    """Hydra's loader of configs, which lets no job's files change what Hydra does with the job, and is given overrides that it takes.

    Args:
        loader: Hydra's.
        reworded: an override as Hydra takes it.
    """

    def __init__(self, loader: Any, reworded: Callable[[str], str]) -> None:
        self._loader = loader
        self._reworded = reworded

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """Composes the config of one job.

        Raises:
            SpecError: it changes Hydra's settings.
        """
        words = [self._reworded(word) for word in sweep_overrides]
        config: DictConfig = self._loader.load_sweep_config(master_config, words)
        check_job(config, master_config)
        return config

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_loader":  # asked for while it is unpickled
            raise AttributeError(name)
        return getattr(self._loader, name)
