"""Inception v3: the same features on torch as Keras' own network gives, from the same random weights and from the same file."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from framework.data.features import extractor
from framework.data.features.extractor import EXTRACTORS, ExtractorKind, Place
from framework.errors import InputError
from framework.spec.features import InceptionV3Spec

SIZE = 107  # the smallest that leaves more than one place, so that rows and columns can be told apart in every block
SPEC = InceptionV3Spec(image_size=SIZE, weights="random", seed=3)
TRAINED = InceptionV3Spec(image_size=SIZE)
IMAGES = np.random.default_rng(0).integers(256, size=(2, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def on_torch() -> Any:
    return pytest.importorskip("framework.backends.torch.features", exc_type=ImportError)


@pytest.fixture(scope="module")
def on_keras() -> Any:
    pytest.importorskip("keras")
    from framework.backends.tensorflow import features

    return features.inception_v3(SPEC)


@pytest.fixture(scope="module")
def saved(on_keras: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of Keras' network, written by Keras in the form of its published files."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    file = tmp_path_factory.mktemp("saved") / "notop.h5"
    with h5py.File(file, "w") as content:
        save_weights_to_hdf5_group(content, on_keras.network)
    return file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Keras keeps files, which cannot be fetched here."""

    def unreachable(*given: object) -> None:
        raise OSError("no network here")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("pooch.HTTPDownloader.__call__", unreachable)
    return tmp_path / "models"


