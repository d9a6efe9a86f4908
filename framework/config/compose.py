"""YAML files and overrides composed into one plain mapping that knows who set each value."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from framework.config.composition_errors import foreign_primary, reworded
from framework.config.hydra_section import check_hydra
from framework.config.interpolation import resolved
from framework.config.interpolation_limit import limited_interpolations
from framework.config.layers import provenance_of
from framework.config.location import PRIMARY, SearchPath, display
from framework.config.overrides import Given, OverrideReader, for_hydra
from framework.config.provenance import Provenance, Setting
from framework.config.secret_values import note_addresses, noting_secrets
from framework.config.session import hydra_session
from framework.errors import Origin, Problem, SpecError, nearest
from framework.secrets import concealed
from framework.spec.experiment import Experiment
from framework.spec.validate import validate_experiment


class Composed:
    """One composed config.

    Attributes:
        mapping: plain dicts, lists and scalars; interpolations are resolved, but ``${size:NAME}`` stays as text.
        problems: interpolations that stand for nothing, and values that are required still; :meth:`experiment` tells them.
        overrides: the overrides as the user wrote them.
        choices: the option chosen in each group; None where a group has none.
        search: the folders that were searched, to compose the same again elsewhere.
        multirun: whether the config itself asks for a sweep (``hydra.mode=MULTIRUN``).
        swept: keys that a sweep varies.
        job: of a multirun's job its number, from 0.
    """

    def __init__(
        self,
        config: DictConfig,
        given: Sequence[Given],
        search: SearchPath,
        loader: ConfigLoader,
        swept: Collection[str] = (),
        job: int | None = None,
    ) -> None:
        choices = OmegaConf.to_container(config.hydra.runtime.choices)
        assert isinstance(choices, dict)
        self.choices: dict[str, str | None] = {str(group): option for group, option in choices.items() if "hydra/" not in str(group)}
        self.multirun = config.hydra.mode == RunMode.MULTIRUN
        with open_dict(config):
            del config["hydra"]
        self.overrides = tuple(one.text for one in given)
        self.search = search
        self.swept = tuple(word.partition("=")[0].lstrip("+~") for word in swept)
        self.job = job
        self._config = config
        self._given = tuple(given)
        self._loader = loader
        with noting_secrets(config):
            self.mapping, self.problems = resolved(config, self.locate)
        note_addresses(self.mapping)

    @cached_property
    def composed_yaml(self) -> str:
        """The config as YAML before interpolation, as ``--cfg job`` prints it; without passwords."""
        return concealed(OmegaConf.to_yaml(self._config))

    @cached_property
    def provenance(self) -> Provenance:
        """The history of every key; computed when first asked for, since a config without problems needs none."""
        return provenance_of(self._loader, self._given, self.search)

    def experiment(self) -> Experiment:
        """The validated config.

        Raises:
            SpecError: with every problem found.
        """
        return validate_experiment(self.mapping, self.locate, self.problems, self.written)

    def locate(self, key: str) -> Origin | None:
        """The file and line, override or sweep that set a key; its nearest parent's, or the recipe, where nobody set the key itself."""
        return self.provenance.locate(key) or self._recipe

    def written(self, key: str) -> str | None:
        """The value of a key as it was written, where that is one word or line without quotes or interpolations."""
        settings = self.history(key)
        text = settings[-1].text if settings else None
        return None if text is None or "${" in text else text

    @property
    def _recipe(self) -> Origin | None:
        """The first line of the recipe's file."""
        path = self.search.find(f"recipe/{self.choices.get('recipe')}")
        return None if path is None else Origin(display(path), 1)

    def history(self, key: str) -> list[Setting]:
        """Every time that a key was set, in order; the last is in force, and none means that the default stands."""
        return self.provenance.history(key)


def compose(
    overrides: Sequence[str] = (),
    config_dirs: Sequence[Path] = (),
    recipe: str | None = None,
    swept: Collection[str] = (),
    job: int | None = None,
    own: bool = True,
    recipe_needed: bool = True,
) -> Composed:
    """Composes the config of one run.

    Args:
        overrides: ``key=value`` for any key, ``group=option``, and Hydra's other forms, in the order in which they apply.
        config_dirs: folders searched before ``./configs`` and the shipped configs.
        recipe: short for the override ``recipe=…`` before all others.
        swept: those of the overrides that a sweep chose.
        job: of a multirun's job its number.
        own: whether ``./configs`` is searched.
        recipe_needed: whether a config without one is wrong; single sections may be all that is wanted.

    Raises:
        SpecError: an override, a YAML file or an interpolation is wrong, or no recipe is chosen.
        InputError: a folder of ``config_dirs`` does not exist.
    """
    search = SearchPath.of(config_dirs, own)
    given = OverrideReader(search).read([*([f"recipe={recipe}"] if recipe else []), *overrides], swept)
    with hydra_session(search), reworded(search, given), limited_interpolations():
        config = hydra.compose(PRIMARY, overrides=for_hydra(given), return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        check_hydra(config, lambda: provenance_of(loader, given, search))
        composed = Composed(config, given, search, loader, swept, job)
    if recipe_needed:
        _require_recipe(composed)
    return composed


def _require_recipe(composed: Composed) -> None:
    """A config is nothing without a recipe; one that a YAML file forgot to name is named after its choice."""
    if composed.mapping.get("recipe") is not None:
        return
    choice = composed.choices.get("recipe")
    if choice is not None:
        composed.mapping["recipe"] = choice.rsplit("/", 1)[-1]
        return
    search = composed.search
    foreign = foreign_primary(search)
    if foreign is not None:
        raise SpecError([foreign])
    recipes = search.options("recipe")
    problems = []
    for one in composed._given:
        first = one.key.split(".")[0]
        if one.kind == "value" and first not in search.groups() and (name := nearest(first, search.groups())):
            suggestion = one.text.replace(first, name, 1)
            problems.append(Problem(one.key, f"unknown key '{first}'", origin=one.origin, suggestion=suggestion))
    problems.append(Problem("", "no recipe is chosen", expected="recipe=" + " or recipe=".join(recipes)))
    raise SpecError(problems)
