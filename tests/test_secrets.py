"""What is cut out of texts and data before anybody sees them, and what is left alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from framework import secrets
from framework.errors import InputError, Problem, SpecError
from framework.secrets import conceal, concealed, fits, is_secret_name, remember, remember_address, remember_place, revealed


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(secrets, "_addresses", {})
    monkeypatch.setattr(secrets, "_places", {})
    monkeypatch.setattr(secrets, "_texts", set())
    return


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pass@host:5000/a@b", "https://***@host:5000/a@b"),
        ("https://token@host", "https://***@host"),
        ("postgresql+psycopg2://me:pass@host:5432/db", "postgresql+psycopg2://***@host:5432/db"),
        ("http://me:p@ss@host/x", "http://***@host/x"),  # what a user writes, whether or not it is an address
        ("http://me:p/ss@host", "http://***@host"),
        ("http://me:p#s?s@host/x", "http://***@host/x"),
        ("http://me:p'ss@host", "http://***@host"),
        ("http://[::1]:80/x@y", "http://[::1]:80/x@y"),
        ("http://me:pass@[::1]:80/x", "http://***@[::1]:80/x"),
        ("sqlite:////folder/a@b.db", "sqlite:////folder/a@b.db"),
        ("http://host:80/x@y?z=1", "http://host:80/x@y?z=1"),
        ("http://host/f?token=abc&x=1#key", "http://host/f?token=***&x=1#key"),
        ("https://host/f?X-Amz-Signature=abc&api_key=d", "https://host/f?X-Amz-Signature=***&api_key=***"),
        ("postgresql://host/db?user=me&password=pass", "postgresql://host/db?user=me&password=***"),
        ("tracking.uri=http://me:pass@host", "tracking.uri=http://***@host"),
        ("no route to http://me:pass@host/api, nor to http://you:word@there.", "no route to http://***@host/api, nor to http://***@there."),
        ('{"uri": "http://me:pass@host", "mail": "a@b"}', '{"uri": "http://***@host", "mail": "a@b"}'),
        ("http://${oc.env:USER}:${oc.env:WORD}@host", "http://${oc.env:USER}:${oc.env:WORD}@host"),
        ("http://me:${oc.env:WORD}@host", "http://me:${oc.env:WORD}@host"),
        ("http://me:pa${oc.env:WORD}@host", "http://***@host"),
        ("http://${oc.env:HOST}/x@y", "http://${oc.env:HOST}/x@y"),
        ("http://host/?token=${oc.env:WORD}", "http://host/?token=${oc.env:WORD}"),
        ("http://${oc.env:GATEWORK_SECRET_1}@host", "http://***@host"),
        ("me@host, key=value, a://b", "me@host, key=value, a://b"),
    ],
)
def test_addresses_are_told_without_what_is_secret(text: str, shown: str) -> None:
    assert concealed(text) == shown
    assert conceal({"a": [text]}) == {"a": [shown]}
    assert concealed(shown) == shown, "once more changes nothing"


@pytest.mark.parametrize(
    "name", ["MLFLOW_TRACKING_PASSWORD", "API_KEY", "APIKEY", "PGPASSWORD", "HF_TOKEN", "DB_SECRETS", "MY_TOKEN_2", "aws-secret-id"]
)
def test_names_that_say_that_they_are_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["HOME", "PWD", "KEYBOARD", "TOKENIZER_DIR", "USER", "MLFLOW_TRACKING_URI", "PATH"])
def test_names_that_do_not(name: str) -> None:
    assert not is_secret_name(name)


def test_what_is_known_to_be_secret_is_found_in_any_text() -> None:
    remember_address("http://me:pa%20ss!word@host")
    remember("opensesame")
    assert concealed("user me, password pa ss!word (pa%20ss!word)") == "user me, password *** (***)"
    assert concealed("Authorization: Basic bWU6cGEgc3Mhd29yZA==") == "Authorization: Basic ***"
    assert concealed("'opensesame' is not opensesames") == "'***' is not opensesames"
    remember("ab")
    assert concealed("ab") == "ab", "too short to be told from words"


def test_in_data_a_secret_is_hidden_where_it_stands_alone() -> None:
    """A password may be an ordinary word."""
    remember_place("tracking.tags.pass", "torch", "***")
    data = {"backend": {"name": "torch"}, "tracking": {"tags": {"pass": "torch", "other": "torch"}}}
    assert conceal(data) == {"backend": {"name": "torch"}, "tracking": {"tags": {"pass": "***", "other": "torch"}}}
    assert conceal({"pass": "torch"}, "tracking.tags") == {"pass": "***"}
    assert conceal({"tracking": {"tags": {"pass": "another"}}}) == {"tracking": {"tags": {"pass": "another"}}}
    assert conceal([1, None, 2.5, True, ("http://a:b@c",)]) == [1, None, 2.5, True, ("http://***@c",)]


def test_an_address_is_found_again_in_this_process_alone() -> None:
    assert revealed("http://host") == "http://host"
    assert revealed("http://***@host") is None
    remember_address("http://me:pass@host")
    assert revealed("http://***@host") == "http://me:pass@host"
    remember_place("tracking.uri", "http://host/wordword", "http://host/***")
    assert revealed("http://host/***") == "http://host/wordword"
    assert concealed("asked http://host/wordword") == "asked http://host/***"
    assert fits("http://me:pass@host", "http://***@host")
    assert not fits("http://me:pass@evil", "http://***@host")


def test_no_error_tells_it() -> None:
    uri = "http://me:pass@host"
    assert str(InputError(f"{uri} is not there")) == "http://***@host is not there"
    assert "pass" not in str(SpecError([Problem("tracking.timeout", "no number", value=uri)]))
