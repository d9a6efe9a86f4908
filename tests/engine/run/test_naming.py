"""A run is found again: longer, moved, copied, under the name that an older version gave it; and never mixed with another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import framework
from framework.engine.model.run import Run
from framework.engine.run.digest import config_digest
from framework.errors import RunError
from framework.report.progress import SilentReporter

pytestmark = pytest.mark.torch


class Listener(SilentReporter):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.epochs: list[int] = []

    def message(self, text: str) -> None:
        self.lines.append(text)

    def epoch(self, result: Any, metrics: dict[str, float], sample: str | None) -> None:
        self.epochs.append(result.position.epoch)


def train(experiment: Any, **options: Any) -> tuple[Run, Listener]:
    from framework.engine.run.train import train

    listener = Listener()
    return Run(train(experiment, reporter=listener, **options)), listener


def test_a_larger_number_of_epochs_goes_on_as_the_finished_run_advises(small: Any) -> None:
    first, _ = train(small("trainer.max_epochs=1"))
    _, told = train(small("trainer.max_epochs=1"))
    assert told.lines == [f"run {first.path} is finished already; resume=never starts a new one, a larger trainer.max_epochs goes on"]
    longer, told = train(small("trainer.max_epochs=2"))
    assert (longer.path, told.epochs) == (first.path, [2])


def test_a_moved_project_goes_on(small: Any, tmp_path: Path, text: Path) -> None:
    first, _ = train(small("trainer.max_epochs=1"))
    (tmp_path / "new").mkdir()
    moved = shutil.move(tmp_path / "runs", tmp_path / "new" / "runs")
    copy = shutil.move(text, tmp_path / "new" / "copy.txt")
    again, told = train(small("trainer.max_epochs=2", f"data.path={copy}", f"paths.runs_dir={moved}"))
    assert told.epochs == [2]
    assert again.path == Path(moved) / first.path.relative_to(tmp_path / "runs")
    assert again.record()["settings"]["data"]["path"] == str(copy)


def test_a_moved_named_run_goes_on(small: Any, tmp_path: Path, text: Path) -> None:
    train(small("trainer.max_epochs=1", "name=mine"))
    copy = shutil.move(text, tmp_path / "copy.txt")
    _, told = train(small("trainer.max_epochs=2", "name=mine", f"data.path={copy}", "backend.device=cpu"))
    assert told.epochs == [2]


def test_the_same_config_on_another_text_is_another_run(small: Any, tmp_path: Path, text: Path) -> None:
    first, _ = train(small("trainer.max_epochs=1"))
    other = tmp_path / "other.txt"
    other.write_text(text.read_text()[::-1])
    second, _ = train(small("trainer.max_epochs=1", f"data.path={other}"))
    assert second.path != first.path
    assert second.status == "finished"


def test_a_named_run_refuses_another_text_also_once_it_is_finished(small: Any, tmp_path: Path, text: Path) -> None:
    train(small("trainer.max_epochs=1", "name=mine"))
    other = tmp_path / "other.txt"
    other.write_text(text.read_text()[::-1])
    with pytest.raises(RunError, match=r"(?s)begun with other data.*\n  data: digest \w{12}… in the run .*my\.txt.*resume=never") as caught:
        train(small("trainer.max_epochs=1", "name=mine", f"data.path={other}"))
    assert caught.value.exit_code == 2
    with pytest.raises(RunError, match=r"has another config and it was begun with other data.*\n  seed: 0 in the run, 3 now\n  data: "):
        train(small("trainer.max_epochs=1", "name=mine", f"data.path={other}", "seed=3"))


def old_name(small: Any, *words: str) -> Path:
    """A run under the name that the versions before gave it, which held the length and the data's place."""
    experiment = small(*words)
    run, _ = train(experiment)
    renamed = run.path.with_name(f"torch-{config_digest(experiment)[:8]}")
    return run.path.rename(renamed)


