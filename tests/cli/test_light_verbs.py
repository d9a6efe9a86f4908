"""Light verbs answer fast and import nothing heavy; what they say is what a user needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tracking.run_on_disk import RunOnDisk

import framework
from framework.cli.main import VERBS, main

HEAVY = ("torch", "tensorflow", "keras", "pytorch_lightning", "mlflow", "matplotlib", "pandas", "scipy")


def modules_after(words: list[str], folder: Path) -> set[str]:
    """Names of the heavy modules that one command imports."""
    code = "import sys; from framework.cli.main import main; code = main(sys.argv[1:]); print(code, *sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True, check=True)
    code_and_modules = done.stderr.splitlines()[-1].split()
    assert code_and_modules[0] == "0", done.stderr
    return set(HEAVY) & set(code_and_modules)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["train", "--cfg", "job", "recipe=text_generation"],
        ["check", "recipe=text_generation"],
        ["explain", "recipe=text_generation"],
        ["explain", "recipe=text_generation", "data=python_source"],
        ["why", "model.layers.gru.units", "recipe=text_generation"],
        ["schema"],
        ["new", "mine"],
        ["runs"],
    ],
    ids=" ".join,
)
def test_light_verbs_import_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    assert modules_after(words, tmp_path) == set()


def test_a_comparison_imports_matplotlib_alone_and_only_to_draw(tmp_path: Path) -> None:
    for seed in (1, 2):
        run = RunOnDisk(tmp_path / "runs" / "text_generation" / str(seed), framework.load("text_generation", overrides=[f"seed={seed}"]))
        run.recorder.record(1, 1, {"epoch/loss": 1.0})
        run.recorder.close()
    assert modules_after(["compare", "1", "2", "--no-plot"], tmp_path) == set()
    assert modules_after(["compare", "1", "2"], tmp_path) == {"matplotlib"}


QUIET = pytest.param(["check", "recipe=text_generation"], marks=pytest.mark.slow)
"""Beside another process that fills the caches, the same work takes half as long again: for a quiet machine."""


@pytest.mark.parametrize("words", [["--help"], QUIET], ids=" ".join)
def test_light_verbs_answer_within_a_second(words: list[str], tmp_path: Path) -> None:
    """Processor time of the whole process, which a busy machine does not lengthen as it does the clock's; the best of five."""
    seconds = []
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-m", "framework", *words], cwd=tmp_path, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        seconds.append(used.ru_utime + used.ru_stime)
    assert min(seconds) < 1.0


