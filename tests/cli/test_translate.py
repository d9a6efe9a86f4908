"""Translating from the command line and from Python, with a small run on one's own pairs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_translations import WORDS, write_translations

import framework
from framework.cli.main import main
from framework.engine.model.run import Run
from framework.errors import InputError
from framework.metrics.translation import bleu

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, ``runs/mine/small``."""
    folder = tmp_path_factory.mktemp("translate")
    write_translations(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        where = ["paths.cache_dir=cache", "data.path=pairs.tsv"]
        framework.train(framework.load("mine", ["name=small", *where]))
    return folder


@pytest.fixture
def translate(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """What a command prints, and what it tells on standard error."""
    monkeypatch.chdir(folder)

    def run(*words: str, given: str | None = None, code: int = 0) -> tuple[str, str]:
        if given is not None:
            monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        capsys.readouterr()
        assert main(["translate", "small", *words]) == code
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return told.out, told.err

    return run


Translate = Callable[..., tuple[str, str]]


def test_a_sentence_is_a_line(translate: Translate) -> None:
    out, err = translate("Dos.")
    assert out.count("\n") == 1
    assert set(out.split()) <= set(WORDS.values())
    assert err.startswith("1 texts in ")


def test_the_samples_and_the_measures_are_those_of_translations(folder: Path) -> None:
    [sample] = (folder / "runs/mine/small/samples").glob("epoch-0006.txt")
    blocks = sample.read_text().split("\n\n")
    assert len(blocks) == 4
    assert [line.split(":")[0] for line in blocks[0].splitlines()] == ["source", "translation", "reference"]
    metrics = Run(framework.open_run("small", str(folder / "runs")).folder).metrics()
    for name in ("perplexity", "accuracy", "tutorial_loss"):
        assert f"epoch/val_{name}" in metrics
    assert metrics["epoch/val_accuracy"][-1][1] > 0.5


LINES = [
    "uno",
    "",
    "dos tres\u2028cuatro",
    "año\x85 uno\x0c",
    "\ufefftres",
    "🙂 🙂",
    "مرحبا",
    "uno\tdos",
    "zzz",
    "uno " * 400,
    "a\N{COMBINING TILDE}o",
]


def test_each_line_in_has_one_out_whatever_is_in_it(translate: Translate, folder: Path) -> None:
    text = "\n".join(LINES) + "\n"
    (folder / "lines.txt").write_text(text, encoding="utf-8", newline="")
    out, _ = translate("--file", "lines.txt")
    lines = out.split("\n")
    assert len(lines) == len(LINES) + 1
    assert lines[-1] == lines[1] == ""
    assert lines[0] == translate("uno")[0].strip()
    assert translate(given=text)[0] == translate("--file", "-", given=text)[0] == out
    assert translate(*LINES)[0] == out
    (folder / "lines.txt").write_text(text.replace("\n", "\r\n"), encoding="utf-8-sig", newline="")
    assert translate("--file", "lines.txt")[0] == out


def test_predict_reads_the_same_lines(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    (folder / "odd.txt").write_text("dos tres\u2028cuatro\nuno\n", encoding="utf-8")
    assert main(["predict", "small", "--file", "odd.txt"]) == 0
    assert capsys.readouterr().out.count("\n") == 2


def test_lines_are_written_as_they_are_done(translate: Translate, monkeypatch: pytest.MonkeyPatch) -> None:
    from framework.cli import translate as verb

    monkeypatch.setattr(verb, "AT_ONCE", 2)
    assert translate("uno", "dos", "tres dos uno")[0] == "".join(translate(one)[0] for one in ("uno", "dos", "tres dos uno"))


def test_the_best_few_with_their_scores(translate: Translate) -> None:
    out, _ = translate("uno dos", "tres", "--beam", "3", "--n-best", "2", "--length-penalty", "1")
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "2", "2"]
    assert float(rows[0][1]) >= float(rows[1][1])
    assert rows[0][2] != rows[1][2]
    assert translate("uno dos", "tres", "--beam", "3", "--length-penalty", "1")[0].splitlines() == [rows[0][2], rows[2][2]]
    found = [
        json.loads(line) for line in translate("uno dos", "--beam", "3", "--n-best", "2", "--length-penalty", "1", "--json")[0].splitlines()
    ]
    assert [one["source"] for one in found] == ["uno dos"]
    assert [one["text"] for one in found[0]["translations"]] == [rows[0][2], rows[1][2]]
    assert found[0]["translations"][0]["score"] == pytest.approx(float(rows[0][1]), abs=1e-4)


def test_what_was_attended_to_is_drawn(translate: Translate, folder: Path) -> None:
    out, err = translate("uno año dos", "--plot", "plots/one.png")
    assert out == translate("uno año dos")[0]
    assert "drawn: plots/one.png" in err
    assert (folder / "plots/one.png").read_bytes().startswith(b"\x89PNG")
    _, err = translate("uno", "", "--plot", "plots/several.png")
    assert "drawn: plots/several-0001.png" in err
    assert "warning: input 2 has no word to draw" in err
    assert sorted(path.name for path in (folder / "plots").iterdir()) == ["one.png", "several-0001.png"]


def test_python_translates_as_the_command_does(translate: Translate, folder: Path) -> None:
    run = framework.open_run("small", "runs")
    texts = ["uno dos", "", "tres"]
    assert run.translate(texts) == translate(*texts)[0].removesuffix("\n").split("\n")
    assert run.translate(texts, beam_width=3, length_penalty=1.0) == translate(*texts, "--beam", "3", "--length-penalty", "1")[0][
        :-1
    ].split("\n")
    assert run.translate([]) == []
    with pytest.raises(InputError, match="one text is given; expected a list of texts"):
        run.translate("uno")


def evaluate(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["evaluate", "small", *words, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_held_out_sentences_are_scored(translate: Translate, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = evaluate(capsys)
    assert result["split"] == "validation"
    assert {"loss", "perplexity", "accuracy", "tutorial_loss", "bleu", "chrf", "tokenized_bleu", "signatures"} <= result.keys()
    page = (folder / "runs/mine/small/evaluations/validation.md").read_text()
    assert f"| chrf | {result['chrf']:,.4f}".rstrip("0") in page
    assert page.startswith("# small on validation\n")
    assert "## Best of " in page and "## Worst of " in page
    alone = evaluate(capsys, "--no-scores")
    assert alone == {name: value for name, value in result.items() if name in alone}
    assert "bleu" not in alone
    assert "bleu" not in evaluate(capsys, "--split", "train")
    (folder / "test.tsv").write_text("uno dos\tone two\nuno dos\tone and two\ntres\tthree\n")
    other = evaluate(capsys, "data.path=test.tsv")
    made = translate("uno dos", "tres")[0].splitlines()
    assert other["bleu"] == pytest.approx(bleu(made, [["one two", "one and two"], ["three"]]).value)
    assert other["signatures"]["bleu"].startswith("nrefs:var|case:lc")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["uno", "--beam", "0"], "beam_width"),
        (["uno", "--beam", "2", "--n-best", "3"], "n_best is 3; expected 1 to beam_width, which is 2"),
        (["uno", "--n-best", "2"], "n_best is 2; expected 1 to 1 with strategy greedy"),
        (["uno", "--max-length", "0"], "max_length"),
        (["uno", "--seed", "-1"], "--seed is -1; expected 0 or more"),
        (["uno", "--file", "pairs.tsv"], "texts are given both as arguments and by --file"),
        (["--file", "none.txt"], "--file none.txt cannot be read: No such file or directory"),
        (["--file", "."], "--file . cannot be read: Is a directory"),
        (["--file", "latin.txt"], "--file latin.txt cannot be read: 'utf-8' codec can't decode"),
    ],
)
def test_wrong_words_are_told_in_one_message(words: list[str], says: str, translate: Translate, folder: Path) -> None:
    (folder / "latin.txt").write_bytes("año\n".encode("latin-1"))
    out, err = translate(*words, code=2)
    assert (out, says in err) == ("", True), err
