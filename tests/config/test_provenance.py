from __future__ import annotations

import re
from pathlib import Path

import pytest

from framework.config.compose import compose
from framework.config.provenance import Layer, Provenance
from framework.errors import Origin, SpecError

RECIPE = """\
# @package _global_
defaults:
  - override /model: own
  - override /data: text

recipe: own
trainer:
  max_epochs: 3      # a comment
  early_stopping:
    patience: 4
data: {path: [a.txt,
              b.txt]}
"""
MODEL = """\
# a model
inputs:
  tokens: {dtype: int32, shape: [null]}
layers:
  gru:
    kind: gru
    units: 5
outputs: gru
"""


def told(composed, key: str) -> list[tuple[object, str]]:
    return [(setting.value, str(setting.origin)) for setting in composed.history(key)]


def at(composed, key: str) -> str:
    return str(composed.locate(key))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("own")
    for name, text in (("recipe", RECIPE), ("model", MODEL)):
        (folder / "configs" / name).mkdir(parents=True)
        (folder / "configs" / name / "own.yaml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        composed = compose(["recipe=own", "model.layers.gru.dropout=0.5", "trainer={max_epochs: 6}", "seed=4", "seed=5"])
        assert composed.provenance
    return composed


@pytest.mark.parametrize(
    ("key", "origin"),
    [
        ("recipe", "configs/recipe/own.yaml:6"),
        ("model.layers.gru.units", "configs/model/own.yaml:7"),
        ("model.layers.gru", "configs/model/own.yaml:5"),
        ("model.layers", "configs/model/own.yaml:4"),
        ("model", "configs/model/own.yaml:2"),
        ("model.inputs.tokens.shape", "configs/model/own.yaml:3"),
        ("model.layers.gru.dropout", "override `model.layers.gru.dropout=0.5`"),
        ("trainer.max_epochs", "override `trainer={max_epochs: 6}`"),
        ("trainer.early_stopping.patience", "configs/recipe/own.yaml:10"),
        ("data.path", "configs/recipe/own.yaml:11"),
        ("data.path.1", "configs/recipe/own.yaml:12"),
        ("seed", "override `seed=5`"),
        # What nobody set lies where its nearest parent does.
        ("model.layers.gru.return_sequences", "configs/model/own.yaml:5"),
        ("model.layers.other.units", "configs/model/own.yaml:4"),
    ],
)
def test_where_a_value_was_set(own, key, origin):
    assert at(own, key) == origin


def test_what_lies_nowhere(own):
    found = own.locate("nothing.at.all")
    assert (found.source.rpartition("/")[2], found.line) == ("own.yaml", 1), "the recipe, to which it would belong"
    assert own.history("model.layers.gru.return_sequences") == []
    assert own.history("nothing") == []


def test_the_whole_history_in_order(own):
    shipped = [(10, "trainer/default.yaml"), (3, "configs/recipe/own.yaml:8"), (6, "override `trainer={max_epochs: 6}`")]
    history = told(own, "trainer.max_epochs")
    assert [value for value, _ in history] == [value for value, _ in shipped]
    assert "trainer/default.yaml:" in history[0][1]
    assert history[1:] == shipped[1:]
    assert told(own, "seed")[1:] == [(4, "override `seed=4`"), (5, "override `seed=5`")]


def test_the_choice_that_brought_a_file_in(own):
    layer = own.history("model.layers.gru.units")[0].layer
    assert (layer.choice, str(layer.chosen_by)) == ("model=own", "configs/recipe/own.yaml:3")
    layer = own.history("trainer.max_epochs")[0].layer
    assert layer.choice == "trainer=default"
    assert re.search(r"config\.yaml:\d+$", str(layer.chosen_by))
    layer = own.history("recipe")[0].layer
    assert (layer.choice, str(layer.chosen_by)) == ("recipe=own", "override `recipe=own`")
    assert own.history("seed")[0].layer.choice is None
    assert own.history("seed")[-1].layer is None


def test_a_choice_on_the_command_line_wins_over_the_recipes(folder, write):
    write("recipe/own.yaml", RECIPE)
    write("model/own.yaml", MODEL)
    composed = compose(["recipe=own", "model=text_generation"])
    layer = composed.history("model.layers.gru.units")[-1].layer
    assert (layer.choice, str(layer.chosen_by)) == ("model=text_generation", "override `model=text_generation`")


def test_inherited_files_and_packages(folder, write):
    write("optimizer/base.yaml", "kind: sgd\nlearning_rate: 0.5\nmomentum: 0.25\n")
    write("optimizer/own.yaml", "defaults:\n  - base\n  - _self_\nlearning_rate: 0.75\n")
    composed = compose(["recipe=text_generation", "optimizer=own"])
    assert composed.mapping["optimizer"] == {"kind": "sgd", "learning_rate": 0.75, "momentum": 0.25}
    assert told(composed, "optimizer.learning_rate") == [(0.5, "configs/optimizer/base.yaml:2"), (0.75, "configs/optimizer/own.yaml:4")]
    layer = composed.history("optimizer.momentum")[0].layer
    assert (layer.choice, str(layer.chosen_by)) == ("optimizer=base", "configs/optimizer/own.yaml:2")


def test_an_option_in_a_folder_below_its_group(folder, write):
    write("optimizer/slow/own.yaml", "kind: sgd\nlearning_rate: 0.5\n")
    composed = compose(["recipe=text_generation", "optimizer=slow/own"])
    assert composed.mapping["optimizer"] == {"kind": "sgd", "learning_rate": 0.5}
    layer = composed.history("optimizer.kind")[-1].layer
    assert (layer.choice, str(layer.chosen_by)) == ("optimizer=slow/own", "override `optimizer=slow/own`")
    with pytest.raises(SpecError, match=r"did you mean: slow/own"):
        compose(["recipe=text_generation", "optimizer=slow/onw"])


def test_a_file_that_hides_a_shipped_one(folder, write):
    write("optimizer/adam.yaml", "kind: adam\n")
    assert at(compose(["recipe=text_generation"]), "optimizer.kind") == "configs/optimizer/adam.yaml:1"


def test_a_model_of_the_global_package(folder):
    origin = compose(["recipe=text_generation_stateless"]).locate("data.unknown")
    assert origin.source.endswith("model/text_generation_stateless.yaml")


def test_replaced_and_deleted_keys(folder):
    composed = compose(["recipe=text_generation", "model.layers.gru=null", "~model.layers.logits"])
    assert at(composed, "model.layers.gru") == "override `model.layers.gru=null`"
    assert at(composed, "model.layers.gru.units") == "override `model.layers.gru=null`"
    assert composed.history("model.layers.logits") == []


def test_swept_values_say_so(folder):
    composed = compose(["recipe=text_generation", "model.layers.gru.units=5", "seed=3"], swept=["model.layers.gru.units=5"])
    assert at(composed, "model.layers.gru.units") == "sweep `model.layers.gru.units=5`"
    assert at(composed, "seed") == "override `seed=3`"


def test_a_file_outside_the_working_folder_is_named_whole(folder, write, monkeypatch):
    path = write("optimizer/own.yaml", "kind: sgd\n")
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    composed = compose(["recipe=text_generation", "optimizer=own"])
    monkeypatch.chdir(elsewhere)
    assert at(composed, "optimizer.kind") == f"{path}:1"


@pytest.mark.parametrize("recipe", ["text_generation", "text_generation_stateless"])
def test_every_value_has_a_line_that_holds_its_key(folder, recipe):
    composed = compose([f"recipe={recipe}", "debug=small"])
    keys = [key for key in composed.provenance.keys() if not key.rpartition(".")[2].isdigit()]  # noqa: SIM118
    assert len(keys) > 50
    for key in keys:
        origin = composed.locate(key)
        line = Path(origin.source).read_text(encoding="utf-8").splitlines()[origin.line - 1]
        assert re.search(rf"\b{key.rpartition('.')[2]}:", line), (key, str(origin), line)


def test_a_required_value_does_not_replace_one_that_is_there(folder, write):
    write("recipe/own.yaml", "# @package _global_\nseed: ???\n")
    composed = compose(["recipe=own"])
    assert composed.mapping["seed"] == 0
    assert at(composed, "seed").rpartition(":")[0].endswith("config.yaml")


def test_merge_keys_and_anchors(folder, write):
    path = write("any.yaml", "base: &base\n  units: 3\n  kind: gru\nown:\n  <<: *base\n  units: 4\nagain: *base\n")
    provenance = Provenance()
    provenance.add_file(Layer("config", path, ""))
    assert provenance.locate("own.units") == Origin("configs/any.yaml", 6)
    assert provenance.locate("own.kind") == Origin("configs/any.yaml", 3)
    assert provenance.locate("again.units") == Origin("configs/any.yaml", 2)
