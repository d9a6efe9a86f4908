"""`gatework reproduce`: an experiment of one's own, held to figures of one's own, as a user's folder has them."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from framework.cli.main import main
from framework.engine.compare.results import read_result
from framework.errors import RunError, SpecError

pytestmark = pytest.mark.torch

RECIPE = """\
# @package _global_
defaults:
  - override /data: text
  - override /model: text_generation
  - override /optimizer: adam
  - override /decoding: sample
recipe: mine
task: {kind: language_model}
data: {path: my.txt, batch_size: 4, sequence_length: 8}
model: {layers: {embedding: {output_dim: 6}, gru: {units: 10}}}
trainer: {max_epochs: 2, limit_train_batches: 6}
decoding: {prompt: a, length: 20, sample_length: 12}
"""

TARGETS = """\
publication: a paper
variants:
  plain:
    title: The plain model
    recipe: mine
    targets:
      - {metric: untrained_loss, measures: first batch, value: 2.8, low: 1.0, high: 9.0, why: chance, source: page 1}
      - {metric: loss, epoch: 2, measures: mean, value: 2.5, low: 1.0, high: 9.0, why: two runs, source: page 2}
    curves:
      - {label: theirs, source: page 3, values: {1: 3.0, 2: 2.5}}
  held_out:
    title: The plain model, validated
    recipe: mine
    overrides: [data.validation_fraction=0.2]
    monitor: val_loss
"""

README = "# Mine\n\n<!-- results: begin (gatework reproduce --from-results) -->\n<!-- results: end -->\n\nby hand\n"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder: a text, a config recipe, and a recipe's folder with targets and a README."""
    monkeypatch.chdir(tmp_path)
    draws = random.Random(1)
    (tmp_path / "my.txt").write_text("".join(draws.choice(["gate ", "state ", "reset "]) for _ in range(400)))
    files = {"configs/recipe/mine.yaml": RECIPE, "recipes/mine/targets.yaml": TARGETS, "recipes/mine/README.md": README}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def reproduce(*words: str) -> int:
    return main(["reproduce", "recipe=mine", "tracking=none", *words])


def kept(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "recipes/mine/results/plain-torch-seed0.json").read_text())
    return found


