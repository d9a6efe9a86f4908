"""What people's files are like: counted, named and left out, or one clear message."""

from __future__ import annotations

import json
import logging
import zipfile
from pathlib import Path
from typing import Any

import pytest

from framework.errors import DataError
from framework.spec.captions import CaptionsDataSpec
from framework.spec.problems import ProblemCollector

from .conftest import PATCHES, Prepare, fill, picture, pictures, table, zipped


def one_message(error: pytest.ExceptionInfo[BaseException]) -> str:
    assert "Traceback" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("5.png", None, "it is not there"),
        ("5.png", b"no photo", "it is no image: it begins with b'no photo'"),
        ("5.png", picture("red")[:14], "it is damaged"),
        ("5.png", picture("red", (90, 90))[:60], "it cannot be unpacked"),
    ],
    ids=["missing", "text", "cut off early", "truncated"],
)
def test_images_that_cannot_be_used_are_left_out_up_to_a_threshold(
    prepare_captions: Prepare, caplog: pytest.LogCaptureFixture, name: str, content: bytes | None, fault: str
) -> None:
    images = {**pictures(20), name: content}
    given = {one: value for one, value in images.items() if value is not None}
    with pytest.raises(DataError, match=rf"1 of 20 images cannot be used: '5.png' \({fault}.*\n.*at most 0.01 of them"):
        prepare_captions(table(20), given)
    with caplog.at_level(logging.WARNING, "gatework"):
        data = prepare_captions(table(20), given, max_malformed=0.05)
    assert len(data.examples["train"]) == 19 and sum(batch.rows for batch in data.train.epoch(0)) == 38
    assert "left out 1 of 20 images: '5.png'" in caplog.text


def test_captions_that_are_none_are_left_out_up_to_a_threshold(prepare_captions: Prepare, caplog: pytest.LogCaptureFixture) -> None:
    text = table(20, 5) + "3.png\t \n4.png\n\n"
    with pytest.raises(DataError, match=r"2 of 102 captions cannot be used: row 102 \(no caption\), row 103 \(1 column\)"):
        prepare_captions(text, pictures(20))
    data = prepare_captions(text, pictures(20), max_malformed=0.02)
    assert data.figures["captions"] == 100 and "left out 2 of 102 captions" in caplog.text
    with pytest.raises(DataError, match=r"nothing is left of '\.\.\.' once it is cleaned"):
        prepare_captions("image\tcaption\n0.png\t...\n", pictures(1), cleaning=[{"keep": "a-z"}])


def test_images_without_captions(prepare_captions: Prepare, caplog: pytest.LogCaptureFixture) -> None:
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(3)]
    annotations = [{"image_id": number, "caption": "a picture"} for number in range(2)]
    text = json.dumps({"images": images, "annotations": annotations})
    with pytest.raises(DataError, match=r"1 of 3 images cannot be used: '2.png' \(it has no caption\)"):
        prepare_captions(text, pictures(3), name="c.json")
    assert len(prepare_captions(text, pictures(3), name="c.json", max_malformed=0.5).examples["train"]) == 2
    with caplog.at_level(logging.INFO, "gatework"):
        prepare_captions(table(2), pictures(9))
    assert "7 images have no caption and are not used" in caplog.text


@pytest.mark.parametrize("name", ["../a.png", "x/../../a.png", "/etc/a.png", "..\\a.png", "C:/a.png"])
def test_an_archive_with_names_outside_of_itself_is_refused(prepare_captions: Prepare, tmp_path: Path, name: str) -> None:
    (tmp_path / "bad.zip").write_bytes(zipped({**pictures(1), name: picture()}))
    with pytest.raises(DataError, match=r"data.images_path: archive '.*bad.zip' names a file outside of itself"):
        prepare_captions(table(1), images_path=str(tmp_path / "bad.zip"))


def test_a_caption_cannot_name_files_outside_of_the_folder(prepare_captions: Prepare, tmp_path: Path) -> None:
    fill(tmp_path, {"secret.png": picture()})
    with pytest.raises(DataError, match=r"'../secret.png' \(it is not there\)"):
        prepare_captions("image\tcaption\n../secret.png\tmine\n", pictures(1))


