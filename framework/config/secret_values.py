"""Which values of a config are secret: those that hold an address with a password, and those that come from a secret variable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from framework.secrets import HIDDEN, conceal, concealed, is_secret_name, remember, remember_address, remember_place

_hiding: ContextVar[bool] = ContextVar("hiding", default=False)
_given_out: ContextVar[list[str] | None] = ContextVar("given_out", default=None)


def environment_variable(name: str, *default: Any) -> str | None:
    """The resolver of ``${oc.env:NAME}``: OmegaConf's own, which also takes note of what is secret."""
    value = oc.env(name, *default)
    if value is None or not is_secret_name(name):
        return value
    names = _given_out.get()
    if names is not None:
        names.append(name)
    shown = concealed_address(value)
    if shown is None:
        remember(value)
    return (shown or HIDDEN) if _hiding.get() else value


def concealed_address(value: str) -> str | None:
    """An address without its secrets, which are taken note of; None for what holds no address with a secret."""
    shown: str = conceal(value)
    if shown == value:
        return None
    remember_address(value)
    return shown


@contextmanager
def noting_secrets(config: DictConfig) -> Iterator[None]:
    """Takes note of the secrets of a config while it is resolved.

    Args:
        config: the composed config, which is resolved within the context, and once more at its end where that gave out a secret.
    """
    names: list[str] = []
    token = _given_out.set(names)
    try:
        yield
    finally:
        _given_out.reset(token)
    if names:
        _note_places(config)


def note_addresses(plain: Any) -> None:
    """Takes note of the secrets in the addresses of nested data."""
    for _, value in _leaves(plain):
        concealed_address(value)


def note_secrets(config: DictConfig) -> None:
    """Takes note of the secrets of a config that nobody resolves here, as far as it can be resolved."""
    own = _without_hydra(config)
    with suppress(OmegaConfBaseException), noting_secrets(own):
        note_addresses(OmegaConf.to_container(own, resolve=True))


def hide_secrets(config: DictConfig) -> None:
    """Takes the passwords out of the addresses that are written out in a config."""
    plain: Any = OmegaConf.to_container(_without_hydra(config), resolve=False)
    with read_write(config), open_dict(config):
        for key, value in conceal(plain).items():
            if value != plain[key]:
                config[key] = value


def _note_places(config: DictConfig) -> None:
    """Finds the values that hold a secret: they differ when the variables are hidden."""
    token = _hiding.set(True)
    try:
        hidden = dict(_leaves(OmegaConf.to_container(config, resolve=True)))
    except OmegaConfBaseException:  # an expression that cannot be computed from a hidden value
        hidden = {}
    finally:
        _hiding.reset(token)
    try:
        known = dict(_leaves(OmegaConf.to_container(config, resolve=True)))
    except OmegaConfBaseException:  # there is no run of such a config, and what is told of it shows the expressions
        return
    for path, value in known.items():
        shown = hidden.get(path) or concealed(value)
        if shown != value:
            remember_place(path, value, conceal(shown))


def _without_hydra(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of nested data with its dotted key."""
    if isinstance(value, Mapping | list):
        for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _leaves(part, f"{path}.{key}" if path else str(key))
    elif isinstance(value, str):
        yield path, value