def test_a_run_under_its_old_name_is_found_and_goes_on(small: Any) -> None:
    old = old_name(small, "trainer.max_epochs=1")
    _, told = train(small("trainer.max_epochs=1"))
    assert f"run {old} is finished already" in told.lines[0]
    again, told = train(small("trainer.max_epochs=2"))
    assert (again.path, told.epochs) == (old, [2])


@pytest.mark.slow
def test_of_several_old_runs_the_one_of_the_same_length_is_meant(small: Any) -> None:
    short = old_name(small, "trainer.max_epochs=1")
    short.rename(short.with_name("aside"))
    long = old_name(small, "trainer.max_epochs=2")
    short.with_name("aside").rename(short)
    assert train(small("trainer.max_epochs=1"))[0].path == short
    assert train(small("trainer.max_epochs=2"))[0].path == long
    assert train(small("trainer.max_epochs=3"))[0].path == long, "the one that has come farthest"


def test_a_setting_that_the_run_did_not_know_has_its_default(small: Any) -> None:
    run, _ = train(small("trainer.max_epochs=1", "name=mine"))
    record = json.loads((run.path / "run.json").read_text())
    del record["settings"]["trainer"]["sample_every_n_epochs"]
    (run.path / "run.json").write_text(json.dumps(record))
    assert train(small("trainer.max_epochs=2", "name=mine"))[1].epochs == [2]
    with pytest.raises(RunError, match="sample_every_n_epochs: 1 in the run, 2 now"):
        train(small("trainer.max_epochs=3", "name=mine", "trainer.sample_every_n_epochs=2"))


def test_damaged_neighbours_are_no_obstacle(small: Any, tmp_path: Path) -> None:
    for name, content in (("torch-00000000", "{"), ("torch-00000001", '{"settings": 3}'), ("torch-00000002", '{"format": 99}')):
        folder = tmp_path / "runs" / "text_generation" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(content)
    assert train(small("trainer.max_epochs=1"))[0].status == "finished"


def test_jobs_of_a_sweep_over_the_length_are_runs_of_their_own(small: Any) -> None:
    apart = {"apart": ["trainer.max_epochs"]}
    one, _ = train(small("trainer.max_epochs=1"), **apart)
    two, told = train(small("trainer.max_epochs=2"), **apart)
    assert (one.path != two.path, told.epochs) == (True, [1, 2])
    _, told = train(small("trainer.max_epochs=2"), **apart)
    assert told.lines == [f"run {two.path} is finished already; resume=never starts a new one"]


def test_a_stopped_run_that_resume_never_began_says_how_it_goes_on(small: Any) -> None:
    train(small("trainer.max_epochs=1"))
    experiment = small("trainer.max_epochs=2", "resume=never")

    class Stopping(Listener):
        def step(self, result: Any) -> None:
            import os
            import signal

            if result.position.step == 2:
                os.kill(os.getpid(), signal.SIGHUP)

    listener = Stopping()
    run = framework.train(experiment, reporter=listener)
    assert run.status == "stopped"
    assert (
        listener.lines[-1] == f"stopped at step 2; the same command, with name={run.path.name} in place of resume=never, goes on from there"
    )
    again, told = train(small("trainer.max_epochs=2", f"name={run.path.name}"))
    assert (again.path, told.epochs) == (run.path, [1, 2])


def test_a_run_that_knows_no_settings_of_a_search_goes_on(small: Any) -> None:
    first, _ = train(small("trainer.max_epochs=1"))
    record = json.loads((first.path / "run.json").read_text())
    for name in ("beam_width", "n_best", "length_penalty", "coverage_penalty", "max_length", "replace_unknown"):
        del record["settings"]["decoding"][name]
    (first.path / "run.json").write_text(json.dumps(record))
    longer, told = train(small("trainer.max_epochs=2"))
    assert (longer.path, told.epochs) == (first.path, [2])
