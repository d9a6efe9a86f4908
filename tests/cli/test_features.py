from __future__ import annotations

from pathlib import Path

import pytest

from framework.cli.main import main
from framework.errors import EXIT_DONE, EXIT_USER_INPUT


def test_features_of_a_data_set_are_computed_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["features", "data=scenes", f"paths.cache_dir={tmp_path / 'cache'}", "data.max_images=40"]
    assert main(words) == EXIT_DONE
    said = capsys.readouterr().out
    assert "patches features: 32 of 40 images" in said and "patches features: 40 of 40 images" in said
    assert f"patches features of 40 images: 16 places of 776 numbers\nkept below {tmp_path / 'cache' / 'features'}" in said
    assert main(words) == EXIT_DONE
    assert "40 of 40" not in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "data: is missing\n"),
        (["data=shakespeare"], "data of kind 'text' has no features to compute"),
        (["data=scenes", "data.features.kind=patchs"], "data.features: there is no kind 'patchs'"),
        (["data=scenes", "data.features.patch_size=-1"], "data.features.patch_size"),
        (["data=captions"], "data.captions_path: is missing"),
        (["data=coco2014", "paths.cache_dir=nowhere"], "data.accept_download: 13.8 GB would have to be fetched"),
        (
            ["data=flickr8k", "paths.cache_dir=nowhere", "paths.data_dir=nowhere"],
            "captions.tsv.gz' is not in 'nowhere'",
        ),
    ],
)
def test_what_is_wrong_is_told_in_one_message(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWORK_DATA", raising=False)
    assert main(["features", *words]) == EXIT_USER_INPUT
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said
