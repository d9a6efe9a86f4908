"""A model that cannot be decoded token by token is trained and measured, and says that it makes no text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import framework
from framework.cli.main import main
from framework.engine.model.evaluate import evaluate_run
from framework.errors import UnsupportedArgument
from framework.report.progress import SilentReporter

BACKENDS = [
    pytest.param("torch", marks=pytest.mark.torch),
    pytest.param("tensorflow", marks=[pytest.mark.tensorflow, pytest.mark.slow]),
]
WAYS = {
    "bidirectional": (
        [
            "~model.layers.gru",
            "+model.layers.both={kind: bidirectional, inputs: embedding, layer: {kind: gru, units: 10, return_sequences: true}}",
            "model.layers.logits.inputs=both",
        ],
        "layer 'both': bidirectional reads the sequence backwards too",
    ),
    "go_backwards": (["model.layers.gru.go_backwards=true"], "layer 'gru': go_backwards reads the end of the sequence first"),
    "initial_state": (
        [
            "model.layers.first={kind: gru, inputs: embedding, units: 10}",
            "model.layers.gru.units=10",
            "model.layers.gru.initial_state=first",
        ],
        "initial_state",
    ),
}


class Listener(SilentReporter):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.samples: list[str | None] = []

    def warn(self, text: str) -> None:
        assert not self.samples, "it is said before the first epoch"
        self.warnings.append(text)

    def epoch(self, result: Any, metrics: dict[str, float], sample: str | None) -> None:
        self.samples.append(sample)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("way", WAYS)
def test_it_trains_without_samples_and_is_measured(way: str, backend: str, small: Any) -> None:
    words, reason = WAYS[way]
    listener = Listener()
    run = framework.train(small(f"backend={backend}", "trainer.max_epochs=2", *words), reporter=listener)
    assert run.status == "finished"
    assert listener.samples == [None, None]
    [warning] = listener.warnings
    assert warning.startswith("no samples will be made, and the model will not generate: ")
    assert reason in warning
    measured = evaluate_run(str(run.path), runs_dir=str(run.path.parents[1]))
    assert 0 < measured["loss"] < 5
    with pytest.raises(UnsupportedArgument, match=way) as caught:
        run.generate("gate")
    assert caught.value.exit_code == 2


@pytest.mark.torch
def test_without_samples_nothing_is_said(small: Any) -> None:
    listener = Listener()
    framework.train(
        small("trainer.max_epochs=1", "trainer.sample_every_n_epochs=null", "model.layers.gru.go_backwards=true"), reporter=listener
    )
    assert (listener.warnings, listener.samples) == ([], [None])


@pytest.mark.parametrize("way", WAYS)
def test_check_says_it_before_anything_is_trained(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    words, reason = WAYS[way]
    line = ["check", "recipe=text_generation", "data=python_source", *words]
    assert main(line) == 0
    assert "note: the model can be trained and measured, and cannot generate: layer '" in (out := capsys.readouterr().out)
    assert reason in out
    assert main([*line, "--json"]) == 0
    assert reason in json.loads(capsys.readouterr().out)["notes"][0]
