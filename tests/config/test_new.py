from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from framework.config.compose import compose
from framework.config.location import shipped_configs
from framework.config.new import new_experiment
from framework.config.schema import group_schemas
from framework.config.yaml_edit import append_default, insert_before, replace_entry, replace_scalars
from framework.config.yaml_file import read_yaml
from framework.errors import InputError, SpecError
from framework.spec.kinds import DATA_KINDS
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


FILES = {
    "text": ["data.path=my.txt"],
    "parallel_text": ["data.source_path=a.de", "data.target_path=a.en"],
    "captions": ["data.captions_path=captions.csv", "data.images_path=[photos, more photos]"],
}


def leaves(node, path=()):
    if not isinstance(node, dict):
        return [] if node is None else [path]
    return [leaf for key, value in node.items() for leaf in leaves(value, (*path, key))]


def training_settings(recipe):
    """What a recipe says of its data that is no part of a description of it."""
    settings = read_yaml(shipped_configs() / "recipe" / f"{recipe}.yaml").get("data") or {}
    return {key: value for key, value in settings.items() if not isinstance(value, dict)}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_new_recipe_is_valid_and_means_the_same(folder, recipe):
    shipped = compose([f"recipe={recipe}"]).mapping
    files = FILES[shipped["data"]["kind"]]
    begun = new_experiment("mine", recipe, files=files)
    assert begun.written == [CONFIGS / "recipe/mine.yaml", CONFIGS / "model/mine.yaml", CONFIGS / "data/mine.yaml", CONFIGS / "schema"]
    assert (begun.commands, begun.missing) == (["gatework check recipe=mine", "gatework train recipe=mine"], "")
    composed, _ = check("mine")
    assert {group: composed.choices[group] for group in ("recipe", "model", "data")} == dict.fromkeys(("recipe", "model", "data"), "mine")
    # Its data is its kind's with the user's files and how the recipe trains on it; only what depends on the published data differs beside.
    of_its_kind = {"captioning_flickr8k": "captioning"}.get(recipe, recipe)  # which is that one with settings of its data
    data = compose([f"recipe={of_its_kind}", f"data={shipped['data']['kind']}", *files]).mapping["data"] | training_settings(recipe)
    decoding = {key: None if key in ("prompt", "max_length") else value for key, value in shipped["decoding"].items()}
    own = {**shipped, "recipe": "mine", "data": data, "decoding": decoding}
    assert composed.mapping == own
    recipe_file, model_file = (read_yaml(CONFIGS / group / "mine.yaml") for group in ("recipe", "model"))
    assert not {*leaves(recipe_file.get("model"))} & {*leaves(model_file)}, "what the model's file has is changed there alone"
    assert str(composed.locate(f"model.{first_leaf(read_yaml(CONFIGS / 'model/mine.yaml'))}")).startswith("configs/model/mine.yaml:")


@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_of_the_publication_is_left(folder, recipe):
    begun = new_experiment("mine", recipe)
    assert begun.missing == DATA_KINDS[compose([f"recipe={recipe}"]).mapping["data"]["kind"]].own
    for group in ("recipe", "model"):
        text = (CONFIGS / group / "mine.yaml").read_text()
        left = re.findall(r"(?i).*(?:tutorial|tensorflow|romeo|shakespeare|flickr|coco|scenes|multi30k|spanish|german|english|licen[cs]e|"
                          r"http|as in|likewise|\d,\d{3}).*", text.replace(f"copy of recipe={recipe}", "").partition("\ndefaults")[0]
                          + text.partition("\ndefaults")[2].replace("- captioning\n", ""))  # fmt: skip
        assert [line for line in left if "begun as a copy of" not in line] == []
        assert not re.search(r"#\s*$", text.partition("\n\n")[2], re.MULTILINE)
    recipe_file = read_yaml(CONFIGS / "recipe/mine.yaml")
    assert "data" not in recipe_file
    assert not any(value for key, value in recipe_file.get("decoding", {}).items() if key in ("prompt", "max_length"))
    kind = read_yaml(CONFIGS / "data/mine.yaml")["kind"]
    template = (shipped_configs() / "data" / f"{kind}.yaml").read_text().partition("\n\n")[2].splitlines()
    lines = (CONFIGS / "data/mine.yaml").read_text().partition("\n\n")[2].splitlines()
    assert len(lines) == len(template)
    changed = {one.split(":")[0] for one, other in zip(lines, template, strict=True) if one != other}
    assert changed <= {*training_settings(recipe)}, "of the data's file only how the recipe trains"


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
        "# The recipe of mine, begun as a copy of recipe=text_generation.\n"
        "#\n"
        "#   gatework check recipe=mine\n"
        "#   gatework train recipe=mine\n"
        "defaults:\n"
    )
    assert "recipe=text_generation " not in recipe
    assert "  kind: language_model                 # predict the next token at every step; the loss is in nats a token\n" in recipe
    assert "  max_epochs: 10\n" in recipe
    copied = (CONFIGS / "model/mine.yaml").read_text()
    assert "    stateful: true                     # row i of a batch goes on where row i of the batch before ended\n" in copied
    assert "    recurrent_initializer: glorot_uniform   # Keras' default is orthogonal\n" in copied
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
    assert "check recipe=mine" not in header