def test_check_does_no_more_than_fits_into_a_second(tmp_path: Path) -> None:
    """Calls of functions, which no other process adds to: 0.7 seconds of a quiet processor are 1,055,000 of them."""
    code = "import cProfile, pstats, sys; from framework.cli.main import main; profile = cProfile.Profile()\n"
    code += "profile.runcall(main, sys.argv[1:]); print(pstats.Stats(profile).total_calls, file=sys.stderr)"
    words = [sys.executable, "-c", code, "check", "recipe=text_generation"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert int(done.stderr.splitlines()[-1]) < 1_250_000


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("model", "parameters"), [("text_generation", "4,021,569"), ("text_generation_stateless", "4,022,850")])
def test_explain_prints_the_tutorials_parameter_counts_and_the_verdicts(
    model: str, parameters: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(["explain", "recipe=text_generation", f"model={model}"], capsys)
    assert code == 0
    assert f"parameters: {parameters}" in out
    assert "cuDNN gru on torch: yes" in out
    assert "cuDNN gru on tensorflow: yes" in out


def test_explain_names_each_reason_and_the_change_that_lifts_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["explain", "recipe=text_generation", "model.layers.gru.recurrent_dropout=0.2", "model.layers.gru.use_bias=false"]
    _, out, _ = run(words, capsys)
    assert "cuDNN gru on torch: no" in out
    assert "recurrent_dropout: cuDNN has no dropout on the state within a layer; to lift it: recurrent_dropout: 0" in out
    assert "use_bias: no obstacle, runs with a bias of zeros" in out


def test_explain_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(["explain", "recipe=text_generation", "--json"], capsys)
    plan = json.loads(out)
    assert plan["parameters"] == 4_021_569
    assert plan["sizes"] == {"tokens": {"value": 65, "source": "declared"}}
    assert [layer["name"] for layer in plan["layers"]] == ["embedding", "gru", "logits"]
    assert plan["layers"][1]["weights"] == {"kernel": [256, 3072], "recurrent_kernel": [1024, 3072], "bias": [2, 3072]}


def test_explain_counts_a_translators_batch(capsys: pytest.CaptureFixture[str]) -> None:
    """64 rows of 16 source words, and of 10 steps, which read a target's 11 tokens but the last."""
    _, out, _ = run(["explain", "recipe=translation", "--json"], capsys)
    plan = json.loads(out)
    step, (_, encoder, _, decoder, logits) = plan["training_step"], plan["layers"]
    assert step["rows"] == 64 and step["lengths"] == {"source": 16, "target": 10}
    source, steps, units, width = 64 * 16, 64 * 10, 1024, 256
    products = {
        "encoder": source * 3 * units * (width + units),
        "decoder": source * units * units + steps * (units * units + 3 * units * (units + width)) + steps * 16 * 3 * units,
        "logits": steps * units * 4935,
    }
    for layer in (encoder, decoder, logits):
        assert 1.0 <= layer["flops"] / (3 * 2 * products[layer["name"]]) < 1.01, layer["name"]
    assert 1.0 < step["flops"] / (3 * 2 * sum(products.values())) < 1.01
    assert 69e9 < step["flops"] < 70e9
    assert decoder["outputs"]["output"]["shape"] == [None, None, 1024], "a batch of another length fits too"
    _, out, _ = run(["explain", "recipe=translation"], capsys)
    assert "a training step of 64 rows × 16 source, 10 target steps: 69.4 GFLOP" in out
    assert "cuDNN decoder on torch: no\n    attend: cuDNN runs all steps in one call" in out


def test_explain_reads_local_text_for_its_sizes(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_folder / "my.txt").write_text("abcd" * 5000)
    _, out, _ = run(["explain", "recipe=text_generation", "data=text", "data.path=my.txt"], capsys)
    assert "tokens 4 (read)" in out


def test_use_cudnn_that_cannot_be_had_is_refused_with_every_reason(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["check", "recipe=text_generation", "backend.device=cpu", "model.layers.gru.use_cudnn=true", "model.layers.gru.activation=relu"]
    code, _, err = run(words, capsys)
    assert code == 2
    assert "use_cudnn: true cannot be had" in err
    assert "gru: device: cuDNN runs on CUDA GPUs only" in err
    assert "gru: activation: cuDNN's GRU has tanh built in; activation: tanh lifts it" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["check", "recipe=text_genration"], ["no recipe 'text_genration'", "did you mean: text_generation"]),
        (["check", "recipe=text_generation", "data=shakespear"], ["no data 'shakespear'", "did you mean: shakespeare"]),
        (["check", "recipe=text_generation", "model.layers.gru.unit=3"], ["unknown key 'unit'", "did you mean: units", "override"]),
        (["check", "recipe=text_generation", "trianer.max_epochs=3"], ["unknown key 'trianer'", "did you mean: trainer"]),
        (["check"], ["no recipe is chosen", "recipe=text_generation"]),
        (["check", "recipe"], ["recipe"]),
        (["chekc"], ["no command 'chekc'", "did you mean check?"]),
        (
            ["why", "model.layers.gru.unitz", "recipe=text_generation"],
            ["no key 'model.layers.gru.unitz'", "did you mean model.layers.gru.units?"],
        ),
        (["why", "model.layers.gru.units=3", "recipe=text_generation"], ["is an override", "gatework why KEY"]),
        (["generate", "last"], ["no run yet"]),
        (["generate", "last", "--num", "0"], ["--num is 0"]),
        (["evaluate", "nothing"], ["no run 'nothing'", "there are no runs yet"]),
        (["compare", "one", "two"], ["no run 'one'", "there are no runs yet"]),
        (["explain", "recipe=text_generation", "data=text", "data.path=none.txt"], ["none.txt"]),
        (["train", "recipe=text_generation", "backend=tensorflw"], ["no backend 'tensorflw'", "did you mean: tensorflow"]),
        (["train", "recipe=text_generation", "data=text", "data.path=none.txt"], ["none.txt"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input_gets_one_clear_message(words: list[str], says: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(words, capsys)
    assert code == 2
    assert err.startswith("error: ")
    assert "Traceback" not in err
    for text in says:
        assert text in err


def test_three_errors_in_one_file_come_with_their_lines(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "mine"], capsys)[0] == 0
    (own_folder / "my.txt").write_text("abcd" * 5000)
    path = own_folder / "configs" / "model" / "mine.yaml"
    text = (
        path.read_text()
        .replace("units: 1024", "units: -1024")
        .replace("kind: embedding", "kind: embeding")
        .replace("stateful: true", "statefull: true")
    )
    path.write_text(text)
    lines = text.splitlines()
    wanted = [1 + next(number for number, line in enumerate(lines) if part in line) for part in ("embeding", "units: -1024", "statefull")]
    code, _, err = run(["check", "recipe=mine", "data.path=my.txt"], capsys)
    assert code == 2
    assert "3 problems in the config" in err
    for line in wanted:
        assert f"configs/model/mine.yaml:{line}" in err


def test_check_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["check", "recipe=text_generation", "seed=-1", "--json"], capsys)
    assert code == 2
    problems = json.loads(out)["problems"]
    assert [problem["path"] for problem in problems] == ["seed"]
    code, out, _ = run(["check", "recipe=text_generation", "--json"], capsys)
    assert (code, json.loads(out)["parameters"]) == (0, 4_021_569)


def test_why_tells_the_whole_history(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["why", "model.layers.gru.units", "recipe=text_generation", "model.layers.gru.units=12"]
    _, out, _ = run(words, capsys)
    assert out.splitlines()[0] == "model.layers.gru.units = 12"
    assert "set by override `model.layers.gru.units=12`" in out
    assert "text_generation.yaml:" in out
    _, out, _ = run(["why", "model.layers.gru.dropout", "recipe=text_generation"], capsys)
    assert out == "model.layers.gru.dropout = 0.0\n  nobody set it; this is the default\n"


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    started = time.perf_counter()
    code, out, _ = run(["--help"], capsys)
    assert (code, time.perf_counter() - started < 1.0) == (0, True)
    for verb in VERBS:
        assert verb in out
