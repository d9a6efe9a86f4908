"""The targets of a recipe: found by the config recipe they name, and every fault told with its line."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from framework.config.location import shipped_configs
from framework.config.recipe_files import find_targets, read_targets, recipe_folders
from framework.config.schema import group_schemas, schema_header
from framework.config.yaml_file import read_yaml
from framework.errors import InputError, SpecError

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "recipes").glob("*/targets.yaml"))

GOOD = """\
spec_version: 1
publication: a paper
variants:
  first:
    title: The first
    recipe: mine
    targets:
      - {metric: loss, epoch: 1, measures: mean, value: 2.0, low: 1.9, high: 2.1, why: a guess, source: page 3}
    curves:
      - {label: run, source: page 4, values: {1: 2.0, 2: 1.5}}
"""


def write(tmp_path: Path, text: str = GOOD) -> Path:
    path = tmp_path / "recipes" / "mine" / "targets.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_targets_are_found_by_the_recipe_that_a_variant_names(tmp_path: Path) -> None:
    folder, targets = find_targets("mine", [write(tmp_path).parents[1]])
    assert folder == tmp_path / "recipes" / "mine"
    assert targets.variants["first"].curves[0].values == {1: 2.0, 2: 1.5}


def test_own_recipes_come_before_the_shipped_ones(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("recipe: mine", "recipe: text_generation"))
    folders = recipe_folders(tmp_path / "recipes")
    assert folders == [tmp_path / "recipes", ROOT / "recipes"]
    assert find_targets("text_generation", folders)[0] == tmp_path / "recipes" / "mine"
    assert find_targets("text_generation_stateless", folders)[0] == ROOT / "recipes" / "text_generation"
    with pytest.raises(InputError, match=r"no folder of recipes '.*nowhere'; --recipes-dir names an existing folder"):
        recipe_folders(tmp_path / "nowhere")


def test_a_recipe_without_targets_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    with pytest.raises(InputError) as raised:
        find_targets("mime", [tmp_path / "recipes"])
    assert str(raised.value) == (
        "there are no published figures for recipe 'mime': no variant in recipes/NAME/targets.yaml names it\n"
        "    did you mean: mine\n    expected: one of mine"
    )


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        ("value: 2.0", "value: 3.0", 8, "the published value 3.0 lies outside 1.9 to 2.1"),
        ("recipe: mine", "recipie: mine", 6, "did you mean: recipe"),
        ("epoch: 1", "epoch: first", 8, "variants.first.targets.0.epoch: value not accepted"),
        ("publication: a paper", "publication: a paper\npublication: another", 3, "the key 'publication' stands twice"),
        ("variants:", "variants: [", 5, "the YAML cannot be read"),
    ],
)
def test_a_fault_is_told_with_its_line(before: str, after: str, line: int, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace(before, after, 1))
    with pytest.raises(SpecError) as raised:
        read_targets(path)
    assert str(raised.value).startswith(f"{path} is wrong:\n")
    assert message in str(raised.value)
    assert f"{path}:{line}" in str(raised.value)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_shipped_targets_name_their_schema_and_satisfy_it(path: Path) -> None:
    header = schema_header("targets", depth=2).replace("schema/", "configs/schema/")
    assert path.read_text(encoding="utf-8").splitlines()[0] == header
    content = json.loads(json.dumps(read_yaml(path)))
    assert list(jsonschema.Draft7Validator(group_schemas()["targets"]).iter_errors(content)) == []
    for variant in read_targets(path).variants.values():
        assert (shipped_configs() / "recipe" / f"{variant.recipe}.yaml").is_file()
