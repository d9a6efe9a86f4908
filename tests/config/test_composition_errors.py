from __future__ import annotations

from pathlib import Path

import pytest

from framework.config.compose import compose
from framework.config.location import shipped_configs
from framework.errors import EXIT_USER_INPUT, SpecError
from framework.spec.validate import validate_experiment

GLOBAL = "# @package _global_\n"
SHIPPED = sorted(path.stem for path in Path(__file__).parents[2].glob("configs/recipe/*.yaml"))
CHOICES = " or ".join(f"recipe={name}" for name in SHIPPED)


def problems(*overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        compose(overrides).experiment()
    assert caught.value.exit_code == EXIT_USER_INPUT
    return "\n".join(str(problem) for problem in caught.value.problems)


def test_no_recipe(folder):
    assert problems() == f"no recipe is chosen\n    expected: {CHOICES}"


def test_a_misspelt_recipe(folder):
    assert problems("recipe=text_genration") == (
        "recipe: no recipe 'text_genration'\n"
        "    set in: override `recipe=text_genration`\n"
        f"    expected: one of {', '.join(SHIPPED)}\n"
        "    did you mean: text_generation"
    )


def test_own_recipes_are_offered_too(folder, write):
    write("recipe/speech.yaml", GLOBAL)
    assert f"expected: one of {', '.join(sorted([*SHIPPED, 'speech']))}\n    did you mean: speech" in problems("recipe=speach")


def test_a_misspelt_group(folder):
    assert problems("reciep=text_generation") == (
        "reciep: unknown key 'reciep'\n"
        "    set in: override `reciep=text_generation`\n"
        "    did you mean: recipe=text_generation\n"
        "no recipe is chosen\n"
        f"    expected: {CHOICES}"
    )


def test_a_misspelt_section_is_the_specs_to_refuse(folder):
    composed = compose(["recipe=text_generation", "trianer.max_epochs=3"])
    with pytest.raises(SpecError) as caught:
        validate_experiment(composed.mapping, composed.locate)
    (problem,) = caught.value.problems
    assert problem.path == "trianer"
    assert problem.suggestion == "trainer"
    assert str(problem.origin) == "override `trianer.max_epochs=3`"


def test_several_things_wrong_on_the_command_line(folder):
    told = problems("recipe=x", "backend=torhc", "model")
    assert "no recipe 'x'" in told
    assert "no backend 'torhc'" in told
    assert "'model' sets nothing" in told


def test_a_misspelt_choice_in_a_recipe(folder, write):
    write("recipe/own.yaml", GLOBAL + "defaults:\n  - override /data: text\n  - override /model: text_genertion\n")
    folder = shipped_configs() / "model"
    models = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    assert problems("recipe=own") == (
        "model: no model 'text_genertion'\n"
        "    set in: configs/recipe/own.yaml:4\n"
        f"    expected: one of {', '.join(models)}\n"
        "    did you mean: text_generation"
    )


def test_a_misspelt_group_in_a_recipe(folder, write):
    write("recipe/own.yaml", GLOBAL + "defaults:\n  - override /modle: text_generation\n")
    told = problems("recipe=own")
    assert told.startswith("modle: the defaults list of this config has no entry 'modle' whose choice could be changed\n")
    assert "    set in: configs/recipe/own.yaml:3\n" in told
    assert told.endswith("    did you mean: model")


def test_a_group_that_is_not_there(folder, write):
    write("recipe/own.yaml", GLOBAL + "defaults:\n  - /modle: text_generation\n")
    told = problems("recipe=own")
    assert told.startswith("no config group 'modle'\n    set in: configs/recipe/own.yaml:3\n")
    assert told.endswith("    did you mean: model")


def test_broken_yaml(folder, write):
    write("recipe/own.yaml", GLOBAL + "model: a: b\n")
    told = problems("recipe=own")
    assert told.startswith("the YAML cannot be read at column 9: mapping values are not allowed")
    assert "    value: model: a: b\n    set in: configs/recipe/own.yaml:2" in told


def test_yaml_that_ends_too_early(folder, write):
    write("recipe/own.yaml", GLOBAL + "seed: [1,\n\ntrainer: 2\n")
    told = problems("recipe=own")
    assert "while parsing a flow sequence begun in line 2" in told
    assert "configs/recipe/own.yaml:4" in told


def test_a_tab(folder, write):
    write("recipe/own.yaml", GLOBAL + "trainer:\n\tmax_epochs: 1\n")
    told = problems("recipe=own")
    assert "set in: configs/recipe/own.yaml:3\n    hint: indent with spaces" in told


def test_duplicate_keys(folder, write):
    write("recipe/own.yaml", GLOBAL + "seed: 1\ntrainer:\n  max_epochs: 1\n  precision: 32-true\n  max_epochs: 2\nseed: 2\n")
    assert problems("recipe=own") == (
        "the key 'max_epochs' stands twice in one mapping\n"
        "    set in: configs/recipe/own.yaml:6\n"
        "    hint: first in line 4\n"
        "the key 'seed' stands twice in one mapping\n"
        "    set in: configs/recipe/own.yaml:7\n"
        "    hint: first in line 2"
    )


def test_a_file_in_another_encoding(folder, write):
    write("recipe/own.yaml", "").write_bytes(b"# @package _global_\nseed: 1\nname: caf\xe9\n")
    assert problems("recipe=own") == "the file is not written in UTF-8\n    set in: configs/recipe/own.yaml:3\n    expected: UTF-8 text"


def test_a_circle(folder, write):
    write("recipe/one.yaml", GLOBAL + "defaults:\n  - two\n")
    write("recipe/two.yaml", GLOBAL + "seed: 1\ndefaults:\n  - one\n")
    assert problems("recipe=one") == (
        "the defaults lists go round in a circle: recipe/one -> recipe/two -> recipe/one\n    set in: configs/recipe/one.yaml:3"
    )


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("defaults:\n  - /data: text\n", "Multiple values for data", "configs/recipe/own.yaml:3"),
        ("defaults:\n  - override /model: text_generation\n  - /data: text\n", "Overrides must be at the end", "configs/recipe/own.yaml:3"),
    ],
)
def test_what_only_hydra_can_say_comes_with_the_place(folder, write, text, what, where):
    write("recipe/own.yaml", GLOBAL + text)
    told = problems("recipe=own")
    assert told.startswith("the config cannot be composed: ")
    assert what in told
    assert told.endswith(f"    set in: {where}")
    assert "http" not in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed: 1\ndefaults: 3\n", "defaults: must be a list\n    value: 3\n    set in: configs/recipe/own.yaml:3"),
        ("- 1\n- 2\n", "the file holds no mapping\n    set in: configs/recipe/own.yaml:1\n    expected: key: value, one a line"),
        ("seed: 1\nhydra: 3\n", "hydra: must be a mapping\n    value: 3\n    set in: configs/recipe/own.yaml:3"),
        ("just text\n", "the file holds no mapping\n    set in: configs/recipe/own.yaml:1\n    expected: key: value, one a line"),
    ],
)
def test_a_file_that_is_no_config(folder, write, text, told):
    write("recipe/own.yaml", GLOBAL + text)
    assert problems("recipe=own") == told


