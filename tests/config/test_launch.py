from __future__ import annotations

import argparse
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from framework.config.compose import Composed
from framework.config.jobs import Job, JobOutcome
from framework.config.launch import add_launch_arguments, launch, multirun, report
from framework.errors import DataError, InputError, SpecError

ROOT = Path(__file__).resolve().parents[2]


class Recorder:
    """A job that keeps what it was given, and fails on some dropouts."""

    def __init__(self) -> None:
        self.seen: list[tuple[tuple[str, ...], dict[str, Any], str]] = []

    def __call__(self, composed: Composed) -> Any:
        gru = composed.mapping["model"]["layers"]["gru"]
        self.seen.append((composed.overrides, gru, str(composed.locate("model.layers.gru.units"))))
        if gru.get("dropout") == 0.13:
            raise DataError("0.13 is unlucky")
        if gru.get("dropout") == 0.14:
            raise RuntimeError("0.14 is worse")
        return gru["units"] / 2


def launched(words: list[str], job: Job) -> int:
    """Launches what a command line asks for."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_launch_arguments(parser)
    return launch(parser.parse_intermixed_args(words), job)


@pytest.fixture
def job() -> Recorder:
    return Recorder()


def test_an_interpolation_that_cannot_be_shown_comes_with_its_place(folder):
    with pytest.raises(SpecError, match=r"(?s)seed: there is no key 'nothing'.*set in: override `seed=\$\{nothing\}`"):
        launched(["recipe=text_generation", "seed=${nothing}", "--cfg", "job", "--resolve"], print)


def test_a_single_run(folder, job):
    assert launched(["recipe=text_generation", "model.layers.gru.units=5"], job) == 0
    ((overrides, gru, origin),) = job.seen
    assert overrides == ("recipe=text_generation", "model.layers.gru.units=5")
    assert gru["units"] == 5
    assert origin == "override `model.layers.gru.units=5`"
    assert list(folder.iterdir()) == []


def test_a_single_run_that_fails(folder, job):
    with pytest.raises(DataError, match=r"0\.13 is unlucky"):
        launched(["recipe=text_generation", "model.layers.gru.dropout=0.13"], job)


def test_a_multirun_is_a_job_for_each_value(folder, write, job, capsys):
    write("decoding/mine.yaml", "strategy: greedy\n")
    (folder / "other" / "model").mkdir(parents=True)
    (folder / "other" / "model" / "own.yaml").write_text("layers: {gru: {kind: gru, units: 77}}\n")
    shared = ("recipe=text_generation", "model=own", "{}", "decoding=mine", "decoding.prompt=I'm", "trainer.max_epochs=3")
    words = [word.format("model.layers.gru.units=5,6") for word in shared]
    assert launched(["-m", "--config-dir", "other", "hydra/launcher=basic", *words], job) == 0
    assert [(overrides, gru["units"], origin) for overrides, gru, origin in job.seen] == [
        (tuple(word.format(f"model.layers.gru.units={units}") for word in shared), units, f"sweep `model.layers.gru.units={units}`")
        for units in (5, 6)
    ]
    assert capsys.readouterr().out == "job 0: model.layers.gru.units=5\njob 1: model.layers.gru.units=6\n"
    assert {path.name for path in folder.iterdir()} == {"configs", "other"}
    assert Path.cwd() == folder


def test_no_option_is_one_of_those_that_are_swept_over(folder, job):
    assert launched(["-m", "hydra/launcher=basic", "recipe=text_generation", "debug=small,null", "model.layers.gru.units=5"], job) == 0
    assert [overrides for overrides, _, _ in job.seen] == [
        ("recipe=text_generation", "debug=small", "model.layers.gru.units=5"),
        ("recipe=text_generation", "debug=none", "model.layers.gru.units=5"),
    ]


def test_a_failing_job_does_not_stop_the_others_and_any_key_can_be_swept(folder, job):
    outcomes = multirun(["recipe=text_generation", "model.layers.gru.dropout=0.14,0.13,0.5", "hydra/launcher=basic"], [], job)
    assert [outcome.number for outcome in outcomes] == [0, 1, 2]
    assert [outcome.swept for outcome in outcomes] == [(f"model.layers.gru.dropout={dropout}",) for dropout in (0.14, 0.13, 0.5)]
    assert [outcome.exit_code for outcome in outcomes] == [1, 2, 0]
    assert "RuntimeError: 0.14 is worse" in (outcomes[0].message or "")
    assert outcomes[1].message == "0.13 is unlucky"
    assert float(outcomes[2]) == 512.0


@pytest.mark.parametrize(("codes", "code"), [((0, 0), 0), ((2, 0), 2), ((2, 2), 2), ((1, 2), 1), ((0, 1), 1)])
def test_the_exit_code_of_a_multirun(codes, code, capsys):
    outcomes = [JobOutcome(number, (), (f"a={number}",), one, f"it is {one}" if one else None) for number, one in enumerate(codes)]
    assert report(outcomes) == code
    told = capsys.readouterr().err
    failed = [number for number, one in enumerate(codes) if one]
    assert told.startswith(f"{len(failed)} of 2 jobs failed\n" if failed else "")
    assert all(f"job {number}: a={number}\n" in told for number in failed)


def test_jobs_that_failed_alike_are_told_once(capsys):
    failed = [JobOutcome(number, (), (f"a={number}",), 2, "the same") for number in range(2)]
    assert report(failed) == 2
    assert capsys.readouterr().err == "2 of 2 jobs failed\njob 0: a=0\njob 1: a=1\n    the same\n"
    assert report([JobOutcome(0, (), ())]) == 0


def test_an_outcome_that_failed_is_no_number():
    with pytest.raises(ValueError, match="bad"):
        float(JobOutcome(0, (), (), 1, "bad"))


def test_a_wrong_option_in_a_sweep_stops_it_before_the_first_job(folder, job):
    with pytest.raises(SpecError, match="no optimizer 'adma'"):
        launched(["-m", "recipe=text_generation", "optimizer=sgd,adma"], job)
    assert job.seen == []


def test_a_sweep_file(folder, write, job):
    write("sweep/mine.yaml", "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      optimizer: adam,sgd\n")
    assert launched(["recipe=text_generation", "sweep=mine", "hydra/launcher=basic"], job) == 0
    assert [overrides for overrides, _, _ in job.seen] == [
        (f"optimizer={name}", "recipe=text_generation", "sweep=mine") for name in ("adam", "sgd")
    ]


def test_cfg_job_prints_the_composed_config(folder, job, capsys):
    assert launched(["recipe=text_generation", "data.batch_size=3", "--cfg", "job"], job) == 0
    printed = capsys.readouterr().out
    config = yaml.safe_load(printed)
    assert config["model"]["layers"]["logits"]["units"] == "${size:tokens}"
    assert config["model"]["inputs"]["tokens"]["batch_size"] == "${data.batch_size}"
    assert "hydra" not in config
    assert job.seen == []


def test_cfg_with_resolve_and_package(folder, job, capsys):
    launched(["recipe=text_generation", "data.batch_size=3", "--cfg", "job", "--resolve", "-p", "model.inputs"], job)
    assert yaml.safe_load(capsys.readouterr().out) == {"tokens": {"dtype": "int32", "shape": [None], "batch_size": 3}}
    launched(["recipe=text_generation", "--cfg", "job", "--resolve", "-p", "model.layers.logits"], job)
    assert yaml.safe_load(capsys.readouterr().out)["units"] == "${size:tokens}"


def test_cfg_hydra_shows_that_hydra_writes_nothing(folder, job, capsys):
    launched(["recipe=text_generation", "--cfg", "hydra"], job)
    hydra = yaml.safe_load(capsys.readouterr().out)["hydra"]
    assert hydra["output_subdir"] is None
    assert hydra["job"]["name"] == "gatework"
    assert hydra["job"]["chdir"] is False


def test_a_package_that_is_not_there(folder, job):
    with pytest.raises(InputError, match=r"the config has no part 'model.layrs'; did you mean layers\?"):
        launched(["recipe=text_generation", "--cfg", "job", "-p", "model.layrs"], job)


def test_resolve_without_cfg(folder, job):
    with pytest.raises(InputError, match="--resolve and --package belong to --cfg"):
        launched(["recipe=text_generation", "--resolve"], job)


def test_errors_of_cfg_are_reworded(folder, job):
    with pytest.raises(SpecError, match="no recipe 'x'"):
        launched(["recipe=x", "--cfg", "job"], job)


JOB = textwrap.dedent("""
    import argparse, os, sys
    from framework.config.launch import add_launch_arguments, launch

    def job(composed):
        units = composed.mapping["model"]["layers"]["gru"]["units"]
        with open(f"{units}.txt", "w") as file:
            file.write(f"{os.getpid()} {composed.overrides} {composed.locate('model.layers.gru.units')}")
        if units == 14:
            raise RuntimeError("14 is worse")

    if __name__ == "__main__":
        parser = argparse.ArgumentParser()
        add_launch_arguments(parser)
        sys.exit(launch(parser.parse_intermixed_args(), job))
""")


@pytest.mark.parametrize("launcher", ["process", *(pytest.param(name, marks=pytest.mark.slow) for name in ("joblib", "submitit_local"))])
def test_other_launchers(folder, launcher):
    (folder / "job.py").write_text(JOB)
    words = ["-m", "recipe=text_generation", "model.layers.gru.units=14,5", "seed=3", f"hydra/launcher={launcher}"]
    ended = subprocess.run(
        [sys.executable, "job.py", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "1 of 2 jobs failed\njob 0: model.layers.gru.units=14\n" in ended.stderr
    assert "RuntimeError: 14 is worse" in ended.stderr
    told = {units: Path(f"{units}.txt").read_text() for units in (5, 14)}
    assert told[5].split()[0] != told[14].split()[0]
    for units, text in told.items():
        assert f"('recipe=text_generation', 'model.layers.gru.units={units}', 'seed=3')" in text
        assert text.endswith(f"sweep `model.layers.gru.units={units}`")
    made = {path.name for path in folder.iterdir()} - {"__pycache__"}
    assert made == {"job.py", "5.txt", "14.txt"} | ({"runs"} if launcher == "submitit_local" else set())
