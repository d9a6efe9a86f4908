"""What makes two runs the same run."""

from __future__ import annotations

import pytest

from framework.engine.run.digest import config_digest, differences, may_change, resolved, run_digest
from framework.spec.experiment import Experiment
from framework.spec.validate import validate_experiment


def experiment(**changes: object) -> Experiment:
    mapping = {
        "recipe": "mine",
        "data": {"kind": "text", "path": "my.txt"},
        "task": {"kind": "language_model"},
        "optimizer": {"kind": "adam"},
        "model": {
            "inputs": {"tokens": {"shape": [None]}},
            "layers": {"gru": {"kind": "embedding", "input_dim": "${size:tokens}", "output_dim": 4}},
            "outputs": "gru",
        },
        **changes,
    }
    return validate_experiment(mapping)


@pytest.mark.parametrize(
    "same", [{"name": "x"}, {"tracking": {"kind": "none"}}, {"paths": {"runs_dir": "r"}}, {"resume": "never"}, {"seed": 0}]
)
def test_where_a_run_is_kept_does_not_change_its_digest(same: dict[str, object]) -> None:
    assert config_digest(experiment(**same)) == config_digest(experiment())


@pytest.mark.parametrize("other", [{"seed": 1}, {"optimizer": {"kind": "sgd"}}, {"backend": {"name": "tensorflow"}}])
def test_what_a_run_computes_changes_its_digest(other: dict[str, object]) -> None:
    assert config_digest(experiment(**other)) != config_digest(experiment())


def test_what_is_only_told_of_the_data_changes_no_digest() -> None:
    def translator(**more: object) -> Experiment:
        model = resolved(experiment())["model"]
        model["layers"]["gru"]["input_dim"] = 7
        return experiment(task={"kind": "translation"}, data={"kind": "parallel_text", "path": "my.tsv", **more}, model=model)

    told = translator(declared_lengths={"source": 16})
    assert config_digest(told) == config_digest(translator())
    assert run_digest(told, "") == run_digest(translator(), "")


def test_differences_name_each_key() -> None:
    found = differences(resolved(experiment()), resolved(experiment(seed=3, trainer={"max_epochs": 4})))
    assert found == [("seed", 0, 3), ("trainer.max_epochs", 10, 4)]


@pytest.mark.parametrize(
    ("key", "may"),
    [
        ("trainer.max_epochs", True),
        ("paths.runs_dir", True),
        ("backend.device", True),
        ("data.declared_lengths.source", True),
        ("data.path", True),
        ("data.download.url", True),
        ("data.download.sha256", False),
        ("data.corpus", False),
        ("data.encoding", False),
        ("backend.name", False),
        ("trainer.precision", False),
        ("seed", False),
    ],
)
def test_what_may_change_on_resume(key: str, may: bool) -> None:
    assert may_change(key, experiment()) is may


@pytest.mark.parametrize(
    "same",
    [
        {"name": "x"},
        {"trainer": {"max_epochs": 99}},
        {"backend": {"device": "cpu"}},
        {"data": {"kind": "text", "path": "/elsewhere/copy.txt"}},
        {"paths": {"runs_dir": "r", "data_dir": "d"}},
        {"tracking": {"kind": "none"}},
    ],
)
def test_a_run_is_the_same_wherever_it_and_its_data_lie_and_however_long_it_is(same: dict[str, object]) -> None:
    assert run_digest(experiment(**same), "d") == run_digest(experiment(), "d")


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"trainer": {"precision": "64-true"}}, {"data": {"kind": "text", "path": "my.txt", "level": "word"}}]
)
def test_another_config_or_other_data_is_another_run(other: dict[str, object]) -> None:
    assert run_digest(experiment(**other), "d") != run_digest(experiment(), "d")
    assert run_digest(experiment(), "e") != run_digest(experiment(), "d")


def test_what_a_sweep_varies_tells_runs_apart() -> None:
    longer = experiment(trainer={"max_epochs": 99})
    assert run_digest(longer, "d", ["trainer.max_epochs"]) != run_digest(experiment(), "d", ["trainer.max_epochs"])


def test_a_setting_that_came_later_counts_only_where_it_changes_something() -> None:
    plain = experiment()
    neutral = experiment(data={"kind": "text", "path": "my.txt", "shuffle_buffer": None})
    other = experiment(data={"kind": "text", "path": "my.txt", "shuffle_buffer": 9})
    assert config_digest(plain) == config_digest(neutral) != config_digest(other)
    assert run_digest(plain, "d") == run_digest(neutral, "d") != run_digest(other, "d")


def test_a_run_that_an_earlier_version_began_is_still_the_same_run() -> None:
    """Taken down before any setting was added: a setting that comes later must not count at its default."""
    assert config_digest(experiment()) == "62a4ecfd795bc2e85eb1237bfc2e1b037e27383a4df65404c38b16a464eda226"
    assert run_digest(experiment(), "d") == "6361fecb2a0f8cb1deb532a45825719e02f7cea37345f09f193a4e39abe3b2e7"


@pytest.mark.parametrize(
    "other",
    [{"beam_width": 4}, {"n_best": 2}, {"length_penalty": 0.0}, {"coverage_penalty": 0.2}, {"max_length": 9}, {"replace_unknown": True}],
)
def test_settings_of_a_search_count_where_they_are_not_the_default(other: dict[str, object]) -> None:
    strategy = {"strategy": "beam"}
    assert config_digest(experiment(decoding={**strategy, **other})) != config_digest(experiment(decoding=strategy))


def test_a_layers_newer_setting_counts_only_where_it_changes_something(monkeypatch: pytest.MonkeyPatch) -> None:
    from framework.engine.run import digest

    plain, frozen = experiment(), resolved(experiment())["model"]
    frozen["layers"]["gru"]["trainable"] = False
    before = config_digest(plain)
    monkeypatch.setitem(digest.ADDED_LATER, "model.layers.*.trainable", True)
    assert config_digest(plain) != before, "an older version's configs did not have it"
    assert config_digest(experiment(model=frozen)) != config_digest(plain)
    monkeypatch.delitem(digest.ADDED_LATER, "model.layers.*.trainable")
    assert config_digest(plain) == before


def test_no_prompt_counts_as_what_earlier_versions_had_there() -> None:
    said, unsaid = experiment(decoding={"prompt": "\n"}), experiment()
    assert unsaid.decoding.prompt is None
    assert config_digest(said) == config_digest(unsaid)
    assert differences(resolved(said), resolved(unsaid)) == []
    other = experiment(decoding={"prompt": "a"})
    assert config_digest(other) != config_digest(unsaid)
    assert differences(resolved(unsaid), resolved(other)) == [("decoding.prompt", None, "a")]