def test_the_package_may_stand_anywhere_in_the_header(folder, write):
    write("recipe/own.yaml", "# yaml-language-server: $schema=x\n#\n" + GLOBAL + "seed: 4\n")
    assert compose(["recipe=own"]).mapping["seed"] == 4


@pytest.mark.parametrize(
    ("file", "entry"), [("many/a{}.yaml", "/many/a{}@k{}"), ("a{}/x.yaml", "/a{}@k{}: x")], ids=["as files", "as options"]
)
def test_defaults_that_each_ask_for_ten_of_the_next(folder, write, file, entry):
    write(file.format(0), "v: 1\n")
    for level in range(1, 9):
        write(file.format(level), "defaults:\n" + "".join(f"  - {entry.format(level - 1, number)}\n" for number in range(10)))
    write("recipe/own.yaml", f"{GLOBAL}defaults:\n  - text_generation\n  - {entry.format(8, 0)}\n")
    told = problems("recipe=own")
    assert told.startswith("the defaults lists bring in more than 200 configs")
    assert f"set in: configs/{file.format(3)}:2\n" in told


def test_an_option_that_is_an_interpolation(folder, write):
    write("recipe/own.yaml", GLOBAL + "defaults:\n  - text_generation\n  - override /trainer: ${data}\n")
    told = problems("recipe=own")
    assert told.startswith("trainer: no trainer 'shakespeare'\n")
    assert "set in: configs/recipe/own.yaml:4\n" in told
    told = problems("recipe=text_generation", "hydra/launcher=${data}")
    assert "set in: override `hydra/launcher=${data}`\n" in told
    told = problems("recipe=text_generation", "hydra/launcher=~/x")
    assert told.startswith("hydra/launcher: no hydra/launcher '~/x'\n    set in: override `hydra/launcher=~/x`\n")


def test_an_option_that_is_required(folder, write):
    write("recipe/own.yaml", GLOBAL + "defaults:\n  - text_generation\n  - override /trainer: ???\n")
    assert problems("recipe=own") == (
        "trainer: an option is required\n    value: ???\n    set in: configs/recipe/own.yaml:4\n    expected: one of default"
    )


@pytest.mark.parametrize("name", ["../x", "a..b", ".a", "a/b", "a." * 80 + "b"])
def test_a_package_that_is_none(folder, write, name):
    write("recipe/own.yaml", f"#\n# @package {name}\nseed: 4\n")
    told = problems("recipe=own")
    assert told.startswith("this is no package\n")
    assert "set in: configs/recipe/own.yaml:2\n" in told


def test_a_file_that_changes_is_read_again(folder, write):
    path = write("recipe/own.yaml", GLOBAL + "seed: 4\n")
    assert compose(["recipe=own"]).mapping["seed"] == 4
    path.write_text(GLOBAL + "seed: 12\n")
    assert compose(["recipe=own"]).mapping["seed"] == 12


def test_deleting_what_is_not_there(folder):
    told = problems("recipe=text_generation", "~model.layers.gruu")
    assert "'model.layers.gruu' does not exist" in told
    assert "set in: override `~model.layers.gruu`" in told


