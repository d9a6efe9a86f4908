"""The logged captioner: images in, as bytes or by their paths, and captions out; served over HTTP, where bytes come as base64."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_captions import write_captions
from tracking.served_model import serving

import framework
from framework.engine.model.run import Run
from framework.tracking.sync import sync

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def captioner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, str, Path]]:
    """A run, its logged model's address, and the folder of both."""
    folder = tmp_path_factory.mktemp("captioner")
    write_captions(folder)
    before = dict(os.environ)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run = framework.train(framework.load("mine", ["trainer.max_epochs=6"]))
        done = sync(run.path, f"sqlite:///{folder / 'mlflow.db'}")
        [model] = (folder / "mlartifacts" / "models").iterdir()
        assert (done.trouble, done.delivered.model) == (None, model.name)
        yield run, str(model / "artifacts"), folder
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.slow
def test_bytes_and_paths_give_the_captions_of_the_run(captioner: tuple[Run, str, Path]) -> None:
    import mlflow
    import pandas

    run, address, folder = captioner
    photos = [folder / f"photos/{number}.png" for number in range(4)]
    expected = run.caption(photos)
    model = mlflow.pyfunc.load_model(address)
    assert list(model.predict(pandas.DataFrame({"image": [photo.read_bytes() for photo in photos]}))["caption"]) == expected
    assert list(model.predict(pandas.DataFrame({"path": [str(photo) for photo in photos]}))["caption"]) == expected
    mixed = pandas.DataFrame({"image": [photos[0].read_bytes(), None], "path": [None, str(photos[1])]})
    assert list(model.predict(mixed, params={"beam_width": 3})["caption"]) == run.caption(photos[:2], beam_width=3)
    for broken, reason in (({"image": [b"no image"]}, "it is no image"), ({"path": ["http://host/a.png"]}, "is an address")):
        with pytest.raises(mlflow.exceptions.MlflowException, match=reason):
            model.predict(pandas.DataFrame(broken))


def test_pictures_are_delivered(captioner: tuple[Run, str, Path]) -> None:
    _, address, _ = captioner
    [artifacts] = Path(address).parents[2].glob("*/artifacts/evaluations")
    assert sorted(file.name for file in artifacts.iterdir()) == ["validation.md", "validation.png"]
    assert len(list((artifacts.parent / "plots").glob("attention-*.png"))) == 4


@pytest.mark.slow
def test_a_served_captioner_answers_over_http(captioner: tuple[Run, str, Path], tmp_path: Path) -> None:
    run, address, folder = captioner
    photos = [folder / f"photos/{number}.png" for number in range(2)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with serving(address, tmp_path, environment) as ask:
        encoded = [{"image": base64.b64encode(photo.read_bytes()).decode()} for photo in photos]
        status, answer = ask({"dataframe_records": encoded})
        assert (status, [row["caption"] for row in answer["predictions"]]) == (200, run.caption(photos))
        status, answer = ask({"dataframe_records": [{"path": str(photo)} for photo in photos]})
        assert (status, [row["caption"] for row in answer["predictions"]]) == (200, run.caption(photos))
        status, answer = ask({"dataframe_records": [{"image": base64.b64encode(b"no image").decode()}]})
        assert status == 400 and "it is no image" in json.dumps(answer)
