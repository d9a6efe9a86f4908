"""Captions from the command line and from Python, with a small run on one's own pictures."""

from __future__ import annotations

import io
import json
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from small_captions import COLOURS, write_captions

import framework
from framework.cli.main import main
from framework.errors import DataError, InputError

pytestmark = pytest.mark.torch

Caption = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, ``runs/mine/small``."""
    folder = tmp_path_factory.mktemp("caption")
    write_captions(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        framework.train(framework.load("mine", ["name=small"]))
    return folder


@pytest.fixture
def caption(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Caption:
    """What a command prints, and what it tells on standard error."""
    monkeypatch.chdir(folder)

    def run(*words: str, given: str | None = None, code: int = 0) -> tuple[str, str]:
        if given is not None:
            monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        capsys.readouterr()
        assert main(["caption", "small", *words]) == code
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return told.out, told.err

    return run


def saved(folder: Path, name: str, image: Image.Image, form: str = "PNG", **options: object) -> str:
    (folder / "odd").mkdir(exist_ok=True)
    image.save(folder / "odd" / name, form, **options)
    return f"odd/{name}"


def test_a_photo_gets_a_line_and_several_are_told_apart(caption: Caption, folder: Path) -> None:
    out, err = caption("photos/0.png")
    assert out in ("a red picture .\n", "this is red .\n")
    assert err.startswith("1 photos in ")
    several, _ = caption("photos/0.png", "photos/1.png")
    assert several.splitlines()[0] == f"photos/0.png\t{out}".strip()
    assert several.splitlines()[1].startswith("photos/1.png\t")
    listed = "photos/0.png\nphotos/1.png\n"
    assert caption(given=listed)[0] == several
    (folder / "list.txt").write_text(listed)
    assert caption("--file", "list.txt")[0] == several


def test_a_folder_is_all_its_images(caption: Caption, folder: Path) -> None:
    out, err = caption("photos")
    lines = out.splitlines()
    assert len(lines) == 80 and err.startswith("80 photos")
    assert [line.split("\t")[0] for line in lines] == sorted(f"photos/{number}.png" for number in range(80))
    right = [line.split("\t")[1].split()[1 if " picture" in line else 2] for line in lines]
    numbers = [int(line.split("/")[1].split(".")[0]) for line in lines]
    assert right == [COLOURS[number * 5 % 8] for number in numbers], "a photo's colour is what its caption says"
    (folder / "empty").mkdir()
    assert "folder 'empty' holds no image" in caption("empty", code=2)[1]


def test_the_best_few_and_json(caption: Caption) -> None:
    out, _ = caption("photos/0.png", "--beam", "3", "--n-best", "2")
    assert [line.split("\t")[0] for line in out.splitlines()] == ["1", "1"]
    [found] = [json.loads(line) for line in caption("photos/0.png", "--beam", "3", "--n-best", "2", "--json")[0].splitlines()]
    assert found["image"] == "photos/0.png"
    assert [one["text"] for one in found["captions"]] == [line.split("\t")[2] for line in out.splitlines()]


def test_where_the_model_looked_is_drawn(caption: Caption, folder: Path) -> None:
    _, err = caption("photos/0.png", "--plot", "plots/one.png")
    assert "drawn: plots/one.png" in err
    assert Image.open(folder / "plots/one.png").size[0] > 300
    _, err = caption("photos/0.png", "photos/1.png", "--plot", "plots/two.png")
    assert sorted(path.name for path in (folder / "plots").iterdir()) == ["one.png", "two-0001.png", "two-0002.png"]


def bomb() -> bytes:
    """A PNG file of a few bytes that says it has 50,000 by 50,000 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b"")


def test_photos_of_any_kind(caption: Caption, folder: Path) -> None:
    red = Image.new("RGB", (40, 30), "red")
    frames = [Image.new("P", (20, 20), 0) for _ in range(2)]
    frames[0].putpalette([255, 0, 0] * 256)
    frames[1].putpalette([0, 0, 255] * 256)
    clear = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    turned = Image.new("RGB", (30, 40), "red")
    exif = turned.getexif()
    exif[0x0112] = 6
    kinds = {
        saved(folder, "cmyk.jpg", red.convert("CMYK"), "JPEG"): "red",
        saved(folder, "grey.jpg", Image.new("L", (30, 30), 255), "JPEG"): "white",
        saved(folder, "clear.png", clear): "white",
        saved(folder, "one.png", Image.new("RGB", (1, 1), "red")): "red",
        saved(folder, "panorama.png", Image.new("RGB", (20_000, 10), "red")): "red",
        saved(folder, "animated.gif", frames[0], "GIF", save_all=True, append_images=[frames[1]]): "red",
        saved(folder, "turned.jpg", turned, "JPEG", exif=exif): "red",
    }
    for path, colour in kinds.items():
        assert colour in caption(path)[0].split(), path


