"""Images in folders and zip archives, by the names that captions give them; nothing is unpacked to the disk."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from framework.data.images.decode import MOST_BYTES, ImageFault
from framework.data.packed import readable
from framework.errors import DataError, Problem
from framework.files import open_plain

IMAGES_KEY = "data.images_path"

_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm"})
_NAMED = 5


class Images(Protocol):
    """Where images are read."""

    def find(self, name: str) -> str | None:
        """The full name of the image that a caption calls ``name``; None where there is none.

        Raises:
            DataError: several are called so.
        """
        ...

    def read(self, name: str) -> bytes:
        """The file of an image, by its full name.

        Raises:
            ImageFault: it cannot be read.
        """
        ...

    def path(self, name: str) -> Path | None:
        """The file itself, where it is one."""
        ...

    def regions(self, name: str) -> Mapping[str, tuple[float, float, float, float]]:
        """Where the things lie that captions of an image name; see :class:`framework.data.prepared.Example`. Nothing where nobody knows."""
        ...

    def names(self) -> Sequence[str]:
        """Full names of all images."""
        ...


class ImageFiles:
    """The images in folders and archives.

    A caption's name is that of a file, with its folders as they are below the folder or in the archive, or without them where only
    one file is called so.

    Args:
        places: folders and zip archives.

    Raises:
        DataError: a place is neither, cannot be read, or an archive names files outside of itself.
    """

    def __init__(self, places: Sequence[Path]) -> None:
        self._files: dict[str, tuple[Path, str]] = {}
        self._short: dict[str, list[str]] = {}
        self._archives: dict[Path, zipfile.ZipFile] = {}
        for place in places:
            for name in _names(place):
                full = name if name not in self._files else f"{place.name}/{name}"
                self._files[full] = (place, name)
                self._short.setdefault(PurePosixPath(name).name, []).append(full)

    def find(self, name: str) -> str | None:
        """See :class:`Images`."""
        short = self._short.get(PurePosixPath(name).name, [])
        exact = [one for one in short if self._files[one][1] == name]
        if len(exact) == 1:
            return exact[0]
        candidates = exact or (short if "/" not in name else [one for one in short if one.endswith(f"/{name}")])
        if len(candidates) > 1:
            listed = ", ".join(map(repr, candidates[:_NAMED])) + (", …" if len(candidates) > _NAMED else "")
            raise DataError(Problem(IMAGES_KEY, f"several images are called '{name}': {listed}", expected="one, or names with folders"))
        return candidates[0] if candidates else None

    def read(self, name: str) -> bytes:
        """See :class:`Images`."""
        place, inside = self._files[name]
        try:
            if place.is_dir():
                with open_plain(place / inside) as file:
                    return _limited(file.read(MOST_BYTES + 1))
            if place not in self._archives:
                self._archives[place] = zipfile.ZipFile(place)
            with readable(f"{place}/{inside}"), self._archives[place].open(inside) as stream:
                return _limited(stream.read(MOST_BYTES + 1))
        except OSError as error:
            raise ImageFault(f"it cannot be read: {error.strerror or error}") from error
        except ImageFault:
            raise
        except DataError as error:
            raise ImageFault(str(error)) from error

    def path(self, name: str) -> Path | None:
        """See :class:`Images`."""
        place, inside = self._files[name]
        return place / inside if place.is_dir() else None

    def regions(self, name: str) -> Mapping[str, tuple[float, float, float, float]]:
        """Files tell nothing of what is on them."""
        return {}

    def names(self) -> Sequence[str]:
        """See :class:`Images`; files with other endings than images have do not count."""
        return [name for name in self._files if PurePosixPath(name).suffix.lower() in _ENDINGS]


def _limited(content: bytes) -> bytes:
    if len(content) > MOST_BYTES:
        raise ImageFault(f"it has more than {MOST_BYTES:,} bytes")
    return content


def _names(place: Path) -> list[str]:
    if place.is_dir():
        return sorted(_below(place))
    if place.suffix.lower() != ".zip":
        raise DataError(Problem(IMAGES_KEY, f"'{place}' is neither a folder nor a zip archive", expected="a folder or a .zip file"))
    with readable(place), zipfile.ZipFile(place) as archive:
        names = [one.filename for one in archive.infolist() if not one.is_dir()]
    for name in names:
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
            hint = "such an archive is made to overwrite files; take one from another source"
            raise DataError(Problem(IMAGES_KEY, f"archive '{place}' names a file outside of itself: '{name}'", hint=hint))
    return names


def _below(folder: Path) -> Iterator[str]:
    """Files in a folder and below, hidden ones left out; folders that are links are not entered."""
    try:
        for parent, folders, names in os.walk(folder, onerror=_raise):
            folders[:] = [one for one in folders if not one.startswith(".")]
            for name in names:
                if not name.startswith("."):
                    yield Path(parent, name).relative_to(folder).as_posix()
    except OSError as error:
        raise DataError(Problem(IMAGES_KEY, f"folder '{folder}' cannot be read: {error.strerror or error}")) from error


def _raise(error: OSError) -> None:
    raise error
