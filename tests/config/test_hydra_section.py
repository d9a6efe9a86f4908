"""What a config may say to Hydra. Whatever runs code, writes elsewhere or would be ignored is refused with file and line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from framework.cli.main import main
from framework.config.compose import compose
from framework.config.launch import multirun
from framework.errors import SpecError

Write = Callable[[str, str], Path]
RUNS = "framework_test_payload.run"
"""A function that leaves a file behind when it is called; see :func:`payload`."""

HEAD = "# @package _global_\ndefaults:\n  - text_generation\n  - override /data: python_source\n  - _self_\n"
"""Five lines, so that the first of a section is the sixth."""


@pytest.fixture(autouse=True)
def no_job_of_hydras(monkeypatch: pytest.MonkeyPatch) -> None:
    """``${hydra:…}`` stands for nothing, as in a process of its own: a multirun in this one leaves its last job behind."""
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)


@pytest.fixture
def payload(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What code that YAML had run would leave behind."""
    modules = folder / "modules"
    modules.mkdir()
    mark = folder / "ran"
    (modules / "framework_test_payload.py").write_text(
        f"def run(*args, **kwargs):\n    open({str(mark)!r}, 'w').close()\n    return {{}}\n"
    )
    (modules / "framework_test_package").mkdir()
    (modules / "framework_test_package" / "__init__.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(str(modules))
    yield mark
    for name in ("framework_test_payload", "framework_test_package"):
        sys.modules.pop(name, None)


RECIPES: dict[str, tuple[str, int, str]] = {
    "a callback": (f"hydra:\n  callbacks:\n    x: {{_target_: {RUNS}}}\n", 8, "hydra.callbacks.x._target_: YAML runs no code"),
    "a launcher": (f"hydra:\n  mode: MULTIRUN\n  launcher: {{_target_: {RUNS}}}\n", 8, "hydra.launcher._target_: YAML runs no code"),
    "a sweeper": (f"hydra:\n  mode: MULTIRUN\n  sweeper:\n    _target_: {RUNS}\n", 9, "hydra.sweeper._target_: YAML runs no code"),
    "a target within": (
        f"hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      seed: {{_target_: {RUNS}}}\n",
        10,
        "hydra.sweeper.params.seed._target_",
    ),
    "a target by another name": (
        f"decoding: {{prompt: {RUNS}}}\nhydra:\n  launcher: {{_target_: '${{decoding.prompt}}'}}\n",
        8,
        "hydra.launcher._target_",
    ),
    "a target from the environment": ("hydra:\n  launcher: {_target_: '${oc.env:HOME}'}\n", 7, "hydra.launcher._target_"),
    "the wrong kind of target": (
        "hydra:\n  launcher:\n    _target_: hydra._internal.core_plugins.basic_sweeper.BasicSweeper\n",
        8,
        "Gatework does not know this launcher",
    ),
    "a target in a model": (f"model:\n  layers:\n    gru: {{_target_: {RUNS}}}\n", 8, "model.layers.gru._target_: YAML runs no code"),
    "a target in a tag": (f"tracking:\n  tags: {{_target_: {RUNS}}}\n", 7, "tracking.tags._target_: YAML runs no code"),
    "a factory of a log": (
        f"hydra:\n  job_logging:\n    handlers: {{x: {{(): {RUNS}}}}}\n",
        7,
        "hydra.job_logging: Gatework does not offer",
    ),
    "Hydra's log": ("hydra:\n  hydra_logging: {root: {level: DEBUG}}\n", 7, "hydra.hydra_logging: Gatework does not offer"),
    "a variable": ("hydra:\n  job:\n    env_set: {LD_PRELOAD: x.so}\n", 8, "hydra.job.env_set: Gatework does not offer"),
    "a variable of ours": ("hydra:\n  job: {env_copy: [SECRET]}\n", 7, "hydra.job.env_copy: Gatework does not offer"),
    "a run's folder": ("hydra:\n  run: {dir: elsewhere}\n", 7, "hint: a run's folder follows from paths.runs_dir"),
    "a job's folder": ("hydra:\n  sweep:\n    dir: elsewhere\n", 7, "hydra.sweep: Gatework does not offer"),
    "another working folder": ("hydra:\n  job: {chdir: true}\n", 7, "hydra.job.chdir: Gatework does not offer"),
    "a folder of Hydra's": ("hydra: {output_subdir: .hydra}\n", 6, "hydra.output_subdir: Gatework does not offer"),
    "another name": ("hydra: {job: {name: x}}\n", 6, "hint: a run is named by name=…"),
    "a mode of its own": ("hydra:\n  mode: ${hydra:job.num}\n", 7, "hydra.mode: value not accepted"),
    "a slip": ("hydra: {mod: MULTIRUN}\n", 6, "expected: one of hydra.mode, hydra.sweeper, hydra.launcher"),
    "no mapping": ("hydra: MULTIRUN\n", 6, "hydra: must be a mapping"),
    "another for all of it": ("x: {callbacks: {}}\nhydra: ${x}\n", 7, "hydra: must be a mapping"),
    "Hydra's settings for some jobs": (
        f"hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      +hydra.callbacks.x._target_: {RUNS}\n",
        10,
        "Hydra's own settings hold for all jobs of a multirun",
    ),
    "an unknown setting of a launcher": ("hydra:\n  launcher: {n_job: 2}\n", 7, "n_job"),
}


@pytest.mark.parametrize(
    ("section", "line", "says"),
    [pytest.param(*one, id=name, marks=[pytest.mark.slow] if number % 3 else []) for number, (name, one) in enumerate(RECIPES.items())],
)
def test_a_recipe_asks_nothing_else_of_hydra(
    payload: Path, write: Write, capsys: pytest.CaptureFixture[str], section: str, line: int, says: str
):
    write("recipe/stranger.yaml", HEAD + section)
    for words in (
        ["check"],
        ["train", "--cfg", "job"],
        ["train", "--info", "defaults"],
        ["train"],
        ["train", "-m"],
        ["explain"],
        ["why", "seed"],
    ):
        assert main([*words, "recipe=stranger"]) == 2, words
        captured = capsys.readouterr()
        assert captured.out == ""
        assert says in captured.err
        assert f"set in: configs/recipe/stranger.yaml:{line}\n" in captured.err
    assert not payload.exists()
    assert not Path("runs").exists()


ENTRIES: dict[str, tuple[str, str]] = {
    "a group of Hydra's": ("/hydra/callbacks: x", "hydra.callbacks: Gatework does not offer"),
    "a file of Hydra's": ("/hydra/callbacks/x", "hydra.callbacks: Gatework does not offer"),
    "a file put into Hydra's section": ("/x@hydra.job.env_set: x", "hydra.job: Gatework does not offer"),
    "a log of Hydra's": ("override /hydra/job_logging: default", "hydra.job_logging: Gatework does not offer"),
}


@pytest.mark.parametrize(("entry", "says"), ENTRIES.values(), ids=ENTRIES.keys())
def test_a_defaults_list_brings_in_nothing_else(payload: Path, write: Write, capsys: pytest.CaptureFixture[str], entry: str, says: str):
    write("hydra/callbacks/x.yaml", "x: {}\n")
    write("x/x.yaml", "LD_PRELOAD: x.so\n")
    write("recipe/stranger.yaml", HEAD.replace("  - _self_\n", "").replace("  - override", f"  - {entry}\n  - override") + "  - _self_\n")
    for words in (["check"], ["train"], ["train", "-m"]):
        assert main([*words, "recipe=stranger"]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert "set in: configs/recipe/stranger.yaml:4\n" in err


FILES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "a header's package": ("trainer/x.yaml", "# @package hydra.job.env_set\nLD_PRELOAD: x.so\n", ("trainer=x",)),
    "another package of the header": ("x/x.yaml", "# @package hydra.job\nenv_set: {LD_PRELOAD: x.so}\n", ("+x=x",)),
    "a launcher": ("hydra/launcher/x.yaml", f"_target_: {RUNS}\n", ("hydra/launcher=x",)),
    "lines in a job's script": (
        "hydra/launcher/x.yaml",
        'defaults: [submitit_slurm]\npartition: "a\\ntouch owned"\n',
        ("hydra/launcher=x",),
    ),
    "commands in a job's script": ("hydra/launcher/x.yaml", "defaults: [submitit_slurm]\nsetup: [touch owned]\n", ("hydra/launcher=x",)),
    "options of a job's script": (
        "hydra/launcher/x.yaml",
        "defaults: [submitit_slurm]\nadditional_parameters: {wrap: touch owned}\n",
        ("hydra/launcher=x", "+hydra.launcher.additional_parameters.mail=x"),
    ),
    "where a job's log lies": ("hydra/launcher/x.yaml", "defaults: [submitit_local]\nsubmitit_folder: /tmp/x\n", ("hydra/launcher=x",)),
    "an expression of joblib's": (
        "hydra/launcher/x.yaml",
        "defaults: [joblib]\npre_dispatch: __import__('os')\n",
        ("hydra/launcher=x",),
    ),
}


@pytest.mark.parametrize(("name", "text", "more"), FILES.values(), ids=FILES.keys())
def test_no_file_reaches_hydra_by_another_way(
    payload: Path, write: Write, capsys: pytest.CaptureFixture[str], name: str, text: str, more: tuple[str, ...]
):
    write(name, text)
    for words in (["check"], ["train"], ["train", "-m"]):
        assert main([*words, "recipe=text_generation", "data=python_source", *more]) == 2
        assert f"set in: configs/{name}:{text.count(chr(10))}\n" in capsys.readouterr().err
    assert not payload.exists()


def test_a_search_path_imports_nothing(payload: Path, write: Write, capsys: pytest.CaptureFixture[str]):
    shipped = (Path(__file__).parents[2] / "configs" / "config.yaml").read_text()
    write("config.yaml", shipped.replace("hydra:\n", "hydra:\n  searchpath: [pkg://framework_test_package]\n"))
    assert main(["check", "recipe=text_generation"]) == 2
    err = capsys.readouterr().err
    assert "hydra.searchpath: Gatework does not offer" in err
    assert "set in: configs/config.yaml:" in err
    assert "--config-dir DIR names a further folder" in err
    assert not payload.exists()


@pytest.mark.parametrize(
    "word",
    [
        "hydra.run.dir=x",
        "hydra.sweep.dir=x",
        "hydra.sweep.subdir=x",
        "hydra.job.chdir=true",
        "hydra.job.name=x",
        "+hydra.job.env_set.A=1",
        "hydra.searchpath=[pkg://framework_test_package]",
        f"+hydra.callbacks.x._target_={RUNS}",
        "hydra/callbacks=x",
        "hydra/job_logging=default",
        "hydra.output_subdir=.hydra",
        "hydra.verbose=true",
        "hydra={callbacks:{}}",
        "~hydra.launcher",
        f"hydra.launcher._target_={RUNS}",
        f"hydra.sweeper.params.seed={{_target_:{RUNS}}}",
    ],
)
@pytest.mark.parametrize("verb", [["check"], ["train"], ["train", "-m"]], ids=" ".join)
def test_neither_does_the_command_line(payload: Path, capsys: pytest.CaptureFixture[str], word: str, verb: list[str]):
    assert main([*verb, "recipe=text_generation", word]) == 2
    err = capsys.readouterr().err
    assert f"set in: override `{word}`" in err
    assert not payload.exists()


def test_the_users_own_commands_for_the_cluster_come_from_the_command_line(folder: Path):
    words = ["recipe=text_generation", "hydra/launcher=submitit_slurm", "hydra.launcher.setup=['module load cuda']"]
    compose([*words, "+hydra.launcher.additional_parameters={mail-type: END}", "hydra.launcher.partition=long"])


def test_what_is_offered_still_works_from_files(write: Write):
    write("recipe/mine.yaml", HEAD + "hydra:\n  mode: MULTIRUN\n  sweeper: {params: {seed: '1,2'}}\n")
    assert compose(["recipe=mine"]).multirun
    write("hydra/launcher/cluster.yaml", "defaults: [submitit_slurm]\npartition: long\ntimeout_min: 90\n")
    compose(["recipe=mine", "hydra/launcher=cluster"])
    write("recipe/two.yaml", HEAD + "hydra:\n  launcher: {n_jobs: 2}\n")
    compose(["recipe=two"])


def test_a_jobs_recipe_does_not_change_what_hydra_does_with_the_job(payload: Path, write: Write):
    write("recipe/good.yaml", HEAD)
    write("recipe/stranger.yaml", HEAD.replace("  - override", "  - /x: x\n  - override"))
    write("x/x.yaml", "# @package hydra.job.env_set\nLD_PRELOAD: x.so\n")
    with pytest.raises(SpecError, match="Hydra's own settings hold for all jobs"):
        multirun(["recipe=good,stranger", "hydra/launcher=basic"], [], print)
