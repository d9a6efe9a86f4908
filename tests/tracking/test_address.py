"""The address of a store: kept without its password, and made whole from the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from framework import secrets
from framework.errors import InputError
from framework.spec.tracking import TrackingSpec
from framework.tracking.address import environment_of, split_user, store_uri, whole_address

KEPT = "http://***@host:5000"
VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(secrets, "_addresses", {})
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_an_address_without_a_secret_is_whole() -> None:
    for address in ("http://host:5000", "sqlite:////a@b/mlflow.db", "databricks"):
        assert whole_address(address) == address


def test_the_environment_has_what_the_folder_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InputError, match="no user and password for http://host:5000: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSW"
    ):
        whole_address(KEPT)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    with pytest.raises(InputError):
        whole_address(KEPT)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "word")
    assert whole_address(KEPT) == "http://host:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://you:other@host:5000")
    assert whole_address(KEPT) == "http://you:other@host:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://you:other@another:5000")
    assert whole_address(KEPT) == "http://host:5000"


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_AUTH"])
def test_other_ways_of_mlflow_let_in_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "something")
    assert whole_address(KEPT) == "http://host:5000"


def test_a_database_needs_its_whole_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "word")
    with pytest.raises(InputError, match=r"no password for postgresql://\*\*\*@host/db: set MLFLOW_TRACKING_URI to the whole address"):
        whole_address("postgresql://***@host/db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:word@host/db")
    assert whole_address("postgresql://***@host/db") == "postgresql://me:word@host/db"


def test_mlflow_is_given_user_and_password_apart() -> None:
    assert split_user("http://me:a%2Fb@host:5000/x") == ("http://host:5000/x", ("me", "a/b"))
    assert split_user("http://host") == ("http://host", None)
    assert split_user("http://token@host") == ("http://token@host", None)
    assert split_user("postgresql://me:word@host/db") == ("postgresql://me:word@host/db", None)
    before = dict(os.environ)
    with environment_of("http://host", ("me", "word")):
        assert [os.environ.get(name) for name in VARIABLES] == ["http://host", "me", "word", None]
    assert dict(os.environ) == before


def test_without_an_address_in_the_config_mlflows_own_variable_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs" / "recipe" / "one"
    assert store_uri(folder, TrackingSpec()) == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:word@host")
    assert store_uri(folder, TrackingSpec()) == "http://me:word@host"
    assert store_uri(folder, TrackingSpec(uri="http://other")) == "http://other"