def test_unknown_settings_of_hydra(folder):
    told = problems("recipe=text_generation", "hydra.foo=3")
    assert told.startswith("hydra.foo: Gatework does not offer this setting of Hydra's\n    set in: override `hydra.foo=3`")
    told = problems("recipe=text_generation", "hydra.launcher.foo=3")
    assert told.startswith("hydra.launcher.foo: Hydra has no setting 'hydra.launcher.foo'\n    set in: override `hydra.launcher.foo=3`")
    told = problems("recipe=text_generation", "hydra/launcher=basik")
    assert told.startswith("hydra/launcher: no hydra/launcher 'basik'\n    set in: override `hydra/launcher=basik`")
    assert told.endswith("did you mean: basic")


def test_a_foreign_primary_config(folder, write):
    write("config.yaml", "defaults:\n  - _self_\nlearning_rate: 3\n")
    for overrides in ([], ["recipe=text_generation"]):
        told = problems(*overrides)
        assert told.startswith("configs/config.yaml takes the place of Gatework's own config.yaml, but its defaults have no recipe")
        assert "hint: rename it" in told


class TestInterpolations:
    def test_all_are_reported_with_their_places(self, folder, write):
        write(
            "recipe/own.yaml",
            GLOBAL
            + "recipe: own\n"
            + "seed: ${data.batch_sise}\n"
            + "name: ${sise:tokens}\n"
            + "trainer:\n  precision: ${task.kind}\ntask:\n  kind: ???\n"
            + "paths:\n  runs_dir: ${paths.data_dir}\n  data_dir: ${paths.runs_dir}\n  cache_dir: ${oc.env:GATEWORK_NO_SUCH_VARIABLE}\n",
        )
        told = problems("recipe=own", "data=text", "decoding.top_k=${nothing.here}", "optimizer.learning_rate=-1")
        interpolations = (
            "name: unknown interpolation '${sise:…}'\n"
            "    value: ${sise:tokens}\n"
            "    set in: configs/recipe/own.yaml:4\n"
            "    expected: ${size:…}, ${oc.env:…}, ${oc.select:…}, ${oc.decode:…}, ${oc.create:…}, ${oc.dict.keys:…}, "
            "${oc.dict.values:…}, ${now:…}\n"
            "    did you mean: size\n"
            "seed: there is no key 'data.batch_sise' to take the value from\n"
            "    value: ${data.batch_sise}\n"
            "    set in: configs/recipe/own.yaml:3\n"
            "    did you mean: data.batch_size\n"
            "paths.runs_dir: the interpolation has no value: recursive interpolation detected\n"
            "    value: ${paths.data_dir}\n"
            "    set in: configs/recipe/own.yaml:10\n"
            "paths.data_dir: the interpolation has no value: recursive interpolation detected\n"
            "    value: ${paths.runs_dir}\n"
            "    set in: configs/recipe/own.yaml:11\n"
            "paths.cache_dir: the interpolation has no value: environment variable 'GATEWORK_NO_SUCH_VARIABLE' not found\n"
            "    value: ${oc.env:GATEWORK_NO_SUCH_VARIABLE}\n"
            "    set in: configs/recipe/own.yaml:12\n"
            "trainer.precision: it stands for a value that is still required (???)\n"
            "    value: ${task.kind}\n"
            "    set in: configs/recipe/own.yaml:6\n"
            "decoding.top_k: there is no key 'nothing.here' to take the value from\n"
            "    value: ${nothing.here}\n"
            "    set in: override `decoding.top_k=${nothing.here}`\n"
            "task.kind: a value is required\n"
            "    value: ???\n"
            "    set in: configs/recipe/own.yaml:8\n"
            "    hint: set it with task.kind=…"
        )
        assert told.startswith(interpolations + "\n")
        assert [line for line in told.removeprefix(interpolations).splitlines() if not line.startswith(" ") and line] == [
            "model: is missing",
            "optimizer.learning_rate: value not accepted",
        ], "what else is wrong is told too, and nothing about the values that nobody knows"

    def test_what_cannot_even_be_read(self, folder, write):
        write("recipe/own.yaml", GLOBAL + "seed: ${\nname: ${a b}\n")
        write("recipe/other.yaml", GLOBAL + "seed: ${\n")
        told = problems("recipe=own")
        assert told.startswith(
            "seed: the interpolation cannot be read\n"
            "    value: ${\n"
            "    set in: configs/recipe/own.yaml:2\n"
            "    expected: ${key} or ${size:NAME}\n"
            "    hint: a text that holds ${ itself is written \\${\n"
            "name: "
        )
        assert "other.yaml" not in told

    def test_on_the_command_line(self, folder):
        assert problems("recipe=text_generation", "name=a${").startswith(
            "name: the interpolation cannot be read\n    value: a${\n    set in: override `name=a${`"
        )

    def test_an_escaped_one_is_text(self, folder, write):
        write("recipe/own.yaml", GLOBAL + "decoding:\n  prompt: \\${x}\n")
        assert compose(["recipe=own"]).mapping["decoding"]["prompt"] == "${x}"
