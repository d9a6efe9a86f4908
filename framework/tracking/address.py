"""Addresses of tracking stores: the folder of a run names the place, and this process alone knows the password."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from framework.errors import InputError
from framework.files import expanded
from framework.secrets import HIDDEN, conceal, fits, remember_address, revealed
from framework.spec.tracking import TrackingSpec

KEY = "tracking.uri"
URI = "MLFLOW_TRACKING_URI"
USER, PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"

_SQLITE = "sqlite:///"

SECRETS = (PASSWORD, "MLFLOW_TRACKING_TOKEN")
"""Variables whose values no text may hold."""

_OTHER_WAYS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_AUTH", "MLFLOW_TRACKING_AWS_SIGV4")
"""Further variables by which MLflow lets its user in."""


def shown(address: str) -> str:
    """An address as it is kept and told: without user and password."""
    text: str = conceal(address, KEY)
    return text


def without_password(address: str) -> str:
    """An address as a sentence names it: without user and password, and without the mark of their place."""
    return shown(address).replace(f"{HIDDEN}@", "")


def from_environment() -> str | None:
    """The address in ``MLFLOW_TRACKING_URI``."""
    return os.environ.get(URI) or None


def whole_address(address: str) -> str:
    """The address to open, of one that may lack its password, which the environment then has.

    ``MLFLOW_TRACKING_URI`` counts where it names the same place; a server's user and password may also come by MLflow's own ways,
    such as ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``.

    Raises:
        InputError: they are nowhere; the message names the variables to set.
    """
    found = revealed(address)
    if found is not None:
        return found
    given = from_environment()
    if given is not None and fits(given, address):
        return given
    bare = address.replace(f"{HIDDEN}@", "")
    if _is_http(address) and HIDDEN not in bare:
        if _lets_in():
            return bare
        raise InputError(f"no user and password for {bare}: set {USER} and {PASSWORD}, or MLFLOW_TRACKING_TOKEN")
    raise InputError(f"no password for {address}: set {URI} to the whole address")


def database_address(file: Path) -> str:
    """The address of an SQLite database.

    Raises:
        InputError: a ``?`` is in its path. In an address it begins the settings, however it is escaped, and MLflow would use a file
            of another folder.
    """
    if "?" not in str(file):
        return f"{_SQLITE}{file}"
    hint = "name another one with tracking.uri=sqlite:////FOLDER/mlflow.db, or choose tracking=none"
    raise InputError(f"{KEY}: MLflow cannot keep its database at {file}, with a '?' in its path\n    hint: {hint}")


def store_uri(folder: Path, tracking: TrackingSpec) -> str:
    """Address of the store that a config means.

    Where it names none, ``MLFLOW_TRACKING_URI`` does, and else it is a database beside the folder of all runs.

    Args:
        folder: the run's folder, ``runs/<recipe>/<name>``.
        tracking: the config's section; a relative database file in it counts from the working folder.
    """
    uri = tracking.uri or from_environment()
    if uri is None:
        return database_address(_beside_runs(folder) / "mlflow.db")
    return f"{_SQLITE}{expanded(uri.removeprefix(_SQLITE)).absolute()}" if uri.startswith(_SQLITE) else uri


def artifacts_folder(folder: Path, uri: str) -> Path | None:
    """Folder for the artifacts of a store without a server of its own; None where the server decides."""
    if not uri.startswith(("sqlite:", "postgresql", "mysql", "mssql", "file:", "/", ".")):
        return None
    return (Path(uri.removeprefix(_SQLITE)).parent if uri.startswith(_SQLITE) else _beside_runs(folder)) / "mlartifacts"


def split_user(address: str) -> tuple[str, tuple[str, str] | None]:
    """The address of a server without user and password, and these; other addresses as they are.

    MLflow then never holds an address whose password it could write down or tell.
    """
    remember_address(address)
    if not _is_http(address):
        return address, None
    try:
        parts = urlsplit(address)
    except ValueError:  # no address; MLflow says so
        return address, None
    user, _, place = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    if not (name and password):  # MLflow lets nobody in without both; what the address alone says is left to it
        return address, None
    return urlunsplit(parts._replace(netloc=place)), (unquote(name), unquote(password))


@contextmanager
def environment_of(address: str, user: tuple[str, str] | None) -> Iterator[None]:
    """MLflow's variables while it is called, and as they were afterwards: MLflow sets one itself, which would name another store.

    Args:
        address: of the store.
        user: name and password; those of the environment where there are none.
    """
    names = (URI, USER, PASSWORD)
    before = {name: os.environ.get(name) for name in names}
    os.environ[URI] = address
    if user is not None:
        os.environ[USER], os.environ[PASSWORD] = user
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _beside_runs(folder: Path) -> Path:
    return folder.absolute().parents[2]


def _lets_in() -> bool:
    if os.environ.get(USER) and os.environ.get(PASSWORD):
        return True
    if any(os.environ.get(name) for name in _OTHER_WAYS):
        return True
    with suppress(RuntimeError):  # there is no home
        return (Path.home() / ".mlflow" / "credentials").is_file()
    return False


def _is_http(address: str) -> bool:
    return address.startswith(("http://", "https://"))
