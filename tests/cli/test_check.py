"""Check tells everything at once: what is wrong in the YAML, in what it is put together from, and in the files that it names."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from framework.cli.main import main
from framework.config.compose import compose

HEAD = "# @package _global_\ndefaults:\n  - text_generation\n  - override /data: text\n  - _self_\n"
Check = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "recipe").mkdir(parents=True)
    (tmp_path / "my.txt").write_text("abcd" * 5000)
    return tmp_path


@pytest.fixture
def check(folder: Path, capsys: pytest.CaptureFixture[str]) -> Check:
    """Writes a recipe and returns what check says of it; nothing where it is valid."""

    def run(text: str | bytes, *words: str) -> str:
        content = text if isinstance(text, bytes) else (HEAD + "data: {path: my.txt}\n" * ("data" not in text) + text).encode()
        (folder / "configs" / "recipe" / "mine.yaml").write_bytes(content)
        code = main(["check", "recipe=mine", *words])
        captured = capsys.readouterr()
        assert code == (2 if captured.err else 0)
        assert "Traceback" not in captured.err
        return captured.err

    return run


def test_an_interpolation_hides_nothing_else(check: Check) -> None:
    told = check("seed: ${nothing}\ntrainer: {max_epochs: 0, max_epoch: 3}\nmodel: {layers: {gru: {units: -4}}}\ndata: {path: none.txt}\n")
    assert "5 problems in the config" in told
    for path, line in {
        "seed: there is no key 'nothing'": 6,
        "model.layers.gru.units: value not accepted": 8,
        "trainer.max_epochs: value not accepted": 7,
        "trainer.max_epoch: unknown key": 7,
        "data.path: 'none.txt' does not exist": 9,
    }.items():
        assert f"set in: configs/recipe/mine.yaml:{line}\n" in told.partition(path)[2].partition("\n  ")[2].split("  data")[0] + "\n"
        assert path in told


def test_what_depends_on_an_unknown_value_is_not_told(check: Check) -> None:
    told = check("model:\n  layers:\n    logits: {inputs: '${nothing}'}\n    gru: {units: 0}\n")
    assert "2 problems in the config" in told
    assert "nothing reads this layer" not in told


def test_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "recipe=text_generation", "data=text", "data.path=none.txt", "seed=-1", "--json"]) == 2
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [problem["path"] for problem in problems] == ["seed", "data.path"]
    assert problems[1]["origin"]["source"] == "override `data.path=none.txt`"


DATA: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "data.path: 'text.txt' does not exist"),
    "empty": (b"", "the text is empty"),
    "nothing but a mark": (b"\xef\xbb\xbf", "the text is empty"),
    "binary": (b"\x7fELF" + bytes(range(256)) * 40, "is no utf-8 text: the byte at offset 4 is NUL"),
    "in another encoding": ("é".encode("latin-1") * 9000, "is no utf-8 text"),
    "short": (b"short", "the text is too short"),
    "binary and long": (b"text " * 10**6 + bytes(256), "is no utf-8 text: the byte at offset 5,000,000 is NUL"),
}


@pytest.mark.parametrize(("content", "says"), DATA.values(), ids=DATA.keys())
def test_the_text_that_is_named_is_looked_at(folder: Path, check: Check, content: bytes | None, says: str) -> None:
    if content is not None:
        (folder / "text.txt").write_bytes(content)
    if "5,000,000" in says:
        assert check("data: {path: text.txt}\n") == "", "a long text is looked at from its start alone"
        return
    told = check("seed: 1\ndata: {path: text.txt}\n")
    assert says in told
    assert "set in: " in told


def test_a_look_at_a_long_text_takes_no_time(folder: Path, check: Check) -> None:
    with (folder / "my.txt").open("wb") as file:
        file.truncate(2**34)  # 16 gigabytes of holes would be NUL
        file.seek(0)
        file.write(b"some text " * 10**6)
    started = time.process_time()
    assert check("") == ""
    assert time.process_time() - started < 2


@pytest.mark.parametrize("begin", ["\ufeff", "---\n", "\ufeff---\n", "%YAML 1.1\n---\n"], ids=["mark", "dashes", "both", "directive"])
def test_what_editors_put_before_a_recipe(folder: Path, check: Check, begin: str) -> None:
    text = begin + HEAD + "data: {path: my.txt}\nseed: 7\n"
    assert check(text.encode()) == ""
    assert compose(["recipe=mine"]).mapping["seed"] == 7
    told = check((begin + HEAD + "data: {path: my.txt}\nseed: -7\n").encode())
    assert f"configs/recipe/mine.yaml:{7 + begin.count(chr(10))}\n" in told


def test_the_package_may_stand_before_the_dashes(folder: Path, check: Check) -> None:
    assert check(HEAD.replace("defaults", "---\ndefaults", 1).encode() + b"data: {path: my.txt}\n") == ""


SURPRISES: dict[str, tuple[str, str]] = {
    "base 8": ("data: {path: my.txt, batch_size: 010}", "expected: 10 for the number, '010' in quotes for text"),
    "base 60": ("data: {path: my.txt, batch_size: 1:30}", "data.batch_size: value not accepted\n      value: '1:30'"),
    "infinite": ("optimizer: {learning_rate: .inf}", "optimizer.learning_rate: value not accepted\n      value: inf"),
    "infinite by its size": ("optimizer: {learning_rate: 1e999}", "optimizer.learning_rate: value not accepted\n      value: inf"),
    "no number": ("optimizer: {learning_rate: .nan}", "value: nan"),
    "on": ("on: 3", "unknown key 'on'"),
    "no": ("no: 3", "unknown key 'no'"),
    "true": ("true: 3", "unknown key 'true'"),
    "null": ("~: 3", "unknown key '~'"),
    "a number for a key": ("3: 3", "unknown key '3'"),
    "an empty key": ("'': 3", "'' is no key"),
    "a key with dots": ("trainer.max_epochs: 3", "unknown key 'trainer.max_epochs'"),
    "yes": ("data: {path: my.txt, drop_remainder: yes}", "did you mean: true"),
    "a number without digits": ("trainer: {max_epochs: 0x_}", "value: '0x_'"),
    "a day": ("trainer: {max_epochs: 2020-13-45}", "value: '2020-13-45'"),
    "many digits": (f"trainer: {{max_epochs: {'9' * 99}}}", "a number too large to count with"),
    "too many digits": (f"trainer: {{max_epochs: {'9' * 5000}}}", "a number of 5,000 characters"),
    "NUL": (r'decoding: {prompt: "a\0b"}', "the text holds the character NUL"),
    "half of a character": (r'decoding: {prompt: "\ud800"}', "YAML cannot be read"),
}


@pytest.mark.parametrize(("line", "says"), SURPRISES.values(), ids=SURPRISES.keys())
def test_what_yaml_may_mean_is_refused_or_taken_as_it_stands(check: Check, line: str, says: str) -> None:
    told = check(f"seed: 1\n{line}\n")
    assert says in told
    assert f"set in: configs/recipe/mine.yaml:{7 + ('data' not in line)}\n" in f"{told}\n"


def test_numbers_are_text_where_text_is_expected(folder: Path, check: Check) -> None:
    written = "name: 20240101\ntracking: {tags: {day: 1_000, version: 1.50, ratio: 1e3, flag: true}, experiment_name: 7}\n"
    assert check(written) == ""
    experiment = compose(["recipe=mine"]).experiment()
    assert experiment.name == "20240101"
    assert experiment.tracking.experiment_name == "7"
    assert experiment.tracking.tags == {"day": "1_000", "version": "1.50", "ratio": "1e3", "flag": "true"}
    words = ["recipe=mine", "name=2.50", "tracking.tags.day=1_000", "decoding.prompt=42"]
    experiment = compose(words).experiment()
    assert (experiment.name, experiment.tracking.tags["day"], experiment.decoding.prompt) == ("2.50", "1_000", "42")
    told = check("name: [1]\n")
    assert "name: value not accepted" in told


LAUGHS = "seed: 1\nx0: xxxxxxxxxx\n" + "".join(f"x{n}: '{''.join([f'${{x{n - 1}}}'] * 10)}'\n" for n in range(1, 10))
ITEM = "\n  - ${{x{}}}"
GROWING: dict[str, str] = {
    "texts": LAUGHS,
    "lists": "x0: [1, 1, 1, 1, 1]\n" + "".join(f"x{n}:{ITEM.format(n - 1) * 10}\n" for n in range(1, 10)),
    "by a resolver": LAUGHS.replace("${x", "${oc.select:x"),
    "by length": f"x0: '{'x' * 900_000}'\nx1: '{'${x0}' * 90}'\nx2: '{'${x1}' * 90}'\n",
}
GROWING_COSTS: dict[str, tuple[pytest.MarkDecorator, ...]] = {
    "texts": (),
    "lists": (),
    "by a resolver": (pytest.mark.slow,),
    "by length": (),
}


@pytest.mark.parametrize("text", [pytest.param(GROWING[name], id=name, marks=marks) for name, marks in GROWING_COSTS.items()])
def test_interpolations_that_grow_without_end(check: Check, text: str) -> None:
    started = time.process_time()
    told = check(text)
    assert "the interpolations stand for more than a config can hold" in told
    assert "set in: configs/recipe/mine.yaml:" in told
    assert time.process_time() - started < 10


def test_a_search_is_refused_for_text_that_is_written_as_it_comes(check: Check) -> None:
    told = check("", "decoding=beam")
    assert "decoding.strategy: a beam search is for models that read one sequence and write another" in told
    assert "expected: sample or greedy for task language_model" in told