def test_what_is_no_photo_is_told_and_the_others_are_captioned(caption: Caption, folder: Path) -> None:
    cut = Path(folder / saved(folder, "cut.jpg", Image.effect_noise((200, 200), 50).convert("RGB"), "JPEG"))
    cut.write_bytes(cut.read_bytes()[:2000])
    (folder / "odd/text.jpg").write_text("a text file that is called .jpg")
    (folder / "odd/bomb.png").write_bytes(bomb())
    reasons = {
        "odd/cut.jpg": "cannot be unpacked",
        "odd/text.jpg": "it is no image: it begins with b'a text file",
        "odd/bomb.png": "pixels; at most",
        "odd/missing.png": "'odd/missing.png' cannot be read: No such file or directory",
    }
    for path, reason in reasons.items():
        out, err = caption(path, code=2)
        assert out == "" and reason in err and path in err
    out, err = caption("photos/0.png", *reasons, "photos/1.png", code=1)
    assert [line.split("\t")[0] for line in out.splitlines()] == ["photos/0.png", "photos/1.png"]
    assert all(reason in err for reason in reasons.values())
    assert "4 of 6 photos could not be used" in err
    out, _ = caption("odd/text.jpg", "photos/0.png", "--json", code=1)
    assert "it is no image" in json.loads(out.splitlines()[0])["error"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["https://example.com/surf.jpg"], "'https://example.com/surf.jpg' is an address; nothing is fetched"),
        (["photos/0.png", "--n-best", "9"], "n_best"),
        (["photos/0.png", "--temperature", "0", "--strategy", "sample"], "temperature"),
        (["photos/0.png", "--file", "x"], "given both"),
    ],
)
def test_what_cannot_be_done_is_told(caption: Caption, words: list[str], message: str) -> None:
    out, err = caption(*words, code=2)
    assert out == "" and message in err


def test_other_verbs_say_what_this_model_is_for(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    assert main(["translate", "small", "hola"]) == 2
    assert "a model of task 'captioning' writes no translation; use gatework predict" in capsys.readouterr().err
    assert main(["predict", "small", "photos/0.png"]) == 0
    assert "red" in capsys.readouterr().out.split()
    assert main(["predict", "small", '{"photo": "photos/0.png"}']) == 2
    assert "row 1 has photo; expected one of image, path" in capsys.readouterr().err


def test_python_takes_paths_and_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    run = framework.open_run("small")
    content = (folder / "photos/1.png").read_bytes()
    found = run.caption(["photos/0.png", folder / "photos/0.png", content], beam_width=3)
    assert found[0] == found[1] and "red" in found[0].split()
    assert run.caption([]) == []
    with pytest.raises(InputError, match="one image is given"):
        run.caption("photos/0.png")
    with pytest.raises(InputError, match="is an address"):
        run.caption(["http://example.com/a.png"])
    with pytest.raises(DataError, match="image 1 cannot be used: it is no image"):
        run.caption([b"nothing of the kind"])
    with pytest.raises(InputError, match="an image is given as int"):
        run.predict([{"image": 3}])


def test_what_the_run_leaves_behind(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder / "runs/mine/small"
    [sample] = (run / "samples").glob("epoch-0010.txt")
    first = sample.read_text().split("\n\n")[0].splitlines()
    assert [line.split(":")[0] for line in first] == ["image", "caption", "reference"]
    assert first[0].endswith(".png")
    assert len(list((run / "plots").glob("attention-*.png"))) == 4
    assert Image.open(run / "evaluations/validation.png").size[0] > 600
    page = (run / "evaluations/validation.md").read_text()
    assert "| bleu_4 |" in page and "| cider_d |" in page and "## Best of 8 predictions" in page
    monkeypatch.chdir(folder)
    assert main(["evaluate", "small", "--split", "test", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["exact"] == 100.0 and measured["bleu_1"] == pytest.approx(100.0) and measured["rouge_l"] == pytest.approx(100.0)
    assert (run / "evaluations/test.png").is_file()