def expect(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Lets a file pass for the published one."""
    checksum = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    monkeypatch.setattr("framework.backends.torch.inception_v3._CHECKSUM", f"md5:{checksum}")


def assert_same(ours: NDArray[np.float32], keras: NDArray[np.float32]) -> None:
    assert keras.std() > 0.05, "so many layers have neither silenced nor drowned the images"
    assert np.abs(keras[0] - keras[1]).max() > 0.05
    assert_allclose(ours, keras, rtol=0, atol=1e-4 * float(keras.max()))


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.tensorflow
def test_random_weights_give_the_same_features_on_both(on_torch: Any, on_keras: Any) -> None:
    features = on_torch.inception_v3(SPEC)(IMAGES)
    assert features.shape == (2, 4, 2048)
    assert_same(features, on_keras(IMAGES))
    other = on_torch.inception_v3(SPEC.model_copy(update={"seed": 4}))(IMAGES)
    assert np.abs(other - features).max() > 0.05


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.tensorflow
def test_the_tutorials_places_are_the_same_on_both(on_torch: Any) -> None:
    pytest.importorskip("keras")
    from framework.backends.tensorflow import features

    spec = InceptionV3Spec(weights="random")
    images = np.random.default_rng(0).integers(256, size=(2, 299, 299, 3), dtype=np.uint8)
    found = on_torch.inception_v3(spec)(images)
    assert found.shape == (2, 64, 2048)
    assert_same(found, features.inception_v3(spec)(images))


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.tensorflow
def test_a_file_that_keras_has_written_is_fetched_and_read(
    on_torch: Any, on_keras: Any, saved: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expect(monkeypatch, saved)
    with monkeypatch.context() as online:
        online.setattr("pooch.HTTPDownloader.__call__", lambda self, url, target, *others: shutil.copy(saved, target))
        assert_same(on_torch.inception_v3(TRAINED)(IMAGES), on_keras(IMAGES))
    [kept] = home.iterdir()
    assert kept.name == "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5", "Keras finds it there, too"
    assert_same(on_torch.inception_v3(TRAINED)(IMAGES), on_keras(IMAGES))


@pytest.mark.torch
@pytest.mark.parametrize("content", [None, b"", b"half of it"])
def test_weights_that_cannot_be_had_are_told_in_one_message(on_torch: Any, home: Path, content: bytes | None) -> None:
    if content is not None:
        home.mkdir()
        (home / "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5").write_bytes(content)
    told = r"^data\.features: .*Inception v3.*cannot be had as '.*_notop\.h5': no network here; data\.features\.weights=random"
    with pytest.raises(InputError, match=told):
        on_torch.inception_v3(TRAINED)


@pytest.mark.torch
@pytest.mark.parametrize("broken", ["no HDF5", "empty", "another network", "one layer short"])
def test_a_file_with_something_else_is_told_in_one_message(
    on_torch: Any, home: Path, tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    h5py = pytest.importorskip("h5py")
    file = home / "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
    home.mkdir()
    if broken == "no HDF5":
        file.write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    else:
        with h5py.File(file, "w") as content:
            layers = {"empty": [], "another network": ["conv2d", "norm"], "one layer short": ["conv2d"]}[broken]
            if broken != "empty":
                content.attrs["layer_names"] = layers
            for layer in layers:
                names = [f"{layer}/{one}" for one in (["kernel"] if layer == "conv2d" else ["beta", "mean", "variance"])]
                content.create_group(layer).attrs["weight_names"] = names
                for name in names:
                    content[layer][name] = np.ones((3, 3, 3, 2) if layer == "conv2d" else 2, np.float32)
    expect(monkeypatch, file)
    with pytest.raises(InputError, match=r"^data\.features: .*Inception v3.*cannot be had as '.*': .*; data\.features\.weights=random"):
        on_torch.inception_v3(TRAINED)


@pytest.mark.torch
@pytest.mark.tensorflow
def test_pixels_are_prepared_as_keras_does(on_torch: Any) -> None:
    applications = pytest.importorskip("keras.applications")
    made = on_torch.inception_v3(InceptionV3Spec(image_size=75, weights="random"))
    seen: list[Any] = []
    made._network = lambda pixels: seen.append(pixels) or pixels  # type: ignore[func-returns-value]
    images = np.random.default_rng(0).permutation(np.resize(np.arange(256, dtype=np.uint8), 75 * 75 * 3)).reshape(1, 75, 75, 3)
    made(images)
    wanted = applications.inception_v3.preprocess_input(images.astype(np.float32))
    assert wanted.min() == -1 and wanted.max() == 1
    assert_allclose(seen[0].permute(0, 2, 3, 1).numpy(), wanted, rtol=0, atol=1e-6)


@pytest.mark.torch
def test_it_has_the_published_number_of_parameters(on_torch: Any) -> None:
    shapes = on_torch.InceptionV3().kernel_shapes
    # Keras' summary() without the classes; each norm has three numbers for each of its channels.
    assert sum(int(np.prod(shape)) + 3 * shape[-1] for shape in shapes) == 21_802_784


@pytest.mark.parametrize(
    ("installed", "backend"), [({"torch", "tensorflow"}, "torch"), ({"torch"}, "torch"), ({"tensorflow"}, "tensorflow")]
)
def test_the_backend_that_is_installed_computes(installed: set[str], backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractor, "find_spec", lambda name: object() if name in installed else None)
    assert EXTRACTORS["inception_v3"].place("inception_v3") == f"framework.backends.{backend}.features:inception_v3"


def test_none_that_is_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extractor, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"inception_v3 needs .* pip install 'gatework\[torch\]' or pip install 'gatework\[tensorflow\]'$"):
        EXTRACTORS["inception_v3"].make(TRAINED)


def test_a_package_is_not_imported_to_see_whether_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "backend_that_must_not_run.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    kind = ExtractorKind((Place("missing:one", "backend_that_is_missing"), Place("there:one", "backend_that_must_not_run")))
    assert kind.place("mine") == "there:one"


def test_random_features_from_before_are_not_taken_for_these() -> None:
    before = {"kind": "inception_v3", "dtype": "float16", "image_size": SIZE}
    assert SPEC.identity() != before | {"weights": "random", "seed": 3}
    assert TRAINED.identity() == before | {"weights": "imagenet", "seed": 0}, "those of the real weights stay"
