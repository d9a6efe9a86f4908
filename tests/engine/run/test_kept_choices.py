"""Ways that a run has chosen: written before it needs them, gone on with, shared with the machine's other runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import framework
from framework.backends.torch.gru import products
from framework.engine.run.choices import KeptChoices
from framework.errors import RunError

pytestmark = pytest.mark.torch


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """Every size is measured, into a cache of the test's own; the list has a number for each measurement."""
    asked: list[float] = []
    monkeypatch.setenv("GATEWORK_TUNE", "1")
    monkeypatch.setattr("framework.engine.run.choices.cache_folder", lambda paths: tmp_path / "cache")
    monkeypatch.setattr(products, "SMALLEST_MEASURED", 1)
    monkeypatch.setattr(products, "LARGE", 1)

    def seconds_of(call: Any) -> float:
        call()
        asked.append(float(len(asked)))
        return asked[-1]  # each way that is measured later is slower

    monkeypatch.setattr(products, "seconds_of", seconds_of)
    monkeypatch.setattr("framework.backends.torch.gru.routes.seconds_of", seconds_of)
    return asked


def kept(run: Any) -> dict[str, str]:
    found: dict[str, str] = json.loads((run.path / "choices.json").read_text())
    return found


def test_a_run_keeps_what_it_chose_and_the_machine_shares_it(small: Any, measured: list[float]) -> None:
    first = framework.train(small())
    assert measured and kept(first)
    assert set(kept(first).values()) <= {"default", "scan"}, "the first way of each is the fastest here"
    count = len(measured)
    second = framework.train(small("seed=5"))
    assert kept(second) == kept(first)
    assert len(measured) == count, "nothing is measured twice on a machine"


def test_a_run_goes_on_with_its_own_choices(small: Any, measured: list[float], tmp_path: Path) -> None:
    run = framework.train(small("trainer.max_epochs=1"))
    file = run.path / "choices.json"
    own = {key: "kernel" if value == "scan" else value for key, value in kept(run).items()}
    file.write_text(json.dumps(own))
    count = len(measured)
    again = framework.train(small("trainer.max_epochs=2"))
    assert again.path == run.path and len(measured) == count
    assert kept(again) == own


def test_choices_hold_where_measuring_is_turned_off_later(small: Any, measured: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    run = framework.train(small("trainer.max_epochs=1"))
    count = len(measured)
    again = framework.train(small("trainer.max_epochs=2", "backend.tune=false"))
    assert again.path == run.path, "the same run, whichever way its products are made"
    assert len(measured) == count
    monkeypatch.setenv("GATEWORK_TUNE", "0")
    assert KeptChoices(run.folder, small()).choices.known == kept(run)


@pytest.mark.parametrize("switch", ["variable", "config"])
def test_nothing_is_measured_where_that_is_turned_off(
    small: Any, measured: list[float], switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if switch == "variable":
        monkeypatch.setenv("GATEWORK_TUNE", "0")
    run = framework.train(small(*(["backend.tune=false"] if switch == "config" else [])))
    assert not measured and not (run.path / "choices.json").exists()


def test_a_damaged_file_of_the_machine_is_measured_anew(small: Any, measured: list[float], tmp_path: Path) -> None:
    first = framework.train(small())
    (file,) = (tmp_path / "cache" / "choices").iterdir()
    file.write_text("{")
    second = framework.train(small("seed=5"))
    assert kept(second) == kept(first)
    assert json.loads(file.read_text()) == kept(first)


def test_a_damaged_file_of_the_run_is_told_and_measured_anew(small: Any, measured: list[float]) -> None:
    run = framework.train(small("trainer.max_epochs=1"))
    (run.path / "choices.json").write_text("[")
    with pytest.warns(UserWarning, match=r"choices\.json is damaged: what it chose is chosen anew"):
        assert KeptChoices(run.folder, small()).choices.known
    again = framework.train(small("trainer.max_epochs=2"))
    assert again.path == run.path and kept(again)


def test_a_full_disk_is_one_message(small: Any, measured: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    begun = KeptChoices(framework.train(small("trainer.max_epochs=1")).folder, small())
    monkeypatch.setattr("framework.files.replace_text", full)
    with pytest.raises(RunError, match=r"cannot write .*choices\.json: No space left on device"):
        begun.choices.choose("another", "a", {"a": lambda: 1.0})
