"""A file that is fetched once: from the data folder, the user's cache, or its address, with its checksum verified."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath

from framework.data.packed import PackedText
from framework.errors import DataError, Problem
from framework.files import expanded, replacing
from framework.secrets import HIDDEN, concealed
from framework.spec.data import DownloadSpec
from framework.spec.experiment import PathsSpec

DATA_VARIABLE = "GATEWORK_DATA"
"""Environment variable with the data folder, for a config without ``paths.data_dir``."""


_BLOCK = 1 << 18


def find_download(download: DownloadSpec, paths: PathsSpec, offline: str) -> Path:
    """The downloaded file: from the data folder, else the cache, else its address.

    Args:
        download: the file's name below the data folder, its checksum and its address.
        paths: ``data_dir`` (or ``$GATEWORK_DATA``) and ``cache_dir`` (or the user's cache folder of this system).
        offline: override that chooses a data set without download, such as ``data=python_source``; stands in the error.

    Returns:
        A file with that checksum.

    Raises:
        DataError: there is no such file and it cannot be fetched; or one has another checksum.
    """
    found = local_file(download.filename, paths)
    if found is not None:
        return _verified(found, download)
    return _fetch(download, _looked_in(paths), cache_folder(paths) / download.filename, offline)


def find_provided(filename: str, sha256: str | None, paths: PathsSpec, how: str, key: str, offline: str) -> Path:
    """A file that the user has to get: from the data folder, else the cache.

    Args:
        filename: below the data folder.
        sha256: what its checksum must be; None: any.
        paths: see :func:`find_download`.
        how: how to get it, for the error.
        key: setting that named it, likewise.
        offline: see :func:`find_download`.

    Raises:
        DataError: it is not there, or has another checksum.
    """
    found = local_file(filename, paths)
    if found is None:
        places = " nor in ".join(f"'{folder}'" for folder in _looked_in(paths))
        expected = f"the file below paths.data_dir or ${DATA_VARIABLE}"
        raise DataError(Problem(key, f"'{filename}' is not in {places}", expected=expected, hint=f"{how}; {offline} needs no file"))
    if sha256 is not None and (real := sha256_of(found)) != sha256:
        raise DataError(Problem(key, f"checksum of '{found}' differs", value=real, expected=sha256, hint=how))
    return found


def local_file(filename: str, paths: PathsSpec) -> Path | None:
    """A file below the data folder or else the cache; None where it is in neither.

    Raises:
        DataError: its name leads out of them.
    """
    relative = PurePosixPath(filename)
    if relative.is_absolute() or ".." in relative.parts:
        raise DataError(f"data.download.filename: '{filename}' lies outside the data folder")
    return next((folder / relative for folder in _looked_in(paths) if (folder / relative).is_file()), None)


def _looked_in(paths: PathsSpec) -> list[Path]:
    data_dir = paths.data_dir or os.environ.get(DATA_VARIABLE)
    return [*([expanded(data_dir)] if data_dir else []), cache_folder(paths)]


def sha256_of(file: Path) -> str:
    """The file's SHA-256, 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_folder(paths: PathsSpec) -> Path:
    """Where downloads and what is made of them are kept.

    Raises:
        DataError: nothing says where, and there is no home folder.
    """
    if paths.cache_dir:
        return expanded(paths.cache_dir)
    import pooch

    try:
        return Path(pooch.os_cache("gatework"))
    except RuntimeError as error:
        hint = "set it, or HOME"
        raise DataError(Problem("paths.cache_dir", "is missing, and there is no home folder to keep downloads in", hint=hint)) from error


def _verified(file: Path, download: DownloadSpec) -> Path:
    try:
        real = _checksum(file, download)
    except OSError as error:
        raise DataError(f"'{file}' cannot be read: {error.strerror or error}") from error
    if real != download.sha256:
        hint = "remove that file, so that it is fetched again, or correct data.download.sha256"
        raise _mismatch(_checked(str(file), download), download.sha256, real, hint)
    return file


def _checksum(file: Path, download: DownloadSpec) -> str:
    if download.checked is None:
        return sha256_of(file)
    digest = hashlib.sha256()
    for block in PackedText(file, download.checked).blocks(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _checked(place: str, download: DownloadSpec) -> str:
    return place if download.checked is None else f"{place}/{download.checked}"


def _mismatch(what: str, expected: str, real: str, hint: str) -> DataError:
    return DataError(Problem("data.download.sha256", f"checksum of '{what}' differs", value=real, expected=expected, hint=hint))


def _fetch(download: DownloadSpec, looked_in: list[Path], target: Path, offline: str) -> Path:
    """Download beside the target and move it there once verified, so that no half file is ever found."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as part:
            _download(download, looked_in, part, offline)
    except OSError as error:
        hint = "set paths.cache_dir to a folder that can be written"
        raise DataError(Problem("paths.cache_dir", f"'{target.parent}' cannot be written: {error.strerror}", hint=hint)) from error
    return target


def _download(download: DownloadSpec, looked_in: list[Path], part: Path, offline: str) -> None:
    import pooch

    try:
        # A saved config has no password; the user's ~/.netrc may have it.
        pooch.HTTPDownloader(timeout=30)(download.url.replace(f"{HIDDEN}@", ""), str(part), None)
        real = _checksum(part, download)
    except DataError as error:  # no archive
        raise DataError(Problem("data.download.url", f"{download.url} gives something else: {error}")) from error
    except (OSError, ValueError) as error:  # every network error of pooch's client is an OSError
        raise _unreachable(download, looked_in, error, offline) from error
    if real != download.sha256:
        raise _mismatch(_checked(download.url, download), download.sha256, real, "the address gives another file than the config expects")


def _unreachable(download: DownloadSpec, looked_in: list[Path], error: Exception, offline: str) -> DataError:
    reason = " ".join(concealed(str(error)).split())
    places = " and ".join(f"'{folder}'" for folder in looked_in)
    problem = Problem(
        path="data.download",
        message=f"'{download.filename}' is neither in {places} nor can it be fetched from {download.url}",
        value=reason if len(reason) <= 200 else reason[:197] + "...",
        expected=f"the file below paths.data_dir or ${DATA_VARIABLE}, or a network",
        hint=f"{offline} needs no download; data.path=FILE reads your own text",
    )
    return DataError(problem)
