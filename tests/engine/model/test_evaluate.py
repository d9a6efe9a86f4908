"""A trained model is measured with its own vocabulary, on the data that it was trained on or that its user names, and on no other."""

from __future__ import annotations

import math
import os
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framework
from framework.cli.main import main
from framework.data.vocabulary import Vocabulary
from framework.engine.model.evaluate import evaluate_run
from framework.engine.model.run import Run
from framework.engine.run.portable import read_portable
from framework.errors import DataError, InputError, RunError

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]


def evaluate(run: Run, *overrides: str, split: str = "auto") -> dict[str, Any]:
    return evaluate_run(str(run.path), split, str(run.path.parents[1]), overrides=overrides)


def by_hand(run: Run, text: str) -> float:
    """The loss over whole windows of a text in order, of the run's weights by plain NumPy in float64."""
    model = read_portable(run.path / "model")
    vocabulary: Vocabulary = model.processor.vocabulary  # type: ignore[attr-defined]
    numbers = {token: number for number, token in enumerate(vocabulary.tokens)}
    unknown = 0 if vocabulary.unknown else None
    ids = np.array([numbers.get(one, unknown) for one in text])
    data = model.experiment.data
    length, rows = data.sequence_length, data.batch_size  # type: ignore[attr-defined]
    windows = [ids[start : start + length + 1] for start in range(0, len(ids) - length, length + 1)]
    windows = windows[: len(windows) // rows * rows]
    weights = {name: value.astype(np.float64) for name, value in model.weights.items()}
    state = np.zeros((rows, weights["gru/recurrent_kernel"].shape[0]))
    losses = []
    for first in range(0, len(windows), rows):
        batch = np.stack(windows[first : first + rows])  # the model is stateful: the next batch begins where this one ends
        for step in range(length):
            state = gru_step(weights, weights["embedding/embeddings"][batch[:, step]], state)
            logits = state @ weights["logits/kernel"] + weights["logits/bias"]
            shifted = logits - logits.max(axis=1, keepdims=True)
            losses.append((np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(rows), batch[:, step + 1]]).mean())
    return float(np.mean(losses))


def gru_step(weights: dict[str, np.ndarray], x: np.ndarray, state: np.ndarray) -> np.ndarray:
    bias = weights["gru/bias"]
    ours, theirs = x @ weights["gru/kernel"] + bias[0], state @ weights["gru/recurrent_kernel"] + bias[1]
    (xz, xr, xh), (hz, hr, hh) = np.split(ours, 3, axis=1), np.split(theirs, 3, axis=1)
    z, r = 1 / (1 + np.exp(-xz - hz)), 1 / (1 + np.exp(-xr - hr))
    return z * state + (1 - z) * np.tanh(xh + r * hh)


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_text_is_read_with_the_run_s_own_vocabulary(backend: str, small: Any, tmp_path: Path) -> None:
    run = framework.train(small(f"backend={backend}", "trainer.max_epochs=1"))
    other = tmp_path / "other.txt"
    other.write_text("reset the state, " * 40)  # fewer different characters than the run's text has
    result = evaluate(run, f"data.path={other}")
    assert result["loss"] == pytest.approx(by_hand(run, other.read_text()), rel=1e-5)
    assert (result["split"], result["data"]) == ("whole", str(other))
    assert result["perplexity"] == pytest.approx(math.exp(result["loss"]))


@pytest.mark.torch
def test_data_that_has_changed_is_refused_until_it_is_named(small: Any, text: Path) -> None:
    run = framework.train(small("trainer.max_epochs=1"))
    before = evaluate(run)
    assert before["split"] == "train"
    text.write_text(text.read_text().replace(",", ""))  # one character fewer: every later number would be another's
    with pytest.raises(RunError, match=r"the data is not what run .* was trained on \(digest \w{12}…, now \w{12}…\)\n    hint: ") as caught:
        evaluate(run)
    assert caught.value.exit_code == 2
    advised = shlex.split(str(caught.value).rpartition("hint: ")[2].partition(" takes it")[0])
    assert advised[:2] == ["gatework", "evaluate"]
    assert evaluate(run, *advised[3:])["loss"] == pytest.approx(by_hand(run, text.read_text()), rel=1e-5)