def test_archives_that_cannot_be_read(prepare_captions: Prepare, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(DataError, match=r"text\.zip' cannot be unpacked: File is not a zip file"):
        prepare_captions(table(1), images_path=str(tmp_path / "text.zip"))
    with pytest.raises(DataError, match=r"'.*captions.tsv' is neither a folder nor a zip archive"):
        prepare_captions(table(1), images_path=str(tmp_path / "captions.tsv"))
    with pytest.raises(DataError, match=r"data.images_path: '.*image' does not exist"):
        prepare_captions(table(1), images_path=str(tmp_path / "image"))
    with zipfile.ZipFile(tmp_path / "damaged.zip", "w") as archive:
        archive.writestr("0.png", picture("red", (50, 50)))
    content = bytearray((tmp_path / "damaged.zip").read_bytes())
    content[60] ^= 255
    (tmp_path / "damaged.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"1 of 1 images cannot be used: '0.png' \(.*cannot be unpacked: Bad CRC-32"):
        prepare_captions(table(1), images_path=str(tmp_path / "damaged.zip"))


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("image\tcaptoin\n0.png\tx\n", "c.tsv", r"has no column 'caption'\n.*expected: columns image, captoin\n.*did you mean: captoin"),
        ("", "c.tsv", "has no column 'image'"),
        ("image\tcaption\n", "c.tsv", "holds no caption"),
        ("{", "c.json", "is no caption file of MS-COCO's form"),
        ('{"images": []}', "c.json", "it has no 'annotations'"),
        ('{"images": [], "annotations": [3]}', "c.json", "1 of 1 captions cannot be used: annotation 0"),
        ("0.png#0\ta\nno number\n", "c.txt", "1 of 2 captions cannot be used: line 2"),
    ],
)
def test_caption_files_that_are_none(prepare_captions: Prepare, text: str, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        prepare_captions(text, pictures(1), name=name)
    one_message(caught)


def test_an_archive_is_opened_once(prepare_captions: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its table of contents is as long as it has files: read for each of them, it took minutes for thousands."""
    (tmp_path / "images.zip").write_bytes(zipped(pictures(20)))
    opened: list[object] = []
    begin = zipfile.ZipFile.__init__
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda self, *rest: (opened.append(rest), begin(self, *rest))[1])
    prepare_captions(table(20), images_path=str(tmp_path / "images.zip"))
    assert len(opened) == 2, "once for the names, once for the images"


def test_an_image_in_two_parts(prepare_captions: Prepare) -> None:
    text = "image\tcaption\tsplit\n0.png\ta\ttrain\n0.png\tb\ttest\n"
    with pytest.raises(DataError, match=r"row 3 \('0.png' is in the part train already\)"):
        prepare_captions(text, pictures(1))


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"images_path": "y"}, "data.captions_path"),
        ({"captions_path": "x"}, "data.images_path"),
        ({"corpus": "x", "validation_fraction": 0.5, "test_fraction": 0.5}, "data.test_fraction"),
        ({"corpus": "x", "max_images": 1, "max_captions": 1}, "data.max_images"),
        ({"corpus": "x", "batch_tokens": 9}, "data.batch_tokens"),
        ({"corpus": "x", "split": {"by": "lists"}}, "data.parts"),
        ({"corpus": "x", "vocabulary": {"kind": "subword"}}, "data.vocabulary.max_size"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], key: str) -> None:
    collector = ProblemCollector()
    CaptionsDataSpec.model_validate({"features": PATCHES, **settings}).check(collector)
    assert [problem.path for problem in collector.problems] == [key]


def test_large_files_are_fetched_only_when_told(prepare_captions: Prepare, tmp_path: Path) -> None:
    download = {"url": "http://localhost:1/images.zip", "sha256": "0" * 64, "filename": "large/images.zip", "size": 13_500_000_000}
    settings = {"images_path": "large/images.zip", "downloads": [download]}
    message = r"data.accept_download: 13.5 GB would have to be fetched: http://localhost:1/images.zip \(13.5 GB\)\n"
    with pytest.raises(DataError, match=message + r"(.*\n)*.*data.accept_download=true"):
        prepare_captions(table(1), **settings)
    with pytest.raises(DataError, match=r"'large/images.zip' is neither in .* nor can it be fetched"):
        prepare_captions(table(1), **settings, accept_download=True)


def test_files_that_only_their_user_can_get(prepare_captions: Prepare, tmp_path: Path) -> None:
    archive = zipped(pictures(1))
    provided = {"filename": "mine/images.zip", "sha256": "0" * 64, "how": "ask the university for it"}
    with pytest.raises(DataError, match=r"data.images_path: 'mine/images.zip' is not in .*\n.*\n.*ask the university for it"):
        prepare_captions(table(1), images_path="mine/images.zip", provided=[provided])
    fill(tmp_path / "cache", {"mine/images.zip": archive})
    with pytest.raises(DataError, match=r"checksum of '.*images.zip' differs"):
        prepare_captions(table(1), images_path="mine/images.zip", provided=[provided])
    provided.pop("sha256")
    assert prepare_captions(table(1), images_path="mine/images.zip", provided=[provided]).figures["images"] == 1
