"""Scripts that people run by hand say what they do, and tables in the README are those that the tool writes."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from framework.errors import GateworkError, InputError

ROOT = Path(__file__).parents[2]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_tables_in_the_readme_are_current() -> None:
    done = run("scripts/write_tables", "--check")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Modules of ``scripts`` by name."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module


def test_more_than_a_machine_can_do_is_no_figure(scripts: Any) -> None:
    product = scripts("benchmarks.product")
    assert product.share("it", 0.5, 1.0) == "50%"
    assert product.share("it", 1.04, 1.0) == "104%", "the clock's noise"
    with pytest.raises(GateworkError, match=r"it took 1000.000 ms, 442% of what its matrix products alone allow \(4420.000 ms\)") as caught:
        product.share("it", 4.42, 1.0)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("subject", ["gru", "generate"])
def test_a_benchmark_that_is_beyond_its_limit_fails(
    scripts: Any, subject: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark, module = scripts("benchmark"), scripts(f"benchmarks.{subject}")
    monkeypatch.setattr(module, "limit_seconds", lambda products, dtype="float32": 10.0)
    monkeypatch.setattr(module, "in_turns", lambda contestants, rounds: dict.fromkeys(contestants, 5.0))
    if subject == "gru":
        monkeypatch.setattr(module, "contestants", lambda shape, dtype, with_variants: {"it": (None, None)}.items())
    else:
        monkeypatch.setattr(module, "WRITERS", {"torch": {module.OWN: lambda *_: None}})
        monkeypatch.setattr(module, "PRECISIONS", {"torch": ("float32",)})
        monkeypatch.setattr(module, "alone", lambda function, *given: function(*given))
        weights = {"logits/kernel": SimpleNamespace(shape=(2, 3))}
        trainee = SimpleNamespace(weights=lambda: weights)
        task = SimpleNamespace(predict=lambda model, rows, settings: [], input_example=lambda experiment: {})
        model = SimpleNamespace(experiment=None, trainee=trainee)
        monkeypatch.setattr("framework.engine.run.folder.find_run", lambda run, runs: tmp_path)
        monkeypatch.setattr("framework.engine.model.opening.open_model", lambda folder, backend, precision: model)
        monkeypatch.setattr("framework.engine.model.opening.trained_model", lambda folder: SimpleNamespace(weights=weights))
        monkeypatch.setattr("framework.tasks.known.task_of", lambda experiment: task)
    words = ["benchmark.py", subject, "--busy", "--json", str(tmp_path / "it.json")]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(benchmark, "require_quiet", lambda anyway: None)
    assert benchmark.main() == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and "measure again" in said.err
    assert not said.out and not (tmp_path / "it.json").exists()


def test_translations_are_counted_by_the_second(scripts: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    translate = scripts("benchmarks.translate")
    asked: list[Any] = []

    def predict(model: Any, rows: list[Any], settings: Any) -> None:
        asked.append((len(rows), settings["strategy"], settings.get("beam_width")))

    def timed(contestants: dict[str, Any], rounds: int) -> dict[str, float]:
        for call in contestants.values():
            call()
        return {"greedy": 5.0, "beam 5": 12.5}

    examples = [SimpleNamespace(inputs={"source": "uno"}), SimpleNamespace(inputs={"source": "dos"})]
    data = SimpleNamespace(examples={"validation": examples}, source="x")
    model = SimpleNamespace(experiment=SimpleNamespace(data=None, paths=None, seed=0))
    monkeypatch.setattr("framework.engine.run.folder.find_run", lambda run, runs: tmp_path)
    monkeypatch.setattr("framework.engine.model.opening.open_model", lambda folder, backend: model)
    monkeypatch.setattr("framework.tasks.known.task_of", lambda experiment: SimpleNamespace(predict=predict))
    monkeypatch.setattr("framework.data.prepare.prepare", lambda spec, paths, seed: data)
    monkeypatch.setattr(translate, "in_turns", timed)
    rows = translate.measure(SimpleNamespace(run="last", runs_dir="runs", only="torch", rounds=1))
    assert asked == [(1000, "greedy", None), (1000, "beam", 5)]
    found = [(row["search"], row["sentences a second"], row["× greedy's time"]) for row in rows]
    assert found == [("greedy", 200, 1.0), ("beam 5", 80, 2.5)]
    data.examples = {}
    with pytest.raises(GateworkError, match="has no sentences to translate; expected the run of a translator"):
        translate.measure(SimpleNamespace(run="last", runs_dir="runs", only="torch", rounds=1))


def test_the_products_of_a_layer_have_its_operations(scripts: Any) -> None:
    gru = scripts("benchmarks.gru")
    batch, time, features, units = 3, 5, 7, 11
    operations = {
        phase: sum(2 * one.rows * one.inner * one.columns * one.times for one in gru.products((batch, time, features, units), phase))
        for phase in ("forward", "training")
    }
    forward = 2 * batch * time * 3 * units * (features + units)
    of_the_first_state = 2 * batch * 3 * units * units
    assert operations == {"forward": forward, "training": 3 * forward - of_the_first_state}


STARTS_A_CHILD = """
import subprocess, sys, tempfile
sys.path.insert(0, "scripts")
from stopping import end_with_children
end_with_children()
with tempfile.TemporaryDirectory() as folder:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, folder, flush=True)
    child.wait()
