"""Published figures: what a file of targets may say."""

from __future__ import annotations

from typing import Any

import pytest

from framework.spec.problems import ProblemCollector
from framework.spec.targets import Target, Targets, Variant

GOOD: dict[str, Any] = {
    "metric": "loss", "epoch": 1, "measures": "mean", "value": 2.7, "low": 2.6, "high": 2.8, "why": "two runs", "source": "there",
}  # fmt: skip


def problems(**changes: Any) -> str:
    collector = ProblemCollector()
    target = {key: value for key, value in {**GOOD, **changes}.items() if value != "absent"}
    collector.parse(Variant, {"title": "t", "recipe": "r", "targets": [target]}, "")
    return "\n".join(str(problem) for problem in collector.problems)


def test_a_good_target_has_a_title() -> None:
    assert problems() == ""
    assert Target.model_validate(GOOD).title == "loss, epoch 1"
    assert Target.model_validate({**GOOD, "metric": "untrained_loss", "epoch": None}).title == "untrained loss"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": 3.0}, "low 3.0 is above high 2.8"),
        ({"value": 2.9}, "the published value 2.9 lies outside 2.6 to 2.8"),
        ({"value": None}, "without a published value, a target is bracketed: true"),
        ({"epoch": None}, "loss needs an epoch; figures of the whole run are parameters, untrained_loss, probes_right, best_…"),
        ({"metric": "parameters"}, "parameters is a figure of the whole run and has no epoch"),
        ({"epoch": 0}, "targets.0.epoch: value not accepted"),
        ({"why": "absent"}, "targets.0.why: is missing"),
        ({"source": ""}, "targets.0.source: value not accepted"),
        ({"metrics": "loss"}, "did you mean: metric"),
    ],
)
def test_a_wrong_target_is_named(changes: dict[str, Any], message: str) -> None:
    assert message in problems(**changes)


@pytest.mark.parametrize(
    ("metric", "epoch", "message"),
    [
        ("test_bleu", None, ""),
        ("probes_right", None, ""),
        ("test_bleu", 3, "test_bleu is a figure of the whole run and has no epoch"),
        (
            "tset_bleu",
            None,
            "tset_bleu needs an epoch; figures of the whole run are parameters, untrained_loss, probes_right, best_…, test_…",
        ),
    ],
)
def test_a_target_may_be_of_an_evaluation(metric: str, epoch: int | None, message: str) -> None:
    target = {**GOOD, "metric": metric, "epoch": epoch}
    variant = {"title": "t", "recipe": "r", "targets": [target], "evaluations": {"test": {"split": "test"}}}
    collector = ProblemCollector()
    collector.parse(Targets, {"publication": "p", "variants": {"v": variant}}, "")
    found = "\n".join(str(problem) for problem in collector.problems)
    assert message in found if message else not found


def test_evaluations_are_told_apart_by_their_figures() -> None:
    evaluations = {"test": {"split": "test"}, "test_beam": {"split": "test", "decoding": {"strategy": "beam"}}}
    collector = ProblemCollector()
    collector.parse(Targets, {"publication": "p", "variants": {"v": {"title": "t", "recipe": "r", "evaluations": evaluations}}}, "")
    assert "evaluations.test_beam begins with 'test_', as the figures of 'test' do" in str(collector.problems[0])


def test_a_bracketed_target_needs_no_value() -> None:
    assert problems(value=None, bracketed=True) == ""


def test_the_first_variant_of_a_recipe_is_its_own() -> None:
    variants = {name: {"title": name, "recipe": recipe} for name, recipe in (("a", "one"), ("b", "two"), ("c", "one"))}
    targets = Targets.model_validate({"publication": "p", "variants": variants})
    assert [targets.variant("one"), targets.variant("two"), targets.variant("three")] == ["a", "b", None]
    assert [targets.variant("one", "c"), targets.variant("one", "b"), targets.variant("one", "d")] == ["c", None, None]


def experiments(**changes: Any) -> str:
    """What is wrong with two variants of which the first is an experiment on the second."""
    variants = {
        "try": {"title": "t", "recipe": "one", "baseline": "plain", "overrides": ["seed=1"], **changes},
        "plain": {"title": "p", "recipe": "one"},
        "other": {"title": "o", "recipe": "two"},
    }
    collector = ProblemCollector()
    found = collector.parse(Targets, {"publication": "p", "variants": variants}, "")
    if found is not None:
        assert found.variant("one") == "plain", "an experiment is run only when it is asked for"
        assert found.variant("one", "try") == "try"
    return "\n".join(str(problem) for problem in collector.problems)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, ""),
        ({"baseline": "plane"}, "variants.try.baseline is 'plane'; expected a variant that is no experiment itself"),
        ({"baseline": "try"}, "variants.try.baseline is 'try'; expected a variant that is no experiment itself"),
        ({"baseline": "other"}, "variants.try is of another recipe than its baseline 'other'"),
        ({"targets": [GOOD]}, "a variant with a baseline is an experiment of ours and has no targets"),
        ({"overrides": []}, "an experiment changes something: overrides are missing"),
    ],
)
def test_an_experiment_changes_another_variant(changes: dict[str, Any], message: str) -> None:
    assert message in experiments(**changes) if message else experiments(**changes) == ""
