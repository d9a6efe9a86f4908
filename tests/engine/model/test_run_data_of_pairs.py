"""Pairs of a trained run, read again: its own files only where its user may mean them, other files as one part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framework.config.compose import compose
from framework.data.prepare import prepare
from framework.data.prepared import PreparedData
from framework.engine.model.run_data import RunData, read_choices, read_run_data
from framework.engine.run.folder import RunFolder
from framework.errors import InputError, RunError
from framework.spec.experiment import Experiment
from framework.spec.validate import validate_experiment

COMMAND = "gatework evaluate last"


class Run:
    """A run's folder in its user's project, as far as its data goes."""

    def __init__(self, project: Path, *overrides: str) -> None:
        words = ["recipe=text_generation", "data=parallel_text", "model=translation_attention", "data.batch_size=2", *overrides]
        self.experiment: Experiment = validate_experiment(compose([*words, f"paths.cache_dir={project / 'cache'}"]).mapping)
        self.data: PreparedData = prepare(self.experiment.data, self.experiment.paths, self.experiment.seed)
        self.folder = RunFolder(project / "runs" / "mine" / "run")
        self.folder.path.mkdir(parents=True, exist_ok=True)
        self.folder.update_record(data_digest=self.data.digest)

    def read(self, *words: str, runs_dir: str = "runs") -> RunData:
        given: dict[str, Any] = read_choices(words, self.experiment.data)
        return read_run_data(self.folder, self.experiment, self.data.processor, given, runs_dir, COMMAND)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    monkeypatch.delenv("GATEWORK_DATA", raising=False)
    for name in ("train", "val"):
        for side in ("es", "en"):
            (project / f"{name}.{side}").write_text("".join(f"{side} {name} {row}\n" for row in range(20)))
    (project / "other.tsv").write_text("en val 1\tes val 1\nen train 2\tunknown words\n")
    return project


FILES = ("data.source_path=train.es", "data.target_path=train.en", "data.validation_fraction=0", "data.test_fraction=0")
PARTS = (*FILES, "data.validation={source_path: val.es, target_path: val.en}")


def test_a_runs_own_pairs_are_read_again(project: Path) -> None:
    run = Run(project, *PARTS)
    found = run.read()
    assert found.own and found.data.digest == run.data.digest and set(found.data.splits) == {"train", "validation"}


def test_other_pairs_are_one_part_in_their_own_order(project: Path) -> None:
    run = Run(project, *PARTS)
    found = run.read("data.path=other.tsv", "data.source_column=2", "data.target_column=1", "data.batch_size=1")
    assert not found.own and list(found.data.splits) == ["train"]
    rows = [found.data.processor.decode_target(batch.targets[0]) for batch in found.data.train.epoch(0)]
    assert rows == ["en [UNK] 1", "en train 2"]
    found = run.read("data.source_path=val.es", "data.target_path=val.en")
    assert not found.own and len(found.data.examples["train"]) == 20


@pytest.mark.parametrize("settings", [["trainer.early_stopping={monitor: val_loss}"], ["trainer.checkpoint.monitor=val_loss"]])
def test_other_pairs_need_no_validation_that_would_decide_the_best_epoch(project: Path, settings: list[str]) -> None:
    run = Run(project, *PARTS, *settings)
    assert not run.read("data.path=other.tsv").own
    own = run.read()
    assert own.own and own.experiment.trainer == run.experiment.trainer, "a converted run goes on as it was"


def test_changed_files_are_told_and_how_to_name_them(project: Path) -> None:
    run = Run(project, *PARTS)
    (project / "val.en").write_text("x\n" * 20)
    with pytest.raises(
        RunError, match=r"gatework evaluate last data.source_path=train.es data.target_path=train.en takes it as other data"
    ):
        run.read()


@pytest.mark.parametrize("place", ["source_path", "validation.target_path", "test.path"])
def test_files_elsewhere_are_read_only_where_their_user_names_them(place: str, project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("".join(f"a {row}\tb\n" for row in range(20)))
    run = Run(project, *PARTS, *(["data.test={path: other.tsv}"] if place == "test.path" else []), f"data.{place}={elsewhere}")
    with pytest.raises(InputError, match=r"names data that nothing of your own settings names(.|\n)*elsewhere\.txt\n"):
        run.read()
    (project / "configs" / "data").mkdir(parents=True)
    section, _, key = place.rpartition(".")
    named = f"{section}: {{{key}: {elsewhere}}}" if section else f"{key}: {elsewhere}"
    (project / "configs" / "data" / "own.yaml").write_text(f"kind: parallel_text\n{named}\n")
    assert run.read().own


def test_a_file_to_be_fetched_is_one_of_the_users_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWORK_DATA", str(project))
    (project / "fetched.txt").write_text((project / "train.es").read_text())
    import hashlib

    digest = hashlib.sha256((project / "fetched.txt").read_bytes()).hexdigest()
    download = f"{{url: 'https://example.org/fetched.txt', sha256: {digest}, filename: fetched.txt}}"
    run = Run(project, *FILES, "data.source_path=fetched.txt", f"data.downloads=[{download}]")
    with pytest.raises(InputError, match=r"https://example.org/fetched.txt \(it would be fetched\)"):
        run.read()
    (project / "configs" / "data").mkdir(parents=True)
    (project / "configs" / "data" / "own.yaml").write_text(f"kind: parallel_text\ndownloads: [{download}]\n")
    assert run.read().own
