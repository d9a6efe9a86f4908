"""Pixels that are right whatever the file is like, or one sentence that says why there are none."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from framework.data.images import decode as decoding
from framework.data.images.decode import ImageFault, decode, pixels


def saved(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def corner(content: bytes) -> tuple[int, ...]:
    return tuple(np.asarray(decode(content))[0, 0].tolist())


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def halves() -> Image.Image:
    """8 wide and 4 high: the left half red, the right half blue."""
    image = Image.new("RGB", (8, 4), "red")
    image.paste("blue", (4, 0, 8, 4))
    return image


@pytest.mark.parametrize(
    ("image", "form", "expected"),
    [
        (Image.new("L", (2, 2), 77), "PNG", (77, 77, 77)),
        (Image.new("1", (2, 2), 1), "PNG", (255, 255, 255)),
        (Image.new("LA", (2, 2), (10, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 0)), "PNG", (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 51)), "WEBP", (255, 204, 204)),
        (Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "TIFF", (255, 0, 0)),
        (Image.new("I;16", (2, 2), 128 * 257), "PNG", (128, 128, 128)),
        (Image.new("P", (2, 2), 0), "GIF", (0, 0, 0)),
        (Image.new("RGB", (1, 1), "lime"), "BMP", (0, 255, 0)),
    ],
    ids=["grey", "black and white", "grey with alpha", "transparent", "half transparent", "CMYK", "16 bits", "palette", "one pixel"],
)
def test_every_mode_becomes_rgb(image: Image.Image, form: str, expected: tuple[int, ...]) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    assert_allclose(corner(saved(image, form, **options)), expected, atol=1)
    assert pixels(saved(image, form, **options), 8).shape == (8, 8, 3)


def test_cmyk_jpegs_are_not_inverted() -> None:
    assert_allclose(corner(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)), (255, 0, 0), atol=8)


def test_a_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.new("P", (2, 2), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    assert corner(saved(image, transparency=1)) == (255, 255, 255) and corner(saved(image)) == (0, 255, 0)


def test_the_first_picture_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    for form in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        content = saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
        assert_allclose(corner(content), (255, 0, 0), atol=1)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(1, (8, 4)), (2, (8, 4)), (3, (8, 4)), (4, (8, 4)), (5, (4, 8)), (6, (4, 8)), (7, (4, 8)), (8, (4, 8)), (9, (8, 4))],
)
def test_photos_are_turned_as_exif_says(orientation: int, upright: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(saved(halves(), exif=exif))
    assert image.size == upright
    # Where the red half, which the camera had on its left, is to be seen.
    red = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom", 9: "left"}[orientation]
    array = np.asarray(image)
    found = {"left": array[0, 0], "right": array[0, -1], "top": array[0, 0], "bottom": array[-1, 0]}[red]
    assert found.tolist() == [255, 0, 0]


def test_damaged_exif_leaves_the_photo_as_it_is() -> None:
    good = saved(halves(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(good).size == (8, 4)


def test_a_panorama_is_brought_to_the_same_square() -> None:
    image = Image.new("RGB", (20_000, 40), "red")
    image.paste("blue", (10_000, 0, 20_000, 40))
    square = pixels(saved(image), 4)
    assert_array_equal(square[:, 0], [[255, 0, 0]] * 4)
    assert_array_equal(square[:, 3], [[0, 0, 255]] * 4)


def truncated(form: str) -> bytes:
    noise = Image.fromarray(np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8))
    content = saved(noise, form)
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (truncated("JPEG"), "cannot be unpacked: .*truncated"),
        (truncated("PNG"), "cannot be unpacked"),
        (truncated("WEBP"), "cannot be unpacked|it is damaged"),
        (b"Dear reader, this is no photo.\n", "is no image: it begins with b'Dear reader,"),
        (b"", "is no image: it begins with b''"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no image"),
        (png_header(30_000, 30_000) + chunk(b"IDAT", b""), "pixels"),
        (png_header(13_000, 13_000) + chunk(b"IDAT", b""), "it has 13,000 x 13,000 pixels; at most 120,000,000 are unpacked"),
        (saved(Image.new("F", (2, 2), 0.5), "TIFF"), "floating-point numbers"),
    ],
    ids=["half a JPEG", "half a PNG", "half a WebP", "text", "nothing", "EPS", "bomb", "large bomb", "floats"],
)
def test_what_is_no_image_is_told_in_one_sentence(content: bytes, message: str) -> None:
    with pytest.raises(ImageFault, match=message) as caught:
        pixels(content, 8)
    assert "\n" not in str(caught.value)


def test_nothing_is_unpacked_of_an_image_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(Image.new("RGB", (4, 4)))
    monkeypatch.setattr(decoding, "MOST_PIXELS", 15)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was unpacked"))
    with pytest.raises(ImageFault, match="4 x 4 pixels"):
        decode(content)
