"""A model that translates word by word, with a processor of a handful of words: what it gives can be told in advance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from attention_models import translation

from framework.builder.planner import plan_model
from framework.decoding.stepper import State, Stepped
from framework.errors import DataError
from framework.spec.validate import validate_experiment
from framework.tasks.model import Model

PAD, START, END, UNKNOWN = 0, 1, 2, 3
SPANISH = ("<pad>", "<start>", "<end>", "[UNK]", "hola", "mundo", "casa", "rojo", "la")
ENGLISH = ("<pad>", "<start>", "<end>", "[UNK]", "hello", "world", "house", "red", "the", "a", "an")


@dataclass(frozen=True)
class Words:
    """Cleaning lowers and sets punctuation apart; words are what stands between spaces."""

    sizes: Mapping[str, int] = field(default_factory=lambda: {"source": len(SPANISH), "target": len(ENGLISH)})
    banned: tuple[int, ...] = (PAD, START, UNKNOWN)
    start_id: int = START
    end_id: int = END
    unknown_id: int | None = UNKNOWN

    def source_tokens(self, text: str) -> list[str]:
        return text.lower().replace(".", " . ").split()

    def encode_source(self, texts: Sequence[str]) -> np.ndarray:
        if any("forbidden" in text for text in texts):
            raise DataError("the vocabulary lacks the word 'forbidden'")
        numbers = [[SPANISH.index(word) if word in SPANISH else UNKNOWN for word in self.source_tokens(text)] for text in texts]
        rows = np.zeros((len(texts), max(map(len, numbers)) + 2), np.int32)
        for row, one in zip(rows, numbers, strict=True):
            row[: len(one) + 2] = [START, *one, END]
        return rows

    def target_tokens(self, ids: Iterable[int]) -> list[str]:
        return [ENGLISH[number] for number in ids]

    def decode_target(self, ids: Iterable[int]) -> str:
        kept: list[str] = []
        for number in ids:
            if number == END:
                break
            kept.append(ENGLISH[number])
        return " ".join(kept)

    def clean_target(self, text: str) -> str:
        return " ".join(text.lower().replace(".", " . ").split())

    def save(self, folder: Path) -> None: ...


class WordByWord:
    """Attends to one source place after the other, and writes the word of the same number; the end for the end."""

    def __init__(self, attending: bool = True) -> None:
        self.attending = attending
        self.started: list[tuple[int, ...]] = []

    def stepper(self, decoded: str, precision: str) -> WordByWord:
        assert decoded == "target"
        return self

    def start(self, inputs: Mapping[str, np.ndarray], rows: int) -> State:
        self.started.append(inputs["source"].shape)
        return State({"source": inputs["source"]}, {"step": np.zeros(rows, np.int64)}, rows)

    def step(self, tokens: np.ndarray, state: State) -> Stepped:
        source = np.repeat(state.constant["source"], state.width, axis=0)
        rows = np.arange(state.rows)
        places = np.minimum(state.carried["step"] + 1, source.shape[1] - 1)
        logits = np.tile(np.linspace(0, -1, len(ENGLISH), dtype=np.float32), (state.rows, 1))
        logits[rows, source[rows, places]] = 8
        attention = np.full(source.shape, 0.1 / (source.shape[1] - 1), np.float32)
        attention[rows, places] = 0.9
        watched = {"decoder": attention} if self.attending else {}
        return Stepped(logits, State(state.constant, {"step": state.carried["step"] + 1}, state.rows, state.width), watched)

    def select(self, state: State, rows: np.ndarray, width: int = 1) -> State:
        return state.select(rows, width, lambda value, chosen: value[chosen])


def experiment(model: Mapping[str, Any] | None = None, **changes: Any) -> Any:
    """A config of the task; of a model whose numbers of tokens are those of :class:`Words`."""
    mapping = {
        "recipe": "mine",
        "data": {"kind": "text", "path": "my.txt"},
        "task": {"kind": "translation"},
        "optimizer": {"kind": "adam"},
        "model": model or translation(),
        "decoding": {"strategy": "greedy"},
        **changes,
    }
    return validate_experiment(mapping)


def word_by_word(attending: bool = True, **changes: Any) -> Model:
    """A trained model, as it were."""
    config = experiment(**changes)
    return Model(config, plan_model(config.model, 0), Words(), WordByWord(attending), "target")  # type: ignore[arg-type]