@pytest.mark.torch
def test_data_that_was_moved_is_the_run_s_own_still(small: Any, text: Path, tmp_path: Path) -> None:
    run = framework.train(small("trainer.max_epochs=1", "data.validation_fraction=0.2"))
    before = evaluate(run)
    text.rename(tmp_path / "moved.txt")
    after = evaluate(run, f"data.path={tmp_path / 'moved.txt'}")
    assert (before["split"], before["batches"], before["loss"]) == (after["split"], after["batches"], after["loss"])
    assert after["split"] == "validation"


@pytest.mark.torch
def test_characters_that_the_run_lacks_are_named_with_their_places(small: Any, tmp_path: Path) -> None:
    run = framework.train(small("trainer.max_epochs=1"))
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("gate\nstate\n" * 30)
    (folder / "b.txt").write_text("gate\nst\u00e4te, Q\n" * 30)
    with pytest.raises(DataError) as caught:
        evaluate(run, f"data.path={folder}")
    place = f"({folder / 'b.txt'}, line 2)"
    assert f"the text has 2 characters that the vocabulary lacks: 'Q' {place}, 'ä' {place}\n" in str(caught.value)


@pytest.mark.torch
def test_a_run_with_unk_reads_them_as_that(small: Any, tmp_path: Path) -> None:
    run = framework.train(small("trainer.max_epochs=1", "data.unknown=replace"))
    other = tmp_path / "other.txt"
    other.write_text("g\u00e4te Q" * 60)
    assert evaluate(run, f"data.path={other}")["loss"] == pytest.approx(by_hand(run, other.read_text()), rel=1e-5)


@pytest.mark.torch
def test_a_text_too_short_for_the_run_s_batches_is_measured_as_the_message_says(small: Any, tmp_path: Path) -> None:
    run = framework.train(small("trainer.max_epochs=1"))
    other = tmp_path / "other.txt"
    other.write_text("gate reset")
    with pytest.raises(DataError, match=r"too short.*\n.*\n    hint: lower data.batch_size or data.sequence_length, or give more text"):
        evaluate(run, f"data.path={other}")
    assert evaluate(run, f"data.path={other}", "data.batch_size=1")["batches"] == 1


@pytest.mark.torch
def test_what_cannot_be_given_is_refused(small: Any) -> None:
    run = framework.train(small("trainer.max_epochs=1"))
    for words, says in (
        (["data.level=word"], "'data.level=word' cannot be given for a trained run; expected one of data.path, "),
        (["data.pth=x.txt"], "did you mean data.path?"),
        (["data.batch_size=2"], "data.batch_size can be given with other data only"),
        (["data=python_source"], "cannot be given for a trained run"),
    ):
        with pytest.raises(InputError) as caught:
            evaluate(run, *words)
        assert says in str(caught.value)
    with pytest.raises(InputError, match=r"nothing held out .* ask for --split train"):
        evaluate(run, split="validation")


# --- a stranger's run ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own project, beside which other folders lie."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("GATEWORK_DATA", raising=False)
    return folder


def given_away(run: Run, to: Path, **data: Any) -> Path:
    """The run's folder as a stranger would send it: its configs name other places."""
    from framework.config.saved import dump_yaml, load_resolved

    to.parent.mkdir(parents=True, exist_ok=True)
    run.path.rename(to)
    for file in (to / "model" / "spec.yaml", to / "config" / "resolved.yaml"):
        settings = load_resolved(file)
        settings["data"].update(data)
        file.write_text(dump_yaml(settings))
    return to


