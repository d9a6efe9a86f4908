"""Small images with captions, and what is made of them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from framework.data.prepare import prepare
from framework.data.prepared import PreparedData
from framework.spec.captions import CaptionsDataSpec
from framework.spec.experiment import PathsSpec

Prepare = Callable[..., PreparedData]

PATCHES = {"kind": "patches", "image_size": 4, "patch_size": 2, "positions": "none", "dtype": "float32", "batch_size": 3}
COLOURS = ("red", "lime", "blue", "white", "black", "yellow", "cyan", "magenta")


def picture(colour: str = "red", size: tuple[int, int] = (4, 4), form: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    """An image file of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(file, form, **options)
    return file.getvalue()


def pictures(count: int) -> dict[str, bytes]:
    """Images of different content, ``0.png`` and so on."""
    return {f"{number}.png": picture(COLOURS[number % 8], (4 + number // 8, 4)) for number in range(count)}


def zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def fill(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def table(count: int, captions: int = 2) -> str:
    """Captions of the images that :func:`pictures` makes."""
    rows = [f"{number}.png\ta {COLOURS[number % 8]} picture {'very ' * one}old" for number in range(count) for one in range(captions)]
    return "\n".join(["image\tcaption", *rows]) + "\n"


@pytest.fixture
def prepare_captions(tmp_path: Path) -> Prepare:
    """Prepares a caption file's text (named by ``name``) with images (or a spec's own places); the seed is 0."""

    def run(
        text: str | None = None,
        images: Mapping[str, bytes] | None = None,
        *,
        name: str = "captions.tsv",
        seed: int | None = 0,
        processor: Any = None,
        **settings: Any,
    ) -> PreparedData:
        if text is not None:
            (tmp_path / name).write_text(text)
            settings.setdefault("captions_path", str(tmp_path / name))
        if images is not None:
            settings.setdefault("images_path", str(fill(tmp_path / "images", images)))
        base = {"drop_remainder": False, "batch_size": 4, "features": PATCHES}
        spec = CaptionsDataSpec.model_validate({**base, **settings})
        return prepare(spec, PathsSpec(cache_dir=str(tmp_path / "cache")), seed, processor)

    return run
