"""`gatework reproduce` of an experiment that is measured by scores and by inputs that a publication shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread
from small_translations import write_translations

from framework.cli.main import main

pytestmark = pytest.mark.torch

TARGETS = """\
publication: a paper
variants:
  plain:
    title: The plain model
    recipe: mine
    targets:
      - {metric: test_bleu, measures: BLEU, value: 50, low: 0, high: 100, why: a guess, source: page 1}
      - {metric: beam_chrf, measures: chrF, value: 100.5, low: 100.5, high: 101, why: no run can, source: page 2}
      - {metric: probes_right, measures: sentences, value: 1, low: 1, high: 2, why: a guess, source: page 3}
    evaluations:
      test: {split: test}
      beam: {split: test, decoding: {strategy: beam, beam_width: 3}}
    probes:
      - {inputs: {source: Uno.}, right: [ANSWER]}
      - {inputs: {source: dos}, right: [no model says so]}
"""

README = "# Mine\n\n<!-- results: begin (gatework reproduce --from-results) -->\n<!-- results: end -->\n"
DATA = "{validation_fraction: 0.1, batch_size: 16}"
SPLIT = "{path: pairs.tsv, test_fraction: 0.1, validation_fraction: 0.1, batch_size: 16}\npaths: {cache_dir: cache}"
"""Of the small recipe's data, and what takes its place: a part to test on."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with pairs, a config recipe and a recipe's folder."""
    monkeypatch.chdir(tmp_path)
    write_translations(tmp_path)
    recipe = tmp_path / "configs/recipe/mine.yaml"
    recipe.write_text(recipe.read_text().replace("max_epochs: 6", "max_epochs: 2").replace(DATA, SPLIT))
    files = {"recipes/mine/targets.yaml": TARGETS, "recipes/mine/README.md": README}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What a command answers as JSON."""
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_scores_and_probes_are_those_of_evaluate_and_translate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "recipe=mine", "name=it"]) == 0
    capsys.readouterr()
    assert main(["translate", "it", "Uno."]) == 0
    answer = capsys.readouterr().out.strip()
    targets = folder / "recipes/mine/targets.yaml"
    targets.write_text(targets.read_text().replace("ANSWER", f'"{answer}"'))

    assert main(["reproduce", "recipe=mine", "name=it"]) == 1, "a target is missed"
    out = capsys.readouterr().out
    assert "2 of 3 targets met, 1 missed" in out
    result = json.loads((folder / "recipes/mine/results/plain-torch-seed0.json").read_text())
    first, _ = result["answers"]
    assert (first["output"], first["right"]) == (answer, True)
    assert result["figures"]["probes_right"] == 1
    greedy = said(capsys, "evaluate", "it", "--split", "test")
    beam = said(capsys, "evaluate", "it", "--split", "test", "decoding.strategy=beam", "decoding.beam_width=3")
    for name in ("loss", "perplexity", "bleu", "chrf", "tokenized_bleu"):
        assert result["figures"][f"test_{name}"] == greedy[name]
        assert result["figures"][f"beam_{name}"] == beam[name]
    assert result["signatures"]["test_bleu"] == greedy["signatures"]["bleu"]

    assert result["pictures"] == ["plain-torch-seed0-attention.png"]
    assert imread(folder / "recipes/mine/results" / result["pictures"][0]).ndim == 3

    page = (folder / "recipes/mine/README.md").read_text()
    assert "seed 0](results/plain-torch-seed0-attention.png)" in page
    assert "| measured on | run | loss | perplexity | accuracy |" in page
    assert "| test, strategy beam, beam_width 3 | PyTorch Lightning, seed 0 |" in page
    assert f"| Uno. | {answer} (right) |" in page
    assert page.count(f"- bleu: `{greedy['signatures']['bleu']}`") == 1


def test_what_a_run_measures_itself_by_is_checked_like_any_setting(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "recipe=mine", "name=it"]) == 0
    for word, message in (("decoding.beam_widht=3", "did you mean decoding.beam_width"), ("decoding.beam_width=0", "decoding.beam_width")):
        capsys.readouterr()
        assert main(["evaluate", "it", "--split", "test", word]) == 2
        told = capsys.readouterr()
        assert message in told.err and "Traceback" not in told.err


def test_a_setting_that_only_tells_of_the_data_makes_no_other_experiment(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "recipe=mine", "name=it", "trainer.max_epochs=1"]) == 0
    path = folder / "runs/mine/it/run.json"
    record = json.loads(path.read_text())
    del record["settings"]["data"]["declared_lengths"]  # as a version wrote it that had no such setting
    path.write_text(json.dumps(record))
    recipe = folder / "configs/recipe/mine.yaml"
    recipe.write_text(recipe.read_text().replace("batch_size: 16}", "batch_size: 16, declared_lengths: {source: 5, target: 5}}"))
    capsys.readouterr()
    main(["reproduce", "recipe=mine", "name=it", "trainer.max_epochs=1"])
    assert "nothing is compared" not in capsys.readouterr().out
    assert (folder / "recipes/mine/results/plain-torch-seed0.json").is_file()
