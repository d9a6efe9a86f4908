from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from framework.config.compose import compose
from framework.config.location import shipped_configs
from framework.config.new import new_experiment
from framework.config.schema import group_schemas
from framework.config.yaml_edit import append_default, insert_before, replace_scalars
from framework.config.yaml_file import read_yaml
from framework.errors import InputError, SpecError
from framework.spec.validate import validate_experiment

RECIPES = sorted(path.stem for path in (shipped_configs() / "recipe").glob("*.yaml"))
CONFIGS = Path("configs")


def check(name: str, *words: str):
    composed = compose([f"recipe={name}", *words])
    return composed, validate_experiment(composed.mapping, composed.locate)


def first_leaf(section: dict[str, Any]) -> str:
    """Dotted key of the first value that a file sets itself."""
    name, value = next((name, value) for name, value in section.items() if name != "defaults")
    return f"{name}.{first_leaf(value)}" if isinstance(value, dict) else name


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_new_recipe_is_valid_and_means_the_same(folder, recipe):
    begun = new_experiment("mine", recipe, CONFIGS)
    assert begun.written == [CONFIGS / "recipe/mine.yaml", CONFIGS / "model/mine.yaml", CONFIGS / "data/mine.yaml", CONFIGS / "schema"]
    _, verb, chosen, *files = begun.commands[0].split()
    assert (verb, chosen) == ("check", "recipe=mine")
    files = [word.replace("FILE", "my.txt").replace("FOLDER", "photos") for word in files]
    composed, _ = check("mine", *files)
    assert {group: composed.choices[group] for group in ("recipe", "model", "data")} == dict.fromkeys(("recipe", "model", "data"), "mine")
    shipped = compose([f"recipe={recipe}"]).mapping
    own = compose([f"recipe={recipe}", f"data={shipped['data']['kind']}", *files]).mapping
    assert composed.mapping == {**own, "recipe": "mine"}
    assert shipped == {**own, "data": shipped["data"]}
    assert str(composed.locate(f"model.{first_leaf(read_yaml(CONFIGS / 'model/mine.yaml'))}")).startswith("configs/model/mine.yaml:")


def test_an_own_text_needs_one_more_word(folder):
    new_experiment("mine", "text_generation", CONFIGS)
    path = CONFIGS / "data/mine.yaml"
    path.write_text(path.read_text().replace("path: null", "path: my.txt"))
    _, experiment = check("mine")
    assert experiment.data.path == "my.txt"
    assert experiment.data.known_sizes() == {}


def test_comments_are_kept_and_the_header_tells_how_to_launch(folder):
    new_experiment("mine", "text_generation", CONFIGS)
    recipe = (CONFIGS / "recipe/mine.yaml").read_text()
    assert recipe.startswith(
        "# @package _global_\n"
        "# yaml-language-server: $schema=../schema/experiment.json\n"
        "#\n"
        "# The recipe of mine, begun as a copy of recipe=text_generation:\n"
    )
    assert "#   gatework check recipe=mine data.path=FILE\n#   gatework train recipe=mine data.path=FILE\n" in recipe
    assert "recipe=text_generation " not in recipe
    assert "# as in the tutorial" in recipe
    original = (shipped_configs() / "model/text_generation.yaml").read_text()
    copied = (CONFIGS / "model/mine.yaml").read_text()
    assert copied.partition("\ninputs:")[2] == original.partition("\ninputs:")[2]
    data = (CONFIGS / "data/mine.yaml").read_text()
    assert "# Your own text: a file, a folder, a glob" in data
    assert not {"Shakespeare", "shakespeare", "http", "public domain"} & set(re.findall(r"[\w ]+", data))


def test_the_files_have_schemas_that_they_satisfy(folder):
    new_experiment("mine", "text_generation_stateless", CONFIGS)
    for path in CONFIGS.rglob("*.yaml"):
        name = next(line for line in path.read_text().splitlines() if "$schema=" in line).rpartition("=")[2]
        schema = (path.parent / name).resolve()
        jsonschema.Draft7Validator(yaml.safe_load(schema.read_text())).validate(read_yaml(path))
    assert {path.stem for path in (CONFIGS / "schema").iterdir()} == set(group_schemas())


