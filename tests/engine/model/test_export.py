"""An exported model loads in plain Keras where its layers have counterparts there; where not, the reason is told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import framework
from framework.engine.model.export import export_run
from framework.spec.experiment import Experiment

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]

Small = Callable[..., Experiment]

LOAD = """
import sys, keras, numpy as np
model = keras.saving.load_model(sys.argv[1])
tokens = np.load(sys.argv[2])
np.save(sys.argv[3], np.asarray(model(tokens)))
assert not [name for name in sys.modules if name.startswith("framework")], "Gatework is imported"
"""

BIDIRECTIONAL = (
    "model.layers.both={kind: bidirectional, inputs: gru, merge_mode: sum, layer: {kind: gru, units: 9, return_sequences: true}}",
    "model.layers.logits.inputs=both",
)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("model.layers.gru.reset_after=false", "model.layers.gru.dropout=0.1", "model.layers.gru.recurrent_dropout=0.2"),
        pytest.param(BIDIRECTIONAL, marks=pytest.mark.slow),
    ],
    ids=["the recipe's", "reset before, dropout", "bidirectional"],
)
def test_it_loads_without_gatework_and_computes_the_same(words: tuple[str, ...], small: Small, tmp_path: Path) -> None:
    run = framework.train(small("name=mine", "trainer.max_epochs=1", *words))
    exported = export_run("mine", tmp_path / "mine.keras", str(run.path.parents[1]))
    assert exported.notes == ("plain Keras loads it: keras.saving.load_model('mine.keras')",)
    tokens = np.arange(24, dtype=np.int32).reshape(4, 6) % 9
    np.save(tmp_path / "tokens.npy", tokens)
    places = [str(tmp_path / name) for name in ("mine.keras", "tokens.npy", "outputs.npy")]
    subprocess.run([sys.executable, "-c", LOAD, *places], check=True, capture_output=True, cwd=tmp_path)
    [ours] = run.model.trainee.predict({"tokens": tokens}).values()
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), ours, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("model.layers.gru.recurrent_activation=hard_sigmoid_tf2",), "layer 'gru' has recurrent_activation=hard_sigmoid_tf2"),
    ],
)
def test_what_keras_lacks_is_named_with_what_to_import(words: tuple[str, ...], why: str, small: Small, tmp_path: Path) -> None:
    run = framework.train(small("name=mine", "trainer.max_epochs=1", *words))
    exported = export_run("mine", tmp_path / "mine.keras", str(run.path.parents[1]))
    assert exported.notes[0].startswith(why)
    line = exported.notes[-1].removeprefix("to load it: ")
    subprocess.run([sys.executable, "-c", line], check=True, capture_output=True, cwd=tmp_path)
