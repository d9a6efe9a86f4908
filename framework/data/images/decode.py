"""From an image file's bytes to pixels that are right whatever the file is like, or one sentence that says why there are none."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.errors import DataError, InputError
from framework.files import read_plain

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""What is read, by Pillow's names; others may start programs (EPS) or are no photos."""

MOST_PIXELS = 120_000_000
"""Pixels of an image at most: a panorama of 20,000 by 6,000."""

MOST_BYTES = 256 * 2**20
"""Bytes of an image file at most."""

_ORIENTATION = 0x0112
_SIXTEEN_BITS = 257
_HEAD = 12
_SHOWN = 640
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")


class ImageFault(DataError):
    """A file is no image that can be shown to a model; its text says why."""


def decode(content: bytes) -> Any:
    """The image as a ``PIL.Image`` of mode RGB, upright.

    Of an animation the first picture counts. What is transparent is laid on white; CMYK, grey, palettes and 16 bits become RGB; what
    EXIF says of a camera's rotation is done.

    Raises:
        ImageFault: it is no image, damaged, or too large to be unpacked.
        InputError: Pillow is not installed.
    """
    library = _library()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit is below ours; what else it warns of is harmless or an error later
            image = library.open(io.BytesIO(content), formats=FORMATS)
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ImageFault(f"it has {width:,} x {height:,} pixels; at most {MOST_PIXELS:,} are unpacked")
            image.seek(0)
            image.load()
            return _upright(_coloured(image))
    except ImageFault:
        raise
    except library.UnidentifiedImageError as error:
        if content.startswith(_SIGNATURES):
            raise ImageFault("it is damaged: its first bytes are those of an image, and what follows is not") from error
        raise ImageFault(f"it is no image: it begins with {content[:_HEAD]!r}") from error
    except library.DecompressionBombError as error:
        raise ImageFault(f"it has too many pixels; at most {MOST_PIXELS:,} are unpacked") from error
    except Exception as error:  # decoders of a dozen formats fail in every way at what is not as it should be
        raise ImageFault(f"it cannot be unpacked: {_reason(error)}") from error


def pixels(content: bytes, size: int) -> NDArray[np.uint8]:
    """The image brought to a square of ``size`` pixels, its sides' ratio given up: ``(size, size, 3) uint8``.

    Raises:
        ImageFault: see :func:`decode`.
    """
    return square(decode(content), size)


def square(image: Any, size: int) -> NDArray[np.uint8]:
    """An image of mode RGB brought to a square: ``(size, size, 3) uint8``; bilinear, over all of the pixels that become one."""
    if image.size != (size, size):
        image = image.resize((size, size), _library().Resampling.BILINEAR)
    return np.asarray(image, np.uint8)


def shown(image: str | Path | bytes) -> NDArray[np.uint8]:
    """An image as people see it, ``(height, width, 3) uint8``, its longer side at most 640 pixels.

    Args:
        image: a file's path, or what it holds.

    Raises:
        DataError: the file cannot be read; or, as :class:`ImageFault`, is no image.
    """
    try:
        content = image if isinstance(image, bytes) else read_plain(Path(image))
    except OSError as error:
        raise DataError(f"'{image!s}' cannot be read: {error.strerror or error}") from error
    found = decode(content)
    found.thumbnail((_SHOWN, _SHOWN))
    return np.asarray(found, np.uint8)


def _coloured(image: Any) -> Any:
    """As RGB."""
    library = _library()
    if image.mode.startswith("I;16") or image.mode == "I":
        values = np.asarray(image).astype(np.int64)
        image = library.fromarray(np.clip(values // _SIXTEEN_BITS, 0, 255).astype(np.uint8)).convert("RGB")
        return image
    if image.mode == "F":
        raise ImageFault("its pixels are floating-point numbers, of which nobody knows which is white")
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        behind = library.new("RGBA", image.size, (255, 255, 255, 255))
        return library.alpha_composite(behind, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _upright(image: Any) -> Any:
    """Turned as EXIF says; a photo whose EXIF is damaged stays as it is."""
    turn = _library().Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    try:
        orientation = image.getexif().get(_ORIENTATION)
    except Exception:  # whatever reading it fails with, the pixels are there
        return image
    return image.transpose(turns[orientation]) if orientation in turns else image


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if text else type(error).__name__


def _library() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("images need Pillow, which is not installed: pip install 'gatework[captioning]'") from error
    return Image