def test_what_a_user_wrote_stays_in_a_copy_of_it(folder):
    new_experiment("mine", "text_generation", CONFIGS, ["data.path=my.txt"])
    path = CONFIGS / "recipe/mine.yaml"
    text = path.read_text().replace("recipe=text_generation.\n", "recipe=text_generation.\n# Best of all, as in the tutorial.\n")
    path.write_text(text.replace("prompt: null ", 'prompt: "Zoe"'))
    assert new_experiment("yours", "mine", CONFIGS).missing == ""
    assert "# Best of all, as in the tutorial.\n" in (CONFIGS / "recipe/yours.yaml").read_text()
    composed, _ = check("yours")
    assert (composed.mapping["decoding"]["prompt"], composed.mapping["data"]["path"]) == ("Zoe", "my.txt")


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
    begun = new_experiment("mine", "text_generation", Path("my other"), command="../gate/scripts/run")
    assert begun.commands[1] == "../gate/scripts/run train --config-dir 'my other' recipe=mine"
    composed = compose(["recipe=mine"], [Path("my other")])
    assert composed.choices["model"] == "mine"


@pytest.fixture
def checkout(monkeypatch) -> Path:
    """A folder whose `configs` are the shipped ones is the working folder."""
    monkeypatch.chdir(shipped_configs().parent)
    return shipped_configs().parent


def test_in_a_checkout_it_has_a_folder_of_its_own(folder, monkeypatch):
    shipped = folder / "configs"
    shutil.copytree(shipped_configs(), shipped)
    monkeypatch.setattr("framework.config.location.shipped_configs", lambda: shipped)
    monkeypatch.setattr("framework.config.new.shipped_configs", lambda: shipped)
    begun = new_experiment("mine", "text_generation", files=["data.path=my.txt"])
    assert begun.written[0] == Path("own_configs/recipe/mine.yaml")
    assert begun.commands == ["gatework check recipe=mine", "gatework train recipe=mine"]
    composed, _ = check("mine")
    assert composed.choices["model"] == "mine"
    assert not list(shipped.rglob("mine.yaml"))
    ignored = (shipped_configs().parent / ".gitignore").read_text().splitlines()
    assert "/own_configs/" in ignored


@pytest.mark.parametrize("into", ["configs", "configs/below", "../{here}/configs"])
def test_gateworks_own_configs_are_not_written_to(checkout, into):
    with pytest.raises(InputError, match="belongs to Gatework itself; expected a folder of your own, such as --into own_configs"):
        new_experiment("mine", "text_generation", Path(into.format(here=checkout.name)))
    assert not list(shipped_configs().rglob("mine.yaml"))


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("my.txt", r"'my.txt' names no file of the data; expected data.path=…"),
        ("path=my.txt", r"did you mean data.path\?"),
        ("data.batch_size=3", "other settings are changed in the files that are written"),
        ("data.corpus=python_source", "names no file of the data"),
    ],
)
def test_files_that_are_none(folder, word, says):
    with pytest.raises(InputError, match=says):
        new_experiment("mine", "text_generation", files=[word])
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("place", ["my own text.txt", "2024", "null", "a: b # c", "[a.txt, b c.txt]", "é.txt", "x" * 300])
def test_files_are_named_as_they_were_typed(folder, place):
    new_experiment("mine", "text_generation", files=[f"data.path={place}"])
    _, experiment = check("mine")
    assert experiment.data.path == (["a.txt", "b c.txt"] if place.startswith("[") else place)


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


def test_replacing_an_entry():
    text = "a: 1\n\nb:\n  c: 2   # two\n  d:\n    - e\n# end\n\nf: {g: 3}\n"
    assert replace_entry(text, ("b", "d"), "d: 4") == "a: 1\n\nb:\n  c: 2   # two\n  d: 4\n# end\n\nf: {g: 3}\n"
    assert replace_entry(text, ("b", "c"), None) == "a: 1\n\nb:\n  d:\n    - e\n# end\n\nf: {g: 3}\n"
    assert replace_entry("a: 1\n\nb:\n  c: 2\n\nf: 3\n", ("b", "c"), None) == "a: 1\n\nf: 3\n"
    for path in (("b", "x"), ("x",), ("a", "b"), ("f", "g")):
        assert replace_entry(text, path, "y: 5") == text