def test_a_run_is_judged_and_kept_with_its_recipe(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce() == 0
    out = capsys.readouterr().out
    assert "2 of 2 targets met" in out
    result = kept(own_folder)
    [run] = (own_folder / "runs/mine").iterdir()
    record = json.loads((run / "run.json").read_text())
    assert result["complete"] is True
    assert [result["config_digest"], result["data_digest"]] == [record["digest"], record["data_digest"]]
    measured = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    losses = [line["values"]["epoch/loss"] for line in measured if "epoch/loss" in line["values"]]
    assert [epoch["values"]["loss"] for epoch in result["epochs"]] == losses
    assert result["figures"]["untrained_loss"] == measured[0]["values"]["epoch/untrained_loss"]
    assert result["versions"]["torch"] == record["versions"]["torch"]
    assert {"processor", "processors", "usable_processors"} <= result["hardware"].keys()
    [sample] = result["samples"]
    assert (sample["model"], sample["step"], len(sample["text"])) == ("last", 12, 21)

    readme = (own_folder / "recipes/mine/README.md").read_text()
    assert "| loss, epoch 2 | 2.50 | 1 to 9 |" in readme
    assert readme.startswith("# Mine\n\n<!-- results: begin")
    assert readme.endswith("<!-- results: end -->\n\nby hand\n")
    assert (own_folder / "recipes/mine/results/plain.png").is_file()

    report = (run / "report.md").read_text()
    assert "## Reproduction: The plain model\n\n2 of 2 targets met.\n" in report
    assert (run / "plots/published.png").is_file()
    assert record["reproduction"] == "2 of 2 targets met"

    capsys.readouterr()
    assert reproduce() == 0  # the finished run is judged again, and nothing is told twice
    assert "is finished already" in capsys.readouterr().out
    assert (run / "report.md").read_text() == report


def test_a_run_that_did_not_know_a_setting_has_it_at_its_default(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run of an earlier version is measured by this one."""
    assert reproduce("name=it") == 0
    path = own_folder / "runs/mine/it/run.json"
    record = json.loads(path.read_text())
    del record["settings"]["data"]["shuffle_buffer"]
    path.write_text(json.dumps(record))
    capsys.readouterr()
    assert reproduce("name=it") == 0
    assert "2 of 2 targets met" in capsys.readouterr().out


def test_no_machine_paths_are_kept(own_folder: Path) -> None:
    assert reproduce() == 0
    assert str(own_folder) not in (own_folder / "recipes/mine/results/plain-torch-seed0.json").read_text()


def test_a_missed_target_ends_with_1(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_folder / "recipes/mine/targets.yaml").write_text(TARGETS.replace("value: 2.5, low: 1.0", "value: 8.5, low: 8.0"))
    assert reproduce() == 1
    assert "1 of 2 targets met, 1 missed" in capsys.readouterr().out
    assert "**MISSED**" in (own_folder / "recipes/mine/README.md").read_text()


def test_fewer_epochs_are_partial_and_never_replace_a_complete_result(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce("trainer.max_epochs=1") == 1
    assert "1 of 2 targets met, 1 not reached (partial run)" in capsys.readouterr().out
    assert kept(own_folder)["complete"] is False
    assert "(partial: 1 of 2 epochs, seed 0)" in (own_folder / "recipes/mine/README.md").read_text()
    assert reproduce() == 0
    assert kept(own_folder)["complete"] is True
    assert reproduce("trainer.max_epochs=1", "resume=never") == 1
    assert "holds a complete result, and this run is partial; the file stays as it is" in capsys.readouterr().out
    assert kept(own_folder)["complete"] is True


def test_a_run_of_an_earlier_version_is_compared(own_folder: Path) -> None:
    assert reproduce() == 0
    [path] = (own_folder / "runs/mine").glob("*/run.json")
    record = json.loads(path.read_text())
    del record["settings"]["decoding"]["beam_width"]  # which it did not know
    path.write_text(json.dumps(record))
    (own_folder / "recipes/mine/results/plain-torch-seed0.json").unlink()
    assert reproduce() == 0
    assert kept(own_folder).get("deviations", {}) == {}
    assert "beam_width" not in kept(own_folder)["samples"][0]["settings"]
    targets = own_folder / "recipes/mine/targets.yaml"
    targets.write_text(targets.read_text().replace("    title: The plain model\n", "    title: The plain model\n    quotes: false\n"))
    assert reproduce() == 0
    assert kept(own_folder)["samples"] == [] and "What it writes" not in (own_folder / "recipes/mine/README.md").read_text()


def test_other_settings_are_not_compared(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce("model.layers.gru.units=4", "backend.threads=1", "seed=3", "trainer.max_epochs=3") == 0
    out = capsys.readouterr().out
    assert "nothing is compared: this run has other settings than the publication (model.layers.gru.units=4, trainer.max_epochs=3)" in out
    assert not (own_folder / "recipes/mine/results").exists()
    [run] = (own_folder / "runs/mine").iterdir()
    assert "Nothing is compared" in (run / "report.md").read_text()
    assert json.loads((run / "reproduction.json").read_text())["deviations"] == {
        "model.layers.gru.units": 4,
        "trainer.max_epochs": 3,
    }


def test_a_variant_brings_its_own_settings(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce("--variant", "held_out") == 0
    assert "nothing is published to compare with" in capsys.readouterr().out
    result = read_result(own_folder / "recipes/mine/results/held_out-torch-seed0.json")
    assert result.samples[0].model == "best"
    values = {epoch.epoch: epoch.values["val_loss"] for epoch in result.epochs}
    best = min(values, key=lambda epoch: values[epoch])
    assert (result.figures["best_epoch"], result.figures["best_val_loss"]) == (best, values[best])
    assert result.samples[0].step == 6 * best
    assert "Best on the text held out: " in (own_folder / "recipes/mine/README.md").read_text()


def test_an_experiment_is_run_by_its_name_and_kept_beside_what_it_changes(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = (
        "  wider:\n    title: Wider\n    recipe: mine\n    baseline: plain\n    overrides: [data.shuffle_buffer=3, trainer.max_epochs=1]\n"
    )
    (own_folder / "recipes/mine/targets.yaml").write_text(TARGETS + changed)
    assert reproduce("--variant", "wider") == 0
    assert "nothing is published to compare with" in capsys.readouterr().out
    result = read_result(own_folder / "recipes/mine/results/wider-torch-seed0.json")
    assert (result.complete, len(result.epochs), result.deviations) == (True, 1, {})
    page = (own_folder / "recipes/mine/README.md").read_text()
    assert "An experiment: *The plain model* with `data.shuffle_buffer=3`, `trainer.max_epochs=1`." in page
    assert not (own_folder / "recipes/mine/results/wider.png").exists()


def test_tables_are_written_from_results_alone(own_folder: Path) -> None:
    assert reproduce() == 0
    readme = own_folder / "recipes/mine/README.md"
    before = readme.read_text()
    readme.write_text(README)
    code = "import sys; from framework.cli.main import main; code = main(sys.argv[1:]); print(code, *sys.modules)"
    words = ["reproduce", "recipe=mine", "--from-results"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == f"wrote {readme}"
    code_and_modules = done.stdout.splitlines()[-1].split()
    assert code_and_modules[0] == "0"
    assert not {"torch", "tensorflow", "mlflow"} & set(code_and_modules)
    assert readme.read_text() == before


@pytest.mark.slow
def test_a_stopped_run_is_kept_as_partial(own_folder: Path) -> None:
    (own_folder / "configs/recipe/mine.yaml").write_text(RECIPE.replace("max_epochs: 2", "max_epochs: 100000"))
    words = [sys.executable, "-m", "framework", "reproduce", "recipe=mine", "tracking=none"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(own_folder.glob("runs/mine/*/samples/epoch-0001.txt")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert kept(own_folder)["complete"] is False


@pytest.mark.slow
def test_seeds_give_mean_and_spread(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce("--seeds", "2") == 0
    seeds = [read_result(path).seed for path in sorted((own_folder / "recipes/mine/results").glob("*.json"))]
    assert seeds == [0, 1]
    readme = (own_folder / "recipes/mine/README.md").read_text()
    assert "PyTorch Lightning (2 seeds)" in readme
    assert " ± " in readme
    out = capsys.readouterr().out
    assert "| figure | published | counts as reproduced | over 2 seeds | verdict |" in out
    line = re.search(r"^\| loss, epoch 2 \| 2.50 \| 1 to 9 \| [\d.]+ ± [\d.]+ \| met \|$", out, re.MULTILINE)
    assert line is not None
    [report] = (own_folder / "runs/.multirun").glob("*/report.md")
    assert line[0] in report.read_text()


@pytest.mark.slow
def test_mlflow_has_the_verdicts(own_folder: Path) -> None:
    from mlflow import MlflowClient

    assert main(["reproduce", "recipe=mine", "tracking.system_metrics=false"]) == 0
    client = MlflowClient(f"sqlite:///{own_folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["gatework.reproduction"] == "2 of 2 targets met"
    assert "| loss, epoch 2 | 2.50 | 1 to 9 |" in run.data.tags["mlflow.note.content"]
    assert {"report.md", "reproduction.json"} <= {file.path for file in client.list_artifacts(run.info.run_id)}
    assert "plots/published.png" in {file.path for file in client.list_artifacts(run.info.run_id, "plots")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["recipe=mine", "--seeds", "0"], "error: --seeds is 0; expected at least 1\n"),
        (["recipe=mine", "--seeds", "2", "name=it"], "error: name=… names one run, and --seeds makes several; leave it out\n"),
        (
            ["recipe=mine", "--variant", "heldout"],
            "has no variant 'heldout' in {0}/recipes/mine/targets.yaml\n    expected: one of plain, held_out\n    did you mean: held_out\n",
        ),
        (["recipe=main"], "did you mean: mine"),
        (["recipe=mine", "--seeds", "2", "seed=many"], "seed: value not accepted"),
        (["recipe=mine", "--recipes-dir", "recipe"], "error: no folder of recipes 'recipe'; --recipes-dir names an existing folder\n"),
        (["recipe=text_generation", "--from-results"], "is the installed recipe; --recipes-dir names"),
        (["recipe=mine", "--variants", "plain"], "did you mean --variant?"),
    ],
)
def test_wrong_words_get_one_message(words: list[str], message: str, own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["reproduce", *words])
    except SystemExit as ended:
        code = int(str(ended.code))
    assert code == 2
    assert message.format(own_folder) in capsys.readouterr().err


def test_a_recipe_without_published_figures_says_so(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_folder / "recipes/mine/targets.yaml").unlink()
    assert main(["reproduce", "recipe=mine"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: there are no published figures for recipe 'mine': no variant in recipes/NAME/targets.yaml"
    )


def test_a_readme_without_a_place_loses_nothing(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_folder / "recipes/mine/README.md").write_text("# Mine\n")
    assert reproduce() == 0
    assert kept(own_folder)["complete"] is True
    assert "README.md has no place for results" in capsys.readouterr().out
    assert (own_folder / "recipes/mine/README.md").read_text() == "# Mine\n"


def test_a_shorter_run_never_replaces_a_longer_one(own_folder: Path) -> None:
    from framework.engine.compare.results import write_result

    assert reproduce() == 0
    whole = read_result(own_folder / "recipes/mine/results/plain-torch-seed0.json")
    two = whole.model_copy(update={"complete": False, "epochs_wanted": 9})
    one = two.model_copy(update={"epochs": two.epochs[:1]})
    folder = own_folder / "elsewhere"
    path = write_result(folder, one)
    assert write_result(folder, two) == path
    with pytest.raises(RunError, match="holds a longer result"):
        write_result(folder, one)
    assert read_result(path) == two


def test_a_run_with_other_settings_does_not_belong_among_results(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce("model.layers.gru.units=4") == 0
    [run] = (own_folder / "runs/mine").iterdir()
    results = own_folder / "recipes/mine/results"
    results.mkdir()
    (results / "plain-torch-seed0.json").write_bytes((run / "reproduction.json").read_bytes())
    assert main(["reproduce", "recipe=mine", "--from-results"]) == 2
    assert "is of a run with other settings (model.layers.gru.units); it does not belong here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"), [("parity", "is no comparison of both backends"), ("benchmarks/step", "is no result of a benchmark")]
)
def test_other_damaged_files_are_named(name: str, message: str, own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = own_folder / "recipes/mine/results" / f"{name}.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"rows": 3}')
    assert main(["reproduce", "recipe=mine", "--from-results"]) == 2
    assert f"{path} {message}" in capsys.readouterr().err


def test_what_is_not_measured_any_more_is_not_shown(own_folder: Path) -> None:
    page = own_folder / "recipes/mine/README.md"
    page.write_text(README + "<!-- parity: begin (gatework reproduce --from-results) -->\nold\n<!-- parity: end -->\n")
    assert main(["reproduce", "recipe=mine", "--from-results"]) == 0
    assert "-->\nNot measured yet.\n<!-- parity: end -->" in page.read_text()


def test_shipped_figures_are_compared_with_shipped_settings(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hidden = own_folder / "configs/optimizer/adam.yaml"
    hidden.parent.mkdir(parents=True)
    hidden.write_text("kind: adam\nlearning_rate: 0.5\n")
    words = ["recipe=text_generation", "data=text", "data.path=my.txt", "debug=small", "tracking=none"]
    assert main(["reproduce", *words]) == 0
    assert "optimizer.learning_rate=0.5" in capsys.readouterr().out


def test_a_damaged_result_is_named(own_folder: Path) -> None:
    path = own_folder / "recipes/mine/results/plain-torch-seed0.json"
    path.parent.mkdir()
    path.write_text('{"format": 2, "variant": "plain"}')
    with pytest.raises(SpecError, match=r"plain-torch-seed0\.json is no result of a reproduction") as raised:
        read_result(path)
    assert "format: value not accepted" in str(raised.value)
