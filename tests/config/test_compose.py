from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from framework.builder.planner import plan_model
from framework.config.compose import compose
from framework.config.fill import fill_sizes
from framework.config.location import shipped_configs
from framework.errors import InputError
from framework.spec.validate import validate_experiment

GROUPS = ("backend", "decoding", "model", "optimizer", "paths", "tracking", "trainer")
RECIPES = sorted(path.stem for path in (shipped_configs() / "recipe").glob("*.yaml"))


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("extra", [[], ["debug=small", "backend=tensorflow"]])
def test_every_shipped_recipe_is_valid(folder, recipe, extra):
    composed = compose(extra, recipe=recipe)
    experiment = validate_experiment(composed.mapping, composed.locate)
    assert experiment.recipe == recipe


def test_every_option_of_every_group_is_valid(folder):
    options = {group: sorted(path.stem for path in (shipped_configs() / group).glob("*.yaml")) for group in GROUPS}
    for turn in range(max(map(len, options.values()))):
        choices = {group: names[turn % len(names)] for group, names in options.items()}
        fitting = {"translation": "spa_eng", "captioning": "flickr8k"}
        data = fitting.get(choices["model"].partition("_")[0], "shakespeare")
        composed = compose(["recipe=text_generation", f"data={data}", *(f"{group}={name}" for group, name in choices.items())])
        validate_experiment(composed.mapping, composed.locate)
        assert {group: composed.choices[group] for group in choices} == choices


def test_the_tutorials_model(folder):
    model = compose(["recipe=text_generation"]).mapping["model"]
    assert model["inputs"] == {"tokens": {"dtype": "int32", "shape": [None], "batch_size": 64}}
    assert model["layers"] == {
        "embedding": {"kind": "embedding", "inputs": "tokens", "input_dim": "${size:tokens}", "output_dim": 256},
        "gru": {"kind": "gru", "units": 1024, "return_sequences": True, "stateful": True, "recurrent_initializer": "glorot_uniform"},
        "logits": {"kind": "dense", "units": "${size:tokens}"},
    }
    assert model["outputs"] == "logits"


def test_the_later_model_reads_unknown_characters_and_keeps_no_state(folder):
    mapping = compose(["recipe=text_generation", "model=text_generation_stateless"]).mapping
    assert mapping["data"]["unknown"] == "replace"
    assert mapping["model"]["layers"]["gru"] == {"kind": "gru", "units": 1024, "return_sequences": True}
    assert "batch_size" not in mapping["model"]["inputs"]["tokens"]


def test_a_key_that_no_yaml_names_can_be_overridden(folder):
    composed = compose(["recipe=text_generation", "model.layers.gru.recurrent_dropout=0.2", "trainer.early_stopping.patience=5"])
    assert composed.mapping["model"]["layers"]["gru"]["recurrent_dropout"] == 0.2
    assert composed.mapping["trainer"]["early_stopping"] == {"patience": 5}


def test_sizes_stay_as_text_and_everything_else_is_resolved(folder):
    composed = compose(["recipe=text_generation", "data.batch_size=7", "name=${size:tokens}", "seed=${model.layers.gru.units}"])
    assert composed.mapping["model"]["inputs"]["tokens"]["batch_size"] == 7
    assert composed.mapping["name"] == "${size:tokens}"
    assert composed.mapping["seed"] == 1024
    assert "batch_size: ${data.batch_size}" in composed.composed_yaml
    assert "units: ${size:tokens}" in composed.composed_yaml


def test_a_size_survives_being_referred_to(folder):
    composed = compose(["recipe=text_generation", "model.layers.logits.units=${model.layers.embedding.input_dim}"])
    assert composed.mapping["model"]["layers"]["logits"]["units"] == "${size:tokens}"


def test_recipes_win_over_groups_and_the_command_line_over_recipes(folder, write):
    write("recipe/own.yaml", "# @package _global_\ntrainer: {max_epochs: 3, log_every_n_steps: 4}\n")
    composed = compose(["recipe=own", "trainer.log_every_n_steps=5"])
    assert composed.mapping["trainer"]["max_epochs"] == 3
    assert composed.mapping["trainer"]["log_every_n_steps"] == 5
    assert composed.mapping["trainer"]["precision"] == "32-true"


def test_debug_wins_over_the_recipe(folder):
    assert compose(["recipe=text_generation", "debug=small"]).mapping["trainer"]["max_epochs"] == 1


def test_a_recipe_that_does_not_name_itself_has_the_name_of_its_file(folder, write):
    write("recipe/own.yaml", "# @package _global_\nseed: 3\n")
    assert compose(["recipe=own"]).mapping["recipe"] == "own"


