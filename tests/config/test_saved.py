from __future__ import annotations

from pathlib import Path

import pytest

from framework.config import saved
from framework.config.compose import compose
from framework.config.saved import dump_yaml, load_resolved, migrate, save_resolved
from framework.errors import EXIT_USER_INPUT, RunError
from framework.spec.base import SPEC_VERSION


def test_a_config_is_read_back_as_it_was_saved(folder):
    mapping = compose(["recipe=text_generation"]).mapping
    save_resolved(Path("resolved.yaml"), mapping)
    assert load_resolved(Path("resolved.yaml")) == mapping
    assert Path("resolved.yaml").read_text().startswith("spec_version: 1\n")
    assert [path.name for path in folder.iterdir()] == ["resolved.yaml"]


def test_a_version_is_added_where_there_is_none(folder):
    save_resolved(Path("spec.yaml"), {"layers": {}})
    assert load_resolved(Path("spec.yaml")) == {"spec_version": SPEC_VERSION, "layers": {}}


def test_the_same_value_gives_the_same_text():
    assert dump_yaml({"b": 1, "a": [1, 2]}) == dump_yaml({"b": 1, "a": [1, 2]}) == "b: 1\na:\n- 1\n- 2\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f"spec_version: {SPEC_VERSION + 1}\n",
            f"was written by a newer Gatework (spec_version {SPEC_VERSION + 1}, this one knows {SPEC_VERSION})",
        ),
        ("seed: 3\n", "holds no spec_version"),
        ("spec_version: true\n", "holds no spec_version"),
        ("spec_version: '1'\n", "holds no spec_version"),
        ("", "holds no spec_version"),
        ("- 1\n", "holds no spec_version"),
        ("a: [1,\n", "is damaged"),
    ],
)
def test_what_cannot_be_read(folder, text, message):
    Path("resolved.yaml").write_text(text)
    with pytest.raises(RunError) as caught:
        load_resolved(Path("resolved.yaml"))
    assert message in str(caught.value)
    assert str(caught.value).startswith("resolved.yaml ")
    assert caught.value.exit_code == EXIT_USER_INPUT


def test_a_missing_file(folder):
    with pytest.raises(RunError, match=r"^runs/x/resolved\.yaml is missing$"):
        load_resolved(Path("runs/x/resolved.yaml"))


def test_old_versions_are_migrated_step_by_step(monkeypatch):
    monkeypatch.setattr(saved, "SPEC_VERSION", 3)
    monkeypatch.setattr(
        saved,
        "MIGRATIONS",
        {1: lambda old: {**old, "b": old["a"] + 1}, 2: lambda old: {key: value for key, value in old.items() if key != "a"}},
    )
    assert migrate({"spec_version": 1, "a": 1}, "x") == {"spec_version": 3, "b": 2}
    assert migrate({"spec_version": 2, "a": 1, "b": 5}, "x") == {"spec_version": 3, "b": 5}
    monkeypatch.setattr(saved, "MIGRATIONS", {2: lambda old: old})
    with pytest.raises(RunError, match=r"x was written by a Gatework too old for this one \(spec_version 1, this one knows 3\)"):
        migrate({"spec_version": 1}, "x")


def test_every_older_version_has_a_migration():
    assert set(saved.MIGRATIONS) == set(range(1, SPEC_VERSION))
