"""What the READMEs show is what the result files hold, and the result files are of today's configs."""

from __future__ import annotations

from pathlib import Path

import pytest

import framework
from framework.config.recipe_files import read_targets
from framework.engine.compare.recipe_page import WRITER, page_parts, page_text
from framework.engine.compare.results import RESULTS, read_result
from framework.engine.run.digest import config_digest
from framework.report.marked import marked_names
from framework.report.reproduction import picture_name
from framework.tasks.known import writing_task

RECIPES = Path(__file__).parents[2] / "recipes"
PAGES = sorted(RECIPES.glob("*/targets.yaml"))
FILES = sorted(RECIPES.glob(f"*/{RESULTS}/*-seed*.json"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.parent.name)
def test_the_readme_shows_the_results(path: Path) -> None:
    page = path.parent / "README.md"
    text, parts = page.read_text(encoding="utf-8"), page_parts(path.parent, read_targets(path))
    assert set(marked_names(text, WRITER)) >= parts.keys()
    assert page_text(page, parts) == text, f"{page} is not current; run: {WRITER.replace('reproduce', 'reproduce recipe=NAME')}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_is_of_the_config_that_it_names(path: Path) -> None:
    result = read_result(path)
    variant = read_targets(path.parents[1] / "targets.yaml").variants[result.variant]
    assert path.stem == f"{result.variant}-{result.backend}-seed{result.seed}"
    assert (result.recipe, result.deviations) == (variant.recipe, {})
    words = [*variant.overrides, f"backend={result.backend}", f"seed={result.seed}"]
    lengths = {result.epochs_wanted, len(result.epochs)}  # a run may have been asked for fewer epochs
    digests = {config_digest(framework.load(result.recipe, [*words, f"trainer.max_epochs={epochs}"])) for epochs in lengths}
    assert result.config_digest in digests
    assert [epoch.epoch for epoch in result.epochs] == list(range(1, len(result.epochs) + 1))
    stopping = framework.load(result.recipe, words).trainer.early_stopping
    ended = result.epochs_wanted if stopping is None else min(result.epochs_wanted, round(result.figures["best_epoch"]) + stopping.patience)
    assert not result.complete or len(result.epochs) >= ended
    assert variant.baseline is not None or (path.parent / picture_name(result.variant)).is_file()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_has_a_sample_of_the_whole_length_where_that_may_be_shown(path: Path) -> None:
    result = read_result(path)
    if not read_targets(path.parents[1] / "targets.yaml").variants[result.variant].quotes:
        assert not result.samples
        return
    [sample] = result.samples
    if framework.load(result.recipe).task.kind == "language_model":
        assert len(sample.text) == len(sample.settings["prompt"]) + sample.settings["length"]
    else:
        written = writing_task(framework.load(result.recipe), "caption" if "caption: " in sample.text else "translation").written
        assert sample.text.count(f"{written}: ") == sample.text.count("reference: ") == 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_complete_result_has_all_that_its_variant_measures(path: Path) -> None:
    result = read_result(path)
    variant = read_targets(path.parents[1] / "targets.yaml").variants[result.variant]
    if not result.complete:
        assert not result.answers and not any(key.startswith(f"{name}_") for name in variant.evaluations for key in result.figures)
        return
    assert [one.inputs for one in result.answers] == [one.inputs for one in variant.probes]
    assert [one.right for one in result.answers] == [
        one.output in probe.right for one, probe in zip(result.answers, variant.probes, strict=True)
    ]
    assert all((path.parent / picture).is_file() for picture in result.pictures)
    assert variant.evaluations.keys() <= {key.partition("_")[0] for key in result.figures}