def test_the_users_folder_comes_before_the_shipped_one_and_config_dir_before_both(folder, write):
    write("optimizer/adam.yaml", "kind: adam\nlearning_rate: 0.5\n")
    write("optimizer/sgd.yaml", "kind: sgd\nlearning_rate: 0.25\n")
    other = folder / "other" / "optimizer"
    other.mkdir(parents=True)
    (other / "sgd.yaml").write_text("kind: sgd\nlearning_rate: 0.125\n")

    def rate(overrides, dirs=()):
        return compose(["recipe=text_generation", *overrides], dirs).mapping["optimizer"]["learning_rate"]

    assert rate([]) == 0.5
    assert rate(["optimizer=sgd"]) == 0.25
    assert rate(["optimizer=sgd"], [Path("other")]) == 0.125


def test_the_first_of_two_config_dirs_wins(folder):
    for name, rate in (("a", 0.5), ("b", 0.25)):
        (folder / name / "optimizer").mkdir(parents=True)
        (folder / name / "optimizer" / "own.yaml").write_text(f"kind: sgd\nlearning_rate: {rate}\n")
    composed = compose(["recipe=text_generation", "optimizer=own"], [folder / "b", folder / "a"])
    assert composed.mapping["optimizer"]["learning_rate"] == 0.25


def test_a_config_dir_that_is_not_there(folder):
    with pytest.raises(InputError, match="no config folder 'nowhere'; --config-dir names an existing folder"):
        compose(["recipe=text_generation"], [Path("nowhere")])


def test_of_two_choices_the_last_wins_and_null_takes_a_choice_away(folder):
    assert compose(["recipe=text_generation", "optimizer=sgd", "optimizer=rmsprop"]).mapping["optimizer"]["kind"] == "rmsprop"
    assert compose(["recipe=text_generation", "debug=small", "debug=null"]).mapping["trainer"]["max_epochs"] == 10
    assert compose(["recipe=text_generation", "debug=null", "debug=small"]).mapping["trainer"]["max_epochs"] == 1
    assert compose(["recipe=text_generation", "debug=small", "~debug"]).mapping["trainer"]["max_epochs"] == 10
    assert compose(["recipe=text_generation", "tracking=null"]).mapping["tracking"] == {"kind": "none"}


@pytest.mark.parametrize("recipe", [path.stem for path in sorted((shipped_configs() / "recipe").glob("*.yaml"))])
def test_small_makes_the_model_small_and_the_command_line_wins_over_it(folder, recipe):
    whole, small = (parameters(compose([f"recipe={recipe}", *words])) for words in ([], ["debug=small"]))
    assert small < 0.2 * whole
    assert compose([f"recipe={recipe}", "debug=small", "model.layers.logits.units=7"]).mapping["model"]["layers"]["logits"]["units"] == 7


def parameters(composed):
    """Of the model's weights, where the data had five tokens or features."""
    sizes = dict.fromkeys(composed.experiment().data.size_names, 5)
    filled = validate_experiment(fill_sizes(composed.mapping, sizes))
    return plan_model(filled.model, 0).parameters


def test_deletion_and_hydras_own_forms_stay_hydras(folder):
    composed = compose(["recipe=text_generation", "~model.layers.gru.stateful", "+model.layers.gru.dropout=0.5", "++seed=9"])
    assert composed.mapping["model"]["layers"]["gru"]["dropout"] == 0.5
    assert "stateful" not in composed.mapping["model"]["layers"]["gru"]
    assert composed.mapping["seed"] == 9


def test_what_the_user_wrote_is_kept(folder):
    overrides = ("recipe=text_generation", "decoding.prompt=I'm here, ", "seed=3")
    composed = compose(overrides)
    assert composed.overrides == overrides
    assert composed.mapping["decoding"]["prompt"] == "I'm here, "


def test_recipe_argument(folder):
    composed = compose(["seed=3"], recipe="text_generation")
    assert composed.overrides == ("recipe=text_generation", "seed=3")


def test_choices(folder):
    choices = compose(["recipe=text_generation"]).choices
    assert choices["model"] == "text_generation"
    assert choices["debug"] == "none"
    assert not any(group.startswith("hydra") for group in choices)


def test_hydra_that_was_active_before_is_put_back(folder):
    (folder / "mine").mkdir()
    (folder / "mine" / "app.yaml").write_text("x: 1\n")
    with initialize_config_dir(str(folder / "mine"), version_base="1.3"):
        before = GlobalHydra.instance().hydra
        compose(["recipe=text_generation"])
        assert GlobalHydra.instance().hydra is before
        assert hydra_compose("app").x == 1
    compose(["recipe=text_generation"])
    assert GlobalHydra.instance().hydra is None


def test_composing_writes_nothing(folder):
    compose(["recipe=text_generation"])
    assert list(folder.iterdir()) == []


def test_composed_yaml_is_the_mapping_before_interpolation(folder):
    composed = compose(["recipe=text_generation"])
    text = composed.composed_yaml.replace("${data.batch_size}", "64")
    assert yaml.safe_load(text) == composed.mapping


def test_a_sweep_file_asks_for_a_multirun(folder):
    assert compose(["recipe=text_generation", "sweep=learning_rate"]).multirun
    assert not compose(["recipe=text_generation"]).multirun
