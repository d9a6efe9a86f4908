"""Decoding in lower precisions: what it changes, what it costs, and who refuses it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_experiments import small, text
from small_models import TIME, VOCABULARY, Windows, Workshop, language_model

import framework
from framework.cli.main import main
from framework.decoding.loss import stepwise_loss
from framework.errors import InputError, UnsupportedArgument

__all__ = ["small", "text"]

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=pytest.mark.tensorflow)]

MODELS = {
    "folded": language_model(gru={"kind": "gru", "units": 16, "return_sequences": True}),
    "two layers": language_model(
        gru={"kind": "gru", "units": 16, "return_sequences": True},
        second={"kind": "gru", "units": 12, "return_sequences": True, "reset_after": False},
    ),
}


@pytest.fixture(params=BACKENDS)
def workshop(request: pytest.FixtureRequest) -> Workshop:
    return Workshop(request.param)


@pytest.fixture
def everything_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("framework.backends.torch.product", "framework.backends.tensorflow.decoding.form"):
        monkeypatch.setattr(f"{module}.LARGE", 1)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_stepwise_loss_is_the_batchs(workshop: Workshop, weighted: bool) -> None:
    trainee, data = workshop.trainee(MODELS["two layers"]), Windows(1, weighted=weighted)
    (batch,) = data.epoch(0)
    (name,) = batch.inputs
    assert stepwise_loss(trainee.stepper(), batch.inputs, name, batch.targets, batch.weights) == pytest.approx(
        trainee.evaluate(data).loss, abs=1e-5
    )


@pytest.mark.usefixtures("everything_large")
@pytest.mark.parametrize("model", MODELS)
def test_bfloat16_rounds_and_stays_near(workshop: Workshop, model: str) -> None:
    trainee = workshop.trainee(MODELS[model])
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (3, TIME), dtype=np.int32)
    plain, rounded = (logits_of(trainee.stepper(None, precision), tokens) for precision in ("float32", "bfloat16"))
    apart = np.abs(plain - rounded).max() / np.abs(plain).max()
    assert 1e-6 < apart < 0.05


@pytest.mark.torch
@pytest.mark.usefixtures("everything_large")
@pytest.mark.parametrize("model", MODELS)
def test_int8_rounds_and_stays_near(model: str) -> None:
    trainee = Workshop("torch").trainee(MODELS[model])
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (3, TIME), dtype=np.int32)
    plain, rounded = (logits_of(trainee.stepper(None, precision), tokens) for precision in ("float32", "int8"))
    apart = np.abs(plain - rounded).max() / np.abs(plain).max()
    assert 1e-6 < apart < 0.1


def logits_of(stepper: Any, tokens: np.ndarray) -> np.ndarray:
    state, found = stepper.start({}, len(tokens)), []
    for t in range(tokens.shape[1]):
        logits, state, _ = stepper.step(tokens[:, t], state)
        found.append(logits.copy())
    return np.stack(found)


@pytest.mark.tensorflow
def test_tensorflow_refuses_int8_by_name() -> None:
    with pytest.raises(UnsupportedArgument, match=r"precision int8: TensorFlow .* expected float32 or bfloat16 \(backend torch has it\)"):
        Workshop("tensorflow").trainee(MODELS["folded"]).stepper(None, "int8")


@pytest.mark.torch
@pytest.mark.usefixtures("everything_large")
def test_the_command_tells_what_a_precision_costs(small: Any, text: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = framework.train(small())
    assert main(["generate", str(run.path), "--runs-dir", str(run.path.parents[1]), "--length", "5", "--precision", "int8"]) == 0
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("int8: loss ") and " tokens of the training (nothing is held out); float32 " in said
    ours, plain = float(said.split()[2]), float(said.split()[-1])
    assert ours == pytest.approx(plain, abs=0.05)
    text.unlink()
    assert main(["generate", str(run.path), "--runs-dir", str(run.path.parents[1]), "--length", "5", "--precision", "int8"]) == 0
    assert "int8: its loss beside float32's could not be measured: " in capsys.readouterr().err


@pytest.mark.torch
def test_a_model_in_float64_has_no_lower_precision(small: Any) -> None:
    run = framework.train(small("trainer.precision=64-true"))
    from framework.engine.model.opening import open_model

    with pytest.raises(InputError, match=r"precision bfloat16 is for models in float32; the model of .* computes in float64"):
        open_model(run.folder, precision="bfloat16")
