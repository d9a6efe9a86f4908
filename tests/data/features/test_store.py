"""Features are computed once, survive a kill at any moment, and are shared by processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from framework.data.features.compute import compute_missing
from framework.data.features.patches import Patches
from framework.data.features.store import FeatureStore, digest_of
from framework.data.images.decode import ImageFault
from framework.data.watched import watched_by
from framework.errors import DataError
from framework.spec.features import PatchesSpec

SPEC = PatchesSpec(image_size=4, patch_size=2, positions="none", dtype="float32", batch_size=4)

SLOW = """
import io, sys, time
from pathlib import Path
from PIL import Image
from framework.data.features import compute
from framework.data.features.store import FeatureStore, digest_of
from framework.spec.features import PatchesSpec

def image(number):
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (number, 0, 0)).save(file, "PPM")
    return file.getvalue()

spec = PatchesSpec(image_size=4, patch_size=2, positions="none", dtype="float32", batch_size=4)
images = [image(number) for number in range(40)]
def read(number):
    print(number, flush=True)
    time.sleep(float(sys.argv[2]))
    return images[number]
store = FeatureStore(Path(sys.argv[1]), spec)
compute.compute_missing(store, spec, [digest_of(one) for one in images], read)
"""


def ppm(number: int) -> bytes:
    return b"P6 4 4 255\n" + bytes([number, 0, 0] * 16)


def read_all(images: list[bytes], asked: list[int]) -> Any:
    def read(number: int) -> bytes:
        asked.append(number)
        return images[number]

    return read


def test_patches_are_the_images_pixels() -> None:
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(1, 4, 4, 3)
    found = Patches(SPEC)(image)
    assert found.shape == (1, 4, 12) and SPEC.shape == (4, 12)
    assert_allclose(found[0, 0] * 255, image[0, :2, :2].ravel(), atol=1e-4)
    assert_allclose(found[0, 2] * 255, image[0, 2:, :2].ravel(), atol=1e-4)


@pytest.mark.parametrize("positions", ["none", "coordinates", "one_hot"])
def test_a_patch_knows_where_it_lies(positions: str) -> None:
    spec = PatchesSpec.model_validate({**SPEC.model_dump(), "image_size": 6, "positions": positions})
    found = Patches(spec)(np.zeros((2, 6, 6, 3), np.uint8))
    assert found.shape == (2, *spec.shape)
    last = found[1, 5, 12:].tolist()  # the second row's third column
    assert last == {"none": [], "coordinates": [1, 0], "one_hot": [0, 0, 1, 0, 1, 0]}[positions]


def test_each_image_is_looked_at_once(tmp_path: Path) -> None:
    images = [ppm(number % 7) for number in range(10)]
    digests = [digest_of(one) for one in images]
    store, asked = FeatureStore(tmp_path, SPEC), list[int]()
    told: list[tuple[int, int, str, str]] = []
    with watched_by(lambda *what: told.append(what)):
        assert compute_missing(store, SPEC, digests, read_all(images, asked)) == {}
    assert asked == list(range(7)) and told == [(done, 10, "patches features", "images") for done in (0, 4, 8, 10)]
    assert_array_equal(store.rows(digests), [number % 7 for number in range(10)])
    assert_allclose(store.values()[:, 0, 0] * 255, range(7), atol=1e-4)
    assert compute_missing(FeatureStore(tmp_path, SPEC), SPEC, digests, read_all(images, asked)) == {} and len(asked) == 7
    more = [*images, ppm(99)]
    compute_missing(FeatureStore(tmp_path, SPEC), SPEC, [digest_of(one) for one in more], read_all(more, asked))
    assert asked[7:] == [10] and len(store.values()) == 8
    other = SPEC.model_copy(update={"image_size": 8})
    compute_missing(FeatureStore(tmp_path, other), other, digests, read_all(images, asked))
    assert len(asked) == 15 and len(list(tmp_path.iterdir())) == 2


def test_never_more_than_one_batch_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def extract(self: Patches, images: Any) -> Any:
        seen.append(len(images))
        return np.zeros((len(images), 4, 12), np.float32)

    monkeypatch.setattr(Patches, "__call__", extract)
    images = [ppm(number) for number in range(11)]
    compute_missing(FeatureStore(tmp_path, SPEC), SPEC, [digest_of(one) for one in images], lambda number: images[number])
    assert seen == [4, 4, 3]


def test_broken_images_are_told_and_tried_again(tmp_path: Path) -> None:
    images = [ppm(0), b"text", ppm(2)]
    digests = [digest_of(one) for one in images]

    def read(number: int) -> bytes:
        if number == 2:
            raise ImageFault("it is gone")
        return images[number]

    store = FeatureStore(tmp_path, SPEC)
    assert compute_missing(store, SPEC, digests, read) == {1: "it is no image: it begins with b'text'", 2: "it is gone"}
    assert compute_missing(store, SPEC, digests, lambda number: images[number]) == {1: "it is no image: it begins with b'text'"}
    assert store.rows(digests).tolist() == [0, -1, 1]
    changed = compute_missing(store, SPEC, [digest_of(ppm(9))], lambda number: ppm(8))
    assert changed == {0: "it has changed while features were computed"}


def start(folder: Path, pause: float) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SLOW, str(folder), str(pause)], stdout=subprocess.PIPE, text=True)


def test_a_kill_costs_one_batch_at_most(tmp_path: Path) -> None:
    child = start(tmp_path, 0.01)
    assert child.stdout is not None
    for _ in range(19):  # in the midst of the fifth batch
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    store = FeatureStore(tmp_path, SPEC)
    done = len(store.values())
    assert done in (16, 20)
    again = subprocess.run([sys.executable, "-c", SLOW, str(tmp_path), "0"], capture_output=True, text=True, check=True)
    assert [int(line) for line in again.stdout.split()] == list(range(done, 40))
    assert_allclose(store.values()[:, 0, 0] * 255, range(40), atol=1e-4)


def test_what_a_kill_leaves_of_a_batch_is_written_over(tmp_path: Path) -> None:
    images = [ppm(number) for number in range(8)]
    digests = [digest_of(one) for one in images]
    whole = FeatureStore(tmp_path / "whole", SPEC)
    compute_missing(whole, SPEC, digests, lambda number: images[number])
    store = FeatureStore(tmp_path / "killed", SPEC)
    compute_missing(store, SPEC, digests[:4], lambda number: images[number])
    for name, rest in (("values", b"x" * 50), ("index", b"y" * 31)):
        with (store.folder / name).open("ab") as file:
            file.write(rest)
    store = FeatureStore(tmp_path / "killed", SPEC)
    assert store.rows(digests).tolist() == [0, 1, 2, 3, -1, -1, -1, -1]
    compute_missing(store, SPEC, digests, lambda number: images[number])
    for name in ("values", "index", "features.json"):
        assert (store.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_of_two_processes_one_computes_and_the_other_waits(tmp_path: Path) -> None:
    both = [start(tmp_path, 0.02) for _ in range(2)]
    said = [one.communicate()[0].split() for one in both]
    assert sorted(map(len, said)) == [0, 40] and [one.returncode for one in both] == [0, 0]
    assert len(FeatureStore(tmp_path, SPEC).values()) == 40


def test_numbers_that_cannot_be_kept_are_refused(tmp_path: Path) -> None:
    half = SPEC.model_copy(update={"dtype": "float16"})
    store = FeatureStore(tmp_path, half)
    with store.writing(), pytest.raises(DataError, match=r"float16 cannot hold.*\n.*data.features.dtype=float32"):
        store.append([b"0" * 32], np.full((1, 2, 3), 70_000, np.float32))
    with store.writing():
        store.append([b"0" * 32], np.ones((1, 2, 3), np.float32))
        with pytest.raises(DataError, match=r"features of shape \(3, 2\) where \(2, 3\) was expected"):
            store.append([b"1" * 32], np.ones((1, 3, 2), np.float32))
    (store.folder / "features.json").write_text("{}")
    with pytest.raises(DataError, match="remove that folder"):
        _ = store.shape


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match=r"paths.cache_dir: cannot write"), FeatureStore(tmp_path, SPEC).writing():
        pass


def test_a_file_in_the_caches_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match=r"paths.cache_dir: cannot write"), FeatureStore(tmp_path / "cache", SPEC).writing():
        pass
