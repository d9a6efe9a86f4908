"""Where the captions and the images that a config means are read."""

from __future__ import annotations

from pathlib import Path

from framework.data.download import find_download, find_provided, local_file
from framework.data.files import find_file
from framework.data.images.found import IMAGES_KEY, ImageFiles
from framework.data.packed import PackedText, text_file
from framework.errors import DataError, Problem
from framework.files import expanded
from framework.spec.captions import CaptionsDataSpec
from framework.spec.experiment import PathsSpec

OFFLINE = "data=scenes"
"""Override that chooses images without a download."""


def find_captions(spec: CaptionsDataSpec, paths: PathsSpec) -> Path | PackedText:
    """The caption file.

    Raises:
        DataError: nothing says where it is, it is not there, or may not be or cannot be fetched.
    """
    if spec.captions_path is None:
        hint = f"set data.captions_path=FILE, or choose {OFFLINE}"
        raise DataError(Problem("data.captions_path", "is missing", expected="a file with captions", hint=hint))
    return text_file(_file(spec.captions_path, spec, paths, "data.captions_path"), spec.member, "data.member")


def find_lists(spec: CaptionsDataSpec) -> dict[str, Path | PackedText]:
    """The lists of images by part."""
    if spec.parts is None:
        return {}
    named = {"train": spec.parts.train, "validation": spec.parts.validation, "test": spec.parts.test}
    return {part: text_file(find_file(path, f"data.parts.{part}"), None, f"data.parts.{part}") for part, path in named.items() if path}


def find_images(spec: CaptionsDataSpec, paths: PathsSpec) -> ImageFiles | None:
    """The images; None where nothing says where they are, as ready-made features need none.

    Raises:
        DataError: a folder or an archive is not there, or may not be or cannot be fetched.
    """
    if not spec.images():
        return None
    return ImageFiles([_place(one, spec, paths) for one in spec.images()])


def _place(path: str, spec: CaptionsDataSpec, paths: PathsSpec) -> Path:
    try:
        folder = expanded(path)
    except OSError as error:
        raise DataError(Problem(IMAGES_KEY, f"'{path}' cannot be looked up: {error.strerror}")) from error
    return folder if folder.is_dir() else _file(path, spec, paths, IMAGES_KEY)


def _file(path: str, spec: CaptionsDataSpec, paths: PathsSpec, key: str) -> Path:
    """A file; one of those that the user has to get, or that are fetched, if it has its name."""
    for provided in spec.provided:
        if provided.filename == path:
            return find_provided(provided.filename, provided.sha256, paths, provided.how, key, OFFLINE)
    _ask_first(spec, paths)
    for download in spec.downloads:
        if download.filename == path:
            return find_download(download, paths, OFFLINE)
    return find_file(path, key)


def _ask_first(spec: CaptionsDataSpec, paths: PathsSpec) -> None:
    """Large files are fetched only for a user who wants them.

    Raises:
        DataError: some would have to be fetched, and nobody has said so.
    """
    names = {one.filename for one in spec.fetched()}
    missing = [one for one in spec.downloads if one.filename in names and local_file(one.filename, paths) is None]
    if not missing or spec.accept_download:
        return
    listed = ", ".join(f"{one.url} ({one.size / 1e9:.1f} GB)" for one in missing)
    message = f"{sum(one.size for one in missing) / 1e9:.1f} GB would have to be fetched: {listed}"
    hint = f"data.accept_download=true fetches them into the cache folder; {OFFLINE} needs no download"
    raise DataError(Problem("data.accept_download", message, value="false", hint=hint))