"""


def test_a_script_that_is_asked_to_end_leaves_nothing_behind() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTS_A_CHILD], cwd=ROOT, stdout=subprocess.PIPE, text=True) as script:
        assert script.stdout is not None
        child, folder = script.stdout.readline().split()
        assert Path(folder).is_dir()
        script.terminate()
        assert script.wait(20) == 128 + signal.SIGTERM
    assert not Path(folder).exists()
    assert not psutil.pid_exists(int(child))


def test_what_is_measured_alone_has_a_process_of_its_own(scripts: Any, capfd: pytest.CaptureFixture[str]) -> None:
    alone = scripts("benchmarks.alone").alone
    assert alone(os.getpid) != os.getpid()
    with pytest.raises(GateworkError, match=r"ended without a figure \(_exit\)"):
        alone(os._exit, 3)


@pytest.mark.torch
def test_a_limit_is_measured_once_a_product_and_added_up(scripts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    product = scripts("benchmarks.product")
    monkeypatch.setattr(product, "alone", lambda function, *given: function(*given))
    for name, value in (("_SECONDS", 0.0), ("_ROUNDS", 3)):
        monkeypatch.setattr(product, name, value)
    found = product._measure([(4, 8, 16)], "float32")
    assert list(found) == [(4, 8, 16)] and 0 < found[4, 8, 16] < 1
    monkeypatch.setattr(product, "_measure", lambda shapes, dtype: {shape: float(shape[0]) for shape in shapes})
    assert product.limit_seconds([product.Product(2, 1, 1), product.Product(3, 1, 1, times=5), product.Product(2, 1, 1)]) == 2 + 15 + 2


SCENES = ["data=scenes", "data.max_images=200", "data.features.batch_size=8"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by their group")
def test_features_are_measured_and_a_kill_costs_a_batch_at_most(scripts: Any) -> None:
    [row] = scripts("benchmarks.features").measure(SimpleNamespace(overrides=SCENES))
    assert (row["features"], row["images"], row["a batch"]) == ("patches", 200, 8)
    assert row["images a second"] >= 200 / row["seconds"] > 0
    assert 5 < row["extractor MiB"] < 500 and 0 < row["above it MiB"] < 500
    assert 100 <= row["killed after images"] < 200 and row["killed after images"] % 8 == 0
    assert 0 <= row["computed twice"] <= 8 and row["differing"] == 0


SMALL_TEXT_MODEL = [
    "model.layers.embedding.output_dim=8",
    "model.layers.gru.units=16",
    "backend.tune=false",
    "trainer.sample_every_n_epochs=null",
]


@pytest.mark.slow
@pytest.mark.torch
def test_starts_on_a_short_and_a_long_text_are_measured(scripts: Any, shakespeare: Path) -> None:
    rows = scripts("benchmarks.corpus").measure(SimpleNamespace(overrides=SMALL_TEXT_MODEL, megabytes=40))
    assert [(row["text MB"], row["start"]) for row in rows] == [(size, start) for size in (1, 40) for start in ("first", "second")]
    assert all(0 < row["prepared after s"] < row["50 steps after s"] for row in rows)
    assert rows[1]["s above 1 MB's"] == rows[1]["MiB above 1 MB's"] == 0
    assert rows[3]["s above 1 MB's"] < rows[2]["s above 1 MB's"]
    assert all(row["own MiB"] - rows[1]["own MiB"] == row["MiB above 1 MB's"] < 300 for row in rows)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor has nothing to share")
def test_steps_of_two_processes_are_measured_beside_those_of_one(scripts: Any) -> None:
    arguments = SimpleNamespace(only="torch", rounds=1, recipe="text_generation", overrides=["data=python_source", *SMALL_TEXT_MODEL])
    alone, together = scripts("benchmarks.processes").measure(arguments)
    processors = len(os.sched_getaffinity(0))
    assert (alone["processes"], alone["threads each"], alone["× one process"]) == (1, processors, 1.0)
    assert (together["processes"], together["threads each"]) == (processors, 1)
    assert together["× one process"] == together["ms a step"] / alone["ms a step"] > 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by their group")
def test_images_that_are_computed_twice_or_differ_are_counted(scripts: Any, tmp_path: Path) -> None:
    extraction = scripts("benchmarks.extraction").Extraction
    words = [*SCENES[:1], "data.max_images=40", "data.features.batch_size=8"]
    one, other = extraction(words, tmp_path / "one"), extraction(words, tmp_path / "other")
    assert one.images == one.computed == 0
    one.finish(counted=True)
    other.finish()
    assert (one.images, one.computed, other.computed, one.differing(other)) == (40, 40, 0, 0)
    [index], [values] = one._files("index"), one._files("values")
    os.truncate(index, 24 * 32)
    assert one.images == 24
    one.finish(counted=True)
    assert (one.images, one.computed, one.differing(other)) == (40, 40 + 16, 0)
    content = bytearray(values.read_bytes())
    content[-1] ^= 1
    values.write_bytes(content)
    assert one.differing(other) == 1
    os.truncate(index, 39 * 32)
    os.truncate(values, len(content) // 40 * 39)
    assert one.differing(other) == 1, "an image that one of them lacks"
    with pytest.raises(InputError, match=r"data: no data 'scene'\n(.*\n)+ +did you mean: scenes"):
        extraction(["data=scene"], tmp_path / "no").finish()


_HOLDS = """
import mmap, subprocess, sys
size = 64 * 2**20
if sys.argv[1:]:
    child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=sys.stdin, stdout=subprocess.PIPE)
    child.stdout.readline()
    with open(sys.argv[2], "rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    assert sum(mapped[::4096]) == 0
else:
    gone = b"x" * size
    del gone
    held = b"x" * (size // 2)
print("ready", flush=True)
sys.stdin.read()
if sys.argv[1:]:
    child.wait()
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="elsewhere what a process alone has of a file counts")
def test_memory_is_that_of_all_processes_without_mapped_files(scripts: Any, tmp_path: Path) -> None:
    mebibyte = 2**20
    (tmp_path / "mapped").write_bytes(bytes(64 * mebibyte))
    command = [sys.executable, "-c", _HOLDS, _HOLDS, str(tmp_path / "mapped")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        held = scripts("benchmarks.own_memory").OwnMemory(process.pid)
        assert 32 * mebibyte < held.now() < 60 * mebibyte
        assert 64 * mebibyte < held.peak() < 112 * mebibyte, "what the child held before it was looked at"
    assert held.now() == 0 and held.peak() > 64 * mebibyte


@pytest.mark.slow
@pytest.mark.torch
def test_a_layer_is_measured_beside_its_own_products(tmp_path: Path) -> None:
    words = [
        "--busy",
        "--only",
        "gatework torch,torch.nn.GRU",
        "--rounds",
        "1",
        "--shapes",
        "2,3,8,16",
        "--json",
        str(tmp_path / "it.json"),
    ]
    done = run("scripts/benchmark.py", "gru", *words)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "it.json").read_text())["rows"]
    assert [(row["phase"], row["layer"]) for row in rows[::2]] == [("training", "gatework torch"), ("forward", "gatework torch")]
    assert all(0 <= int(row["matrix products alone"].rstrip("%")) <= 105 for row in rows)


