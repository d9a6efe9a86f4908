"""A config tells which of its values are secret, and a multirun hands them on without writing them down."""

from __future__ import annotations

import os

import pytest
from omegaconf import OmegaConf

from framework import secrets
from framework.config.compose import Composed, compose
from framework.config.location import SearchPath
from framework.config.overrides import OverrideReader
from framework.config.saved import dump_yaml
from framework.config.secret_overrides import by_environment
from framework.config.secret_values import hide_secrets
from framework.secrets import conceal, concealed, revealed

URI = "http://me:op%2Fen@host:5000"


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, empty in (("_addresses", {}), ("_places", {}), ("_texts", set())):
        monkeypatch.setattr(secrets, name, empty)


def composed(*overrides: str) -> Composed:
    return compose(["recipe=text_generation", "data=python_source", *overrides])


def test_what_comes_from_a_secret_variable_is_hidden_where_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"DB_PASSWORD": "torch", "MAX_TOKENS": "55", "PLAIN": "seen", "HOOK_KEY": URI}.items():
        monkeypatch.setenv(name, value)
    found = composed(
        "tracking.tags.a=${oc.env:DB_PASSWORD}",
        "tracking.tags.b=x-${tracking.tags.a}",
        "tracking.tags.c=${oc.env:PLAIN}",
        "tracking.tags.d=${oc.env:NONE_TOKEN,fallback}",
        "tracking.uri=http://host/${oc.env:DB_PASSWORD}",
        "tracking.experiment_name=${oc.env:HOOK_KEY}",
        "data.max_tokens=${oc.decode:${oc.env:MAX_TOKENS}}",
    ).mapping
    assert found["tracking"]["tags"] == {"a": "torch", "b": "x-torch", "c": "seen", "d": "fallback"}
    kept = conceal(found)
    assert kept["tracking"]["tags"] == {"a": "***", "b": "x-***", "c": "seen", "d": "***"}
    assert (kept["tracking"]["uri"], kept["tracking"]["experiment_name"]) == ("http://host/***", "http://***@host:5000")
    assert revealed("http://host/***") == "http://host/torch"
    assert kept["backend"]["name"] == "torch", "the word, where it is no secret"
    assert kept["data"]["max_tokens"] == 55, "numbers are none"
    assert "fallback" not in dump_yaml(found)


def test_an_address_with_a_password_is_hidden_wherever_it_stands() -> None:
    found = composed(f"tracking.uri={URI}", f"data.download.url={URI}/f", f"tracking.tags.q='see {URI}'")
    assert found.mapping["tracking"]["uri"] == URI
    for text in (
        dump_yaml(found.mapping),
        found.composed_yaml,
        dump_yaml(list(found.overrides)),
        concealed(str(found.history("tracking.uri"))),
    ):
        assert "op%2Fen" not in text
        assert "http://***@host:5000" in text
    assert revealed("http://***@host:5000") == URI


def test_overrides_of_a_multirun_hand_passwords_on_by_the_environment() -> None:
    words = [
        f"tracking.uri={URI},http://you:word@there",
        f"tracking.tags={{a:{URI},b:2}}",
        "tracking.tags.q='http://me:a,b@host'",
        "seed=1,2",
    ]
    with by_environment(words) as handed_on:
        assert not [word for word in handed_on if "op%2Fen" in word or "word" in word or "a,b" in word]
        given = OverrideReader(SearchPath.of([]), multirun=True).read(handed_on)
        assert [one.sweeps for one in given] == [True, False, False, True]
        assert concealed(given[0].text) == "tracking.uri=http://***@host:5000,http://***@there"
        found = composed(*handed_on[1:3], f"tracking.uri={handed_on[0].partition('=')[2].partition(',')[0]}").mapping["tracking"]
        assert found["uri"] == URI
        assert found["tags"] == {"a": URI, "b": 2, "q": "http://me:a,b@host"}
        assert conceal({"tracking": found})["tracking"]["uri"] == "http://***@host:5000"
        with by_environment(handed_on) as again:
            assert again == handed_on
    assert not [name for name in os.environ if name.startswith(secrets.HANDED_ON)]
    assert revealed("http://***@there") == "http://you:word@there"


def test_a_config_for_launchers_holds_no_password() -> None:
    config = OmegaConf.create({"tracking": {"uri": URI, "tags": {"a": "${oc.env:A_KEY}"}}, "seed": 1})
    OmegaConf.set_struct(config, True)
    OmegaConf.set_readonly(config, True)
    hide_secrets(config)
    assert OmegaConf.to_container(config) == {"tracking": {"uri": "http://***@host:5000", "tags": {"a": "${oc.env:A_KEY}"}}, "seed": 1}
