"""Where config files lie: the user's folders first, the shipped one last."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from framework.errors import InputError

PRIMARY = "config"
"""Name of the config that the composition starts from."""

SCHEMA_FOLDER = "schema"
"""Folder beside the groups that holds JSON Schemas; no group itself."""

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped_configs() -> Path:
    """The folder of configs that comes with Gatework: inside the installed package, or beside it in a checkout.

    Raises:
        InputError: the installation has lost its configs.
    """
    for folder in (_PACKAGE / "configs", _PACKAGE.parent / "configs"):
        if (folder / f"{PRIMARY}.yaml").is_file():
            return folder
    raise InputError(f"Gatework's own configs are missing from {_PACKAGE}; install it again")


def own_folder() -> Path:
    """Where a user's own configs lie in the working folder: ``configs``, or ``own_configs`` where that is Gatework's own folder.

    So it is in a checkout, whose ``configs`` are under version control and held by its tests.
    """
    here = Path("configs")
    return Path("own_configs") if here.resolve() == shipped_configs() else here


def display(path: Path) -> str:
    """The path as a user can open it: relative where it lies below the working folder, else absolute."""
    absolute = path.absolute()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except ValueError:
        return str(absolute)


def typed_path(path: Path) -> str:
    """The same as a person types it in a shell."""
    return shlex.quote(display(path))


@dataclass(frozen=True)
class SearchPath:
    """Config folders in the order in which they are searched; a file in an earlier one hides its namesakes in later ones.

    Attributes:
        folders: absolute folders; the last is the shipped one.
    """

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, config_dirs: Sequence[Path] = (), own: bool = True) -> SearchPath:
        """``config_dirs`` in their order, then :func:`own_folder` where it exists and ``own`` is true, then the shipped configs.

        Raises:
            InputError: one of ``config_dirs`` is no folder.
        """
        for folder in config_dirs:
            if not os.path.isdir(folder):
                raise InputError(f"no config folder '{folder}'; --config-dir names an existing folder")
        here = own_folder()
        shipped = shipped_configs()
        wanted = [*config_dirs, *([here] if own and here.is_dir() else []), shipped]
        return cls(tuple(dict.fromkeys(folder.resolve() for folder in wanted)))

    @property
    def own(self) -> tuple[Path, ...]:
        """The user's folders, without the shipped one."""
        return tuple(folder for folder in self.folders if folder != shipped_configs())

    def find(self, name: str) -> Path | None:
        """The file of a config such as ``model/text_generation``, or None."""
        for folder in self.folders:
            path = folder / f"{name.removesuffix('.yaml')}.yaml"
            if os.path.isfile(path):  # no error, whatever the name
                return path
        return None

    def is_group(self, name: str) -> bool:
        """Whether ``name`` is a config group: a folder in one of the searched ones."""
        if not name or name == SCHEMA_FOLDER or name.startswith(("/", ".")):
            return False
        return any(os.path.isdir(folder / name) for folder in self.folders)

    def options(self, group: str) -> list[str]:
        """Names that a group offers, sorted; one in a folder below is ``folder/name``."""
        found: set[str] = set()
        for folder in (folder / group for folder in self.folders):
            found.update(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
        return sorted(found)

    def groups(self) -> list[str]:
        """Names of the groups, sorted; Hydra's own are not listed."""
        return sorted({path.name for path in self._subfolders() if path.name != SCHEMA_FOLDER and not path.name.startswith((".", "_"))})

    def _subfolders(self) -> Iterator[Path]:
        for folder in self.folders:
            yield from (path for path in folder.iterdir() if path.is_dir())
