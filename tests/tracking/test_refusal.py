"""What a store says that it will say again, and what may be otherwise in a moment."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest
import requests
import sqlalchemy
from mlflow.exceptions import ErrorCode, MlflowException, RestException
from mlflow.utils.rest_utils import verify_rest_response

from framework.errors import InputError
from framework.tracking.refusal import is_refusal


def answered(status: int, body: bytes) -> Exception:
    """What MLflow raises for an answer of a server."""
    response = requests.Response()
    response.status_code, response._content = status, body
    with pytest.raises(MlflowException) as raised:
        verify_rest_response(response, "/api/2.0/mlflow/runs/create")
    return raised.value


def from_upload(status: int) -> Exception:
    response = requests.Response()
    response.status_code = status
    with pytest.raises(requests.HTTPError) as raised:
        response.raise_for_status()
    return raised.value


def wrapped(error: Exception, code: str = "INTERNAL_ERROR") -> Exception:
    """What MLflow makes of an error of a library below."""
    try:
        raise MlflowException("it did not work", error_code=ErrorCode.Value(code)) from error
    except MlflowException as found:
        return found


def from_database(folder: Path, statement: str, mode: str = "rwc") -> Exception:
    """What sqlalchemy raises, and MLflow makes of it."""
    engine = sqlalchemy.create_engine(f"sqlite:///file:{folder / 'a.db'}?mode={mode}&uri=true", connect_args={"timeout": 0.1})
    with pytest.raises(sqlalchemy.exc.OperationalError) as raised, engine.begin() as connection:
        connection.exec_driver_sql(statement)
    return wrapped(raised.value, "TEMPORARILY_UNAVAILABLE")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413])
def test_answers_that_stay_the_same(status: int) -> None:
    assert is_refusal(answered(status, b"<html>no</html>")) or status in (405, 410, 413)
    assert is_refusal(from_upload(status))
    assert is_refusal(MlflowException(f"several uploads failed: HTTPError('{status} Client Error: no for url: http://host')"))


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "UNAUTHENTICATED"])
def test_what_mlflow_names_and_will_not_change(code: str) -> None:
    assert is_refusal(RestException({"error_code": code, "message": "no"}))
    assert is_refusal(MlflowException("no", error_code=ErrorCode.Value(code)))


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_answers_that_may_be_others_later(status: int) -> None:
    assert not is_refusal(answered(status, b"<html>later</html>"))
    assert not is_refusal(from_upload(status))


def test_networks_recover() -> None:
    refused = requests.ConnectionError("refused")
    refused.__context__ = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    for error in (refused, requests.ReadTimeout("timed out"), ConnectionResetError(errno.ECONNRESET, "reset"), TimeoutError("timed out")):
        assert not is_refusal(error)
        assert not is_refusal(wrapped(error))


def test_a_database_that_cannot_be_written_is_told_from_one_that_is_busy(tmp_path: Path) -> None:
    made = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    made.execute("CREATE TABLE t (x)")
    assert is_refusal(from_database(tmp_path, "INSERT INTO t VALUES (1)", "ro"))
    assert is_refusal(from_database(tmp_path / "nowhere", "SELECT 1"))
    made.execute("BEGIN EXCLUSIVE")
    assert not is_refusal(from_database(tmp_path, "INSERT INTO t VALUES (1)"))


def test_a_disk_that_is_full_or_read_only() -> None:
    for number in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT):
        assert is_refusal(OSError(number, "no"))
        assert is_refusal(wrapped(OSError(number, "no")))
        assert is_refusal(MlflowException(f"uploads failed: OSError([Errno {number}] no)"))
    assert not is_refusal(OSError(errno.EINTR, "interrupted"))


def test_addresses_that_lead_nowhere_and_libraries_that_are_missing() -> None:
    for address in ("http://[::bad", "nothing://host", "host"):
        with pytest.raises(requests.RequestException) as raised:
            requests.get(address, timeout=1)
        assert is_refusal(wrapped(raised.value))
    assert is_refusal(ModuleNotFoundError("No module named 'psycopg2'"))
    assert is_refusal(InputError("no user and password"))


def test_what_is_handled_on_the_way_does_not_count() -> None:
    """A lost connection while a missing thing is made: the server did not refuse to make it."""
    missing = MlflowException("no such experiment", error_code=ErrorCode.Value("RESOURCE_DOES_NOT_EXIST"))
    lost = MlflowException("API request failed")
    lost.__context__ = missing
    assert not is_refusal(lost)