@pytest.mark.torch
def test_a_stranger_s_run_reads_nothing_that_its_user_has_not_named(
    small: Any, text: Path, project: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = framework.train(small("trainer.max_epochs=1"))
    read: list[object] = []
    opened = os.open
    folder = given_away(run, tmp_path / "download" / "run", path=["/etc/passwd", str(text), "~/.bashrc", "/proc/**"])
    monkeypatch.setattr("framework.data.reading._read_file", lambda *told: read.append(told))
    assert main(["evaluate", str(folder)]) == 2
    error = capsys.readouterr().err
    for line in ("/etc/passwd", str(text), "~/.bashrc", "/proc/**", f"gatework evaluate {folder} 'data.path=["):
        assert line in error
    assert (read, os.open) == ([], opened)


@pytest.mark.torch
def test_the_advice_for_a_stranger_s_run_works(small: Any, text: Path, project: Path, tmp_path: Path, capsys: Any) -> None:
    spaced = text.rename(tmp_path / "a text, with signs.txt")
    run = framework.train(small("trainer.max_epochs=1", f"data.path='{spaced}'"))
    folder = given_away(run, tmp_path / "download" / "run")
    assert main(["evaluate", str(folder)]) == 2
    advised = shlex.split(capsys.readouterr().err.rpartition("if that is what you mean: ")[2])
    assert main([*advised[1:], "--json"]) == 0
    assert '"split": "train"' in capsys.readouterr().out, "it is what the run was trained on"


@pytest.mark.torch
@pytest.mark.parametrize("where", ["own folder", "data folder", "own config", "own project"])
def test_what_the_user_lets_be_read_is_read(
    where: str, small: Any, text: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = framework.train(small("trainer.max_epochs=1"))
    home = tmp_path / "download" / "run"
    if where == "own folder":
        place = home / "my.txt"
    elif where == "data folder":
        place = tmp_path / "sets" / "my.txt"
        monkeypatch.setenv("GATEWORK_DATA", str(tmp_path / "sets"))
    elif where == "own config":
        place = tmp_path / "elsewhere" / "my.txt"
        (project / "configs" / "data").mkdir(parents=True)
        (project / "configs" / "data" / "mine.yaml").write_text(f"kind: text\npath: {place}\n")
    else:
        place, home = project / "my.txt", project / "runs" / "mine" / "run"
    folder = given_away(run, home, path=str(place))
    place.parent.mkdir(exist_ok=True)
    text.rename(place)
    assert evaluate_run(str(folder))["data"] == str(place)


@pytest.mark.torch
@pytest.mark.parametrize("way", ["link", "hidden", "parent"])
def test_there_is_no_way_around(way: str, small: Any, text: Path, project: Path, tmp_path: Path) -> None:
    run = framework.train(small("trainer.max_epochs=1"))
    place = {"link": project / "link.txt", "hidden": project / ".secrets" / "my.txt", "parent": project / ".." / "my.txt"}[way]
    folder = given_away(run, project / "runs" / "mine" / "run", path=str(place))
    if way == "link":
        place.symlink_to(text)
    elif way == "hidden":
        place.parent.mkdir()
        text.rename(place)
    with pytest.raises(InputError, match="names data that nothing of your own settings names"):
        evaluate_run(str(folder))


@pytest.mark.torch
def test_a_stranger_s_address_is_not_fetched_from(small: Any, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = framework.train(small("trainer.max_epochs=1"))
    away = {"url": "http://127.0.0.1:9/x.txt", "sha256": "0" * 64, "filename": "x.txt"}
    folder = given_away(run, tmp_path / "download" / "run", path=None, download=away)
    monkeypatch.setattr("framework.data.text.find_download", lambda *told: pytest.fail("looked for"))
    with pytest.raises(InputError, match=r"http://127.0.0.1:9/x.txt \(it would be fetched\)"):
        evaluate_run(str(folder))


@pytest.mark.torch
def test_converting_reads_no_more_than_measuring(small: Any, text: Path, project: Path, tmp_path: Path, capsys: Any) -> None:
    import json

    run = framework.train(small("trainer.max_epochs=1"))
    folder = given_away(run, tmp_path / "download" / "run")
    record = json.loads((folder / "run.json").read_text())
    record["settings"]["data"]["path"] = "/etc/passwd"
    (folder / "run.json").write_text(json.dumps(record))
    assert main(["convert", str(folder), "--to", "tensorflow"]) == 2
    error = capsys.readouterr().err
    assert "/etc/passwd" in error
    assert f"gatework convert {folder} --to tensorflow data.path=/etc/passwd" in error
