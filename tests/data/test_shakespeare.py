"""The tutorial's own text and the tutorial's own numbers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from framework.data.limit import limit
from framework.data.prepare import prepare
from framework.data.prepared import PreparedData
from framework.data.windows import ContiguousWindows, ShuffledWindows
from framework.spec.data import TextDataSpec
from framework.spec.experiment import PathsSpec

FILE = Path(os.environ.get("GATEWORK_DATA", "")) / "text_generation" / "shakespeare.txt"
pytestmark = pytest.mark.skipif(
    not ("GATEWORK_DATA" in os.environ and FILE.is_file()), reason="set GATEWORK_DATA to a folder with text_generation/shakespeare.txt"
)
CONFIG = Path(__file__).parents[2] / "configs" / "data" / "shakespeare.yaml"


def shakespeare(**changes: Any) -> PreparedData:
    return prepare(TextDataSpec.model_validate(yaml.safe_load(CONFIG.read_text()) | changes), PathsSpec(), 0)


def test_numbers_of_the_tutorial() -> None:
    data = shakespeare()
    text = FILE.read_text(encoding="utf-8")
    assert data.sizes == {"tokens": 65}
    assert data.tokens == len(text) == 1_115_394
    assert data.source == str(FILE)
    assert data.processor.vocabulary.tokens == tuple(sorted(set(text)))
    assert data.processor.vocabulary.encode("\n !z").tolist() == [0, 1, 2, 64]
    assert data.processor.vocabulary.encode("First Citizen").tolist() == [18, 47, 56, 57, 58, 1, 15, 47, 58, 47, 64, 43, 52]
    assert isinstance(data.train, ShuffledWindows)
    assert data.train.windows == 11_043
    assert data.train.steps == 172
    assert data.train.stream.dtype == np.uint8
    assert data.processor.vocabulary.decode(data.train.stream) == text


def test_an_epoch_is_172_batches_of_the_texts_own_chunks() -> None:
    data = shakespeare()
    text = FILE.read_text(encoding="utf-8")
    chunks = {text[start : start + 101] for start in range(0, len(text) - 100, 101)}
    batches = list(data.train.epoch(0))
    assert len(batches) == 172
    assert {batch.targets.shape for batch in batches} == {(64, 100)}
    for batch in batches[::20]:
        for row, target in zip(batch.inputs["tokens"], batch.targets, strict=True):
            assert data.processor.vocabulary.decode([*row, target[-1]]) in chunks
    assert limit(data.train, 5).steps == 5


def test_the_later_tutorial_puts_the_unknown_token_first() -> None:
    data = shakespeare(unknown="replace")
    assert data.sizes == {"tokens": 66}
    assert data.processor.vocabulary.tokens[:3] == ("[UNK]", "\n", " ")
    assert data.processor.vocabulary.encode("z€").tolist() == [65, 0]


def test_the_usual_split_is_the_last_tenth() -> None:
    data = shakespeare(validation_fraction=0.1)
    assert isinstance(data.validation, ShuffledWindows) and isinstance(data.train, ShuffledWindows)
    assert (data.train.stream.size, data.validation.stream.size) == (1_003_854, 111_540)


def test_contiguous_batches() -> None:
    data = shakespeare(order="contiguous")
    assert isinstance(data.train, ContiguousWindows)
    assert data.train.steps == 1_115_393 // 6_400 == 174
