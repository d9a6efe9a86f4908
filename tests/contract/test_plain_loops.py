"""The plain loops that training steps are measured against compute what Gatework computes."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.data.batches import Batch
from framework.errors import InputError

ROOT = Path(__file__).parents[2]
STEPS = 4
LATER = {"torch": 2e-5, "tensorflow": 5e-4}
"""Relative tolerance of losses after a step. torch's own Adam adds epsilon after the first steps' correction, ours before it, as Keras'.
And Keras 3 squares the parts of an embedding's gradient one by one where a word was read several times; ours squares their sum."""

_TEXT = ("data=text", "data.sequence_length=8", "model.layers.embedding.output_dim=6", "model.layers.gru.units=10")
SIZES = {
    "text_generation": _TEXT,
    "text_generation_stateless": _TEXT,
    "translation": (
        "data=parallel_text",
        "model.layers.source_embedding.output_dim=6",
        "model.layers.target_embedding.output_dim=6",
        "model.layers.encoder.units=10",
        "model.layers.decoder.cell.units=10",
        "model.layers.decoder.attention.units=10",
    ),
    "captioning": (
        "data=scenes",
        "data.max_images=40",
        "data.features.image_size=16",
        "data.features.patch_size=8",
        "model.layers.encoder.units=7",
        "model.layers.target_embedding.output_dim=6",
        "model.layers.decoder.attention.units=9",
        "model.layers.decoder.cell.units=10",
        "model.layers.hidden.units=11",
    ),
}


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("benchmarks.step")


@pytest.fixture
def words(tmp_path: Path) -> Any:
    """Overrides that make a recipe small, with data of its own."""
    draw = random.Random(3)
    known = ["gate", "state", "reset", "hidden", "update", "cell"]

    def of(recipe: str) -> list[str]:
        if recipe == "captioning":
            return [*SIZES[recipe], "data.batch_size=8", f"paths.cache_dir={tmp_path / 'cache'}", f"paths.runs_dir={tmp_path}"]
        path = tmp_path / "some.txt"
        lines = [[" ".join(draw.choices(known, k=draw.randint(1, 3))) for _ in range(2)] for _ in range(80)]
        path.write_text("".join("\t".join(line) + "\n" for line in lines))
        return [*SIZES[recipe], f"data.path={path}", "data.batch_size=8", f"paths.runs_dir={tmp_path}"]

    return of


def trained(step: Any, recipe: str, backend: str, words: Sequence[str]) -> Iterator[tuple[float, float]]:
    """Losses of the same steps, ours and the plain loop's."""
    prepared = step.prepared_recipe(recipe, backend, list(words))
    by_hand, batches = step.plain_loop(prepared), step._batches(prepared)
    with step.Turns(prepared, STEPS) as turns:
        for batch in islice(batches, STEPS):
            turns.step()
            result, plain = turns.result, by_hand(batch)
            by_rows = getattr(prepared.experiment.task, "normalization", "per_token") == "per_row"
            yield result.loss * (result.count / result.rows if by_rows else 1), plain


@pytest.mark.parametrize(
    ("recipe", "more"),
    [
        ("text_generation", ()),
        pytest.param("text_generation_stateless", (), marks=pytest.mark.slow),
        pytest.param("translation", (), marks=pytest.mark.slow),
        pytest.param("translation", ("model.layers.decoder.carry_state=true",), marks=pytest.mark.slow),
        pytest.param("captioning", (), marks=pytest.mark.slow),
        pytest.param("captioning", ("model.layers.decoder.carry_state=true",), marks=pytest.mark.slow),
    ],
    ids=["stateful", "stateless", "state as query", "state carried", "caption", "caption, state carried"],
)
@pytest.mark.parametrize("backend", [pytest.param(one, marks=getattr(pytest.mark, one)) for one in ("torch", "tensorflow")])
def test_a_plain_loop_trains_as_gatework_does(step: Any, words: Any, recipe: str, more: Sequence[str], backend: str) -> None:
    ours, plain = zip(*trained(step, recipe, backend, [*words(recipe), *more]), strict=True)
    assert ours[0] == pytest.approx(plain[0], rel=2e-6), "the same weights"
    assert ours[1:] == pytest.approx(plain[1:], rel=LATER[backend]), "the same gradients"
    assert plain[0] != pytest.approx(plain[-1], rel=2 * LATER[backend]), "something was learnt"


def test_the_products_of_a_translators_step(step: Any, words: Any) -> None:
    prepared = step.prepared_recipe("translation", "torch", words("translation"))
    batch = next(step._batches(prepared))
    found = step.rival_of(prepared.experiment).products(prepared, batch)
    (rows, places), (_, time) = batch.inputs["source"].shape, batch.targets.shape
    target = prepared.data.sizes["target"]
    encoder = rows * places * (6 * 30 + 10 * 30)
    counted = int((batch.targets != 0).sum())
    assert 0 < counted < rows * time
    decoder = rows * (places * 10 * 10 + time * (6 * 30 + 10 * 10 + 10 * 30)) + counted * 10 * target
    of_the_first_state = rows * 10 * 30
    assert sum(one.rows * one.inner * one.columns * one.times for one in found) == 3 * (encoder + decoder) - of_the_first_state


def test_the_products_of_a_captioners_step(step: Any, words: Any) -> None:
    prepared = step.prepared_recipe("captioning", "torch", words("captioning"))
    batch = next(step._batches(prepared))
    found = step.rival_of(prepared.experiment).products(prepared, batch)
    (rows, places, features), (_, time) = batch.inputs["image"].shape, batch.targets.shape
    counted = int((batch.targets != 0).sum())
    encoder = rows * places * features * 7
    decoder = rows * (places * 7 * 9 + time * (6 * 30 + 10 * 9 + 7 * 30)) + counted * (10 * 11 + 11 * prepared.data.sizes["target"])
    assert sum(one.rows * one.inner * one.columns * one.times for one in found) == 2 * encoder + 3 * decoder


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("hidden.activation=tanh", "no activation after it"),
        ("encoder.activation=tanh", "a first layer with activation: relu"),
        ("decoder.attention.use_bias=false", "an additive attention with biases"),
    ],
)
def test_a_model_that_differs_in_a_setting_has_no_plain_loop(step: Any, words: Any, setting: str, expected: str) -> None:
    prepared = step.prepared_recipe("captioning", "torch", [*words("captioning"), f"model.layers.{setting}"])
    with pytest.raises(InputError, match=f"the plain loop is that of the tutorial's model; expected {expected}"):
        step.plain_loop(prepared)


def test_batches_of_a_new_length_are_prepared_for_before_the_time_runs(step: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = [Batch({"target": np.zeros((1, length), np.int32)}, np.zeros((1, length), np.int32), None) for length in (3, 5, 3, 5, 4)]
    met: list[int] = []
    monkeypatch.setattr(step, "plain_loop", lambda prepared: lambda batch: met.append(batch.targets.size))
    monkeypatch.setattr(step, "_batches", lambda prepared: iter(batches))
    timed = step._timed_loop(None, prepares=True)
    for _ in batches:
        timed()
    assert met == [3, 3, 5, 5, 3, 5, 4, 4]
    assert step._middle(batches) is batches[4]


def test_another_model_has_no_plain_loop(step: Any, words: Any) -> None:
    data = [word for word in words("translation") if word.startswith(("data", "paths"))]
    prepared = step.prepared_recipe("translation", "torch", [*data, "model=translation_cross_attention"])
    with pytest.raises(InputError, match=r"no plain loop was written for a model of embedding, bidirectional, embedding, gru, multi_head"):
        step.plain_loop(prepared)