def test_an_own_recipe_can_be_copied_in_turn(folder):
    new_experiment("mine", "text_generation", CONFIGS)
    new_experiment("yours", "mine", CONFIGS)
    composed, _ = check("yours", "data.path=my.txt")
    assert composed.choices["model"] == "yours"
    header = (CONFIGS / "recipe/yours.yaml").read_text()
    assert header.count("begun as a copy of") == 1
    assert "recipe=mine\n" not in header


def test_a_recipe_that_writes_everything_out_itself(folder, write):
    write("recipe/whole.yaml", "# @package _global_\nseed: 3\n")
    assert new_experiment("mine", "whole", CONFIGS).written == [CONFIGS / "recipe/mine.yaml", CONFIGS / "schema"]
    assert compose(["recipe=mine"]).mapping["seed"] == 3
    assert compose(["recipe=mine"]).mapping["recipe"] == "mine"


def test_a_recipe_whose_choices_lie_elsewhere_gets_its_own(folder, write):
    write("recipe/base.yaml", "# @package _global_\ndefaults:\n  - override /data: text\n  - override /model: text_generation\n")
    write("recipe/heir.yaml", "# @package _global_\ndefaults:\n  - override /optimizer: sgd   # faster\n# the end\n\nseed: 3\n")
    write("config.yaml", (shipped_configs() / "config.yaml").read_text().replace("data: null", "data: text"))
    new_experiment("mine", "heir", CONFIGS)
    assert "  - override /optimizer: sgd   # faster\n  - override /data: mine\n# the end\n" in (CONFIGS / "recipe/mine.yaml").read_text()
    assert compose(["recipe=mine"]).choices["data"] == "mine"


def test_into_another_folder(folder):
    new_experiment("mine", "text_generation", Path("other"))
    composed = compose(["recipe=mine"], [Path("other")])
    assert composed.choices["model"] == "mine"


@pytest.mark.parametrize("name", ["1a", "a/b", "../a", "a b", "", "null", "True", "é", "a.b", "-a"])
def test_bad_names(folder, name):
    with pytest.raises(InputError, match="cannot be a recipe's name; begin with a letter"):
        new_experiment(name, "text_generation", CONFIGS)
    assert list(folder.iterdir()) == []


def test_names_that_are_taken(folder):
    new_experiment("mine", "text_generation", CONFIGS)
    before = (CONFIGS / "recipe/mine.yaml").read_text()
    with pytest.raises(InputError, match=r"'mine' is taken by configs/recipe/mine.yaml, configs/model/mine.yaml, configs/data/mine.yaml"):
        new_experiment("mine", "text_generation_stateless", CONFIGS)
    assert (CONFIGS / "recipe/mine.yaml").read_text() == before
    with pytest.raises(InputError, match=r"'gru_reference' is taken by .*model/gru_reference.yaml"):
        new_experiment("gru_reference", "text_generation", CONFIGS)


def test_an_unknown_source(folder):
    with pytest.raises(SpecError, match="no recipe 'text_genration'"):
        new_experiment("mine", "text_genration", CONFIGS)
    assert list(folder.iterdir()) == []


def test_replacing_scalars():
    text = 'a: 1   # one\nb:\n  - x: "old"\n  - y\n'
    assert replace_scalars(text, {("a",): "1234", ("b", "0", "x"): "new", ("b", "1"): "z", ("c",): "no"}) == (
        "a: 1234 # one\nb:\n  - x: new\n  - z\n"
    )


def test_appending_a_default():
    assert append_default("defaults:\n- a: b\n- c\n# end\n\nx: 1\n", "d: e") == "defaults:\n- a: b\n- c\n- d: e\n# end\n\nx: 1\n"
    assert append_default("# top\nx: 1\n", "d: e") == "# top\ndefaults:\n  - d: e\n\nx: 1\n"


def test_inserting_a_line():
    assert insert_before("a: 1\nb: 2\n", "b", "c: 3") == "a: 1\nc: 3\nb: 2\n"
    assert insert_before("a: 1\n", None, "c: 3") == "a: 1\nc: 3\n"