LINES = "".join(f"{one} {other}\t{other} {one}\n" for one in ("gate", "state", "cell") for other in ("reset", "update", "hidden", "new"))

SMALL = {
    "text_generation": ["data=python_source", "data.batch_size=2", "data.sequence_length=8", "model.layers.gru.units=4"],
    "translation": [
        "data=parallel_text",
        "data.batch_size=2",
        "model.layers.encoder.units=4",
        "model.layers.decoder.cell.units=4",
        "model.layers.decoder.attention.units=4",
    ],
    "captioning": ["data=scenes", "data.max_images=60", "data.batch_size=2", "model.layers.decoder.cell.units=4"],
}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("recipe", SMALL)
def test_a_training_step_is_measured_against_a_plain_loop(tmp_path: Path, recipe: str) -> None:
    (tmp_path / "pairs.tsv").write_text(LINES)
    own = {"translation": f"data.path={tmp_path / 'pairs.tsv'}", "captioning": f"paths.cache_dir={tmp_path}"}
    settings = [*SMALL[recipe], *([own[recipe]] if recipe in own else [])]
    words = ["--recipe", recipe, *(word for setting in settings for word in ("--set", setting))]
    done = run("scripts/benchmark.py", "step", "--busy", "--only", "torch", "--json", str(tmp_path / "it.json"), *words)
    assert done.returncode == 0, done.stderr
    [row] = json.loads((tmp_path / "it.json").read_text())["rows"]
    low, high = (float(one) for one in row["95 % interval"].split(" to "))
    assert row["pairs"] == 30
    assert 0 < low <= row["ratio"] <= high
    assert row["gatework first s"] > 0 and 0 < row["products alone ms"] <= 1.05 * row["gatework ms"]
    assert "| torch | 30 | torch |" in done.stdout


