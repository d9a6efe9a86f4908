"""Ten GRUs, each kept off cuDNN by another argument, in one YAML: explain names each reason and what lifts it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from framework.cli.main import main

OBSTACLES = {
    "relu": ("activation: relu", "activation: tanh"),
    "linear": ("activation: null", "activation: tanh"),
    "hard": ("recurrent_activation: hard_sigmoid", "recurrent_activation: sigmoid"),
    "dropped": ("recurrent_dropout: 0.1", "recurrent_dropout: 0"),
    "before": ("reset_after: false", "reset_after: true"),
    "three": ("implementation: 1, dropout: 0.1", "implementation: 2"),
    "never": ("use_cudnn: false", "use_cudnn: auto"),
}
LIFTED = {
    "bare": ("use_bias: false", "runs with a bias of zeros"),
    "back": ("go_backwards: true", "the sequence is reversed first"),
    "thin": ("dropout: 0.2", "the inputs are masked before the kernel runs"),
}


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = ["inputs:", "  tokens: {dtype: int32, shape: [null]}", "layers:"]
    lines.append('  embedding: {kind: embedding, input_dim: "${size:tokens}", output_dim: 8}')
    for name, (setting, _) in {**OBSTACLES, **LIFTED}.items():
        lines.append(f"  {name}: {{kind: gru, units: 8, return_sequences: true, {setting}}}")
    lines += ['  logits: {kind: dense, units: "${size:tokens}"}', "outputs: logits"]
    (tmp_path / "configs" / "model").mkdir(parents=True)
    (tmp_path / "configs" / "model" / "ten.yaml").write_text("\n".join(lines) + "\n")


@pytest.mark.usefixtures("yaml")
def test_each_reason_is_named_with_the_change_that_lifts_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "recipe=text_generation", "model=ten"]) == 0
    blocks = {}
    for block in re.split(r"^cuDNN ", capsys.readouterr().out, flags=re.MULTILINE)[1:]:
        head, *rest = block.splitlines()
        blocks[head] = " ".join(" ".join(rest).split())
    for name, (setting, change) in OBSTACLES.items():
        for backend in ("torch", "tensorflow"):
            reasons = blocks[f"{name} on {backend}: no"]
            argument = setting.partition(":")[0]
            assert reasons.startswith(f"{argument}: ")
            assert f"to lift it: {change}" in reasons
            assert reasons.count("to lift it") == 1
    for name, (setting, lift) in LIFTED.items():
        assert blocks[f"{name} on torch: yes, on a CUDA GPU"].startswith(f"{setting.partition(':')[0]}: no obstacle, {lift}")
