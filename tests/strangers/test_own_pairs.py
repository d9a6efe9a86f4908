"""Somebody's own two languages, with YAML that `gatework new` wrote and no Python: trained, evaluated and translated on both backends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from framework.cli.main import main

BACKENDS = [pytest.param("torch", marks=pytest.mark.torch), pytest.param("tensorflow", marks=[pytest.mark.tensorflow, pytest.mark.slow])]
PARTS = {"train": 600, "val": 60, "test": 60}
NUMBERS = {"один": "bir", "два": "iki", "три": "üç", "четыре": "dört", "пять": "beş"}
THINGS = {"дом": "ev", "кот": "kedi", "стол": "masa", "цветок": "çiçek", "человек": "adam"}
"""Russian and Turkish; what is counted comes after its number in both."""


def sentence(number: int) -> tuple[str, str]:
    one, other = list(NUMBERS)[number % 5], list(THINGS)[number // 5 % 5]
    extra, counted = list(NUMBERS)[number // 25 % 5], list(THINGS)[number // 125 % 5]
    source, target = f"{one} {other}, {extra} {counted}.", f"{NUMBERS[one]} {THINGS[other]}, {NUMBERS[extra]} {THINGS[counted]}."
    return source.capitalize(), target


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with six files of lines."""
    monkeypatch.chdir(tmp_path)
    begin = 0
    order = [number * 217 % 625 for number in range(625)]
    for part, count in PARTS.items():
        pairs = [sentence(order[number % 625]) for number in range(begin, begin + count)]
        begin += count
        for name, lines in zip(("ru", "tr"), zip(*pairs, strict=True), strict=True):
            (tmp_path / f"{part}.{name}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return tmp_path


def edited(path: Path, **changes: str) -> None:
    """The file with other values, as one changes them in an editor."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for key, value in changes.items():
        [place] = [number for number, line in enumerate(lines) if line.lstrip().startswith(f"{key}:") and not line.startswith("#")][:1]
        indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
        lines[place] = f"{indent}{key}: {value}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("backend", BACKENDS)
def test_own_pairs(backend: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "mine", "--from", "translation"]) == 0
    files = {part: f"{{source_path: {part}.ru, target_path: {part}.tr}}" for part in ("val", "test")}
    edited(
        folder / "configs/data/mine.yaml", source_path="train.ru", target_path="train.tr", validation=files["val"], test=files["test"],
        validation_fraction="0.0", test_fraction="0.0", batch_size="20",
    )  # fmt: skip
    edited(folder / "configs/model/mine.yaml", output_dim="16", attention="{kind: additive, units: 32}", carry_state="true")
    words = ["recipe=mine", "paths.cache_dir=cache", "tracking=none"]
    small = ["model.layers.encoder.units=48", "model.layers.decoder.cell.units=48", "model.layers.target_embedding.output_dim=16"]
    assert main(["check", *words]) == 0
    train = ["train", *words, *small, f"backend={backend}", "optimizer.learning_rate=0.01", "trainer.max_epochs=8", "name=own"]
    assert main(train) == 0
    capsys.readouterr()
    assert main(["evaluate", "own", "--split", "test", "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["bleu"] > 90 and measured["accuracy"] > 0.95, "the languages have one word for each of the other"
    assert main(["translate", "own", "Два цветок, пять человек."]) == 0
    assert capsys.readouterr().out == "iki çiçek , beş adam .\n"