def test_medians_are_of_each_figure(scripts: Any) -> None:
    runs = [
        [{"layer": "a", "ms": 3.0, "share": "70%", "of": None}, {"layer": "b", "ms": 1.0, "share": "9%", "of": 2.0}],
        [{"layer": "a", "ms": 1.0, "share": "90%", "of": None}, {"layer": "b", "ms": 5.0, "share": "7%", "of": 1.0}],
        [{"layer": "a", "ms": 2.0, "share": "80%", "of": None}, {"layer": "b", "ms": 3.0, "share": "8%", "of": 9.0}],
    ]
    expected = [{"layer": "a", "ms": 2.0, "share": "80%", "of": None}, {"layer": "b", "ms": 3.0, "share": "8%", "of": 2.0}]
    assert scripts("benchmarks.medians").medians(runs) == expected


def test_the_work_that_costs_are_held_against_is_that_of_the_products(scripts: Any) -> None:
    cost, gru = scripts("benchmarks.cost"), scripts("benchmarks.gru")
    shape = (3, 5, 7, 11)
    made = sum(one.rows * one.inner * one.columns * one.times for one in gru.products(shape, "training"))
    of_the_first_state = 3 * 3 * 11 * 11
    assert cost.work(shape) == made + of_the_first_state


def test_costs_are_a_row_for_each_size_and_drawn(scripts: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cost = scripts("benchmarks.cost")
    monkeypatch.setattr(cost, "CHANGED", {"time": (2, 4), "units": (3, 6)})
    monkeypatch.setattr(cost, "contestants", lambda shape, *_: {"gatework torch": (lambda: None, None)})
    monkeypatch.setattr(cost, "in_turns", lambda steps, rounds: {name: float(name) for name in steps})
    monkeypatch.setattr(cost, "first_call", lambda make, shape, *_: SimpleNamespace(grown=float(shape[1])))
    rows = cost.measure(SimpleNamespace(only="gatework torch", rounds=1))
    told = [(row["changed"], row["to"], row["ms"], row["MiB"], row["ms grew"]) for row in rows]
    assert told == [("time", 2, 2e3, 2, None), ("time", 4, 4e3, 4, 2.0), ("units", 3, 3e3, 100, None), ("units", 6, 6e3, 100, 2.0)]
    assert rows[1]["work grew"] == 2.0
    cost.draw(rows, tmp_path / "cost.png")
    assert (tmp_path / "cost.png").read_bytes().startswith(b"\x89PNG")
