"""The task of translation: what it asks of a model, what it measures, and what it makes of sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from attention_models import translation
from tasks.word_by_word import WordByWord, experiment, word_by_word

from framework.backends.base.objective import Objective, Totals
from framework.builder.planner import plan_model
from framework.data.prepared import Example
from framework.decoding.stepper import State
from framework.errors import DataError, InputError
from framework.spec.problems import ProblemCollector
from framework.tasks import translating
from framework.tasks.known import task_of
from framework.tasks.translating import translate
from framework.tasks.translation import TranslationTask

TASK = TranslationTask()


def said(model: dict[str, Any], sizes: Mapping[str, int] | None = None) -> list[str]:
    config, collector = experiment(model), ProblemCollector()
    TASK.check(plan_model(config.model, 0), config, sizes or {}, collector)
    return [str(problem) for problem in collector.problems]


def renamed(model: dict[str, Any], **names: str) -> dict[str, Any]:
    for before, after in names.items():
        model["inputs"][after] = model["inputs"].pop(before)
        for layer in model["layers"].values():
            if layer.get("inputs") == before:
                layer["inputs"] = after
    return model


def test_a_model_that_fits_is_taken() -> None:
    assert said(translation(), {"source": 9, "target": 11}) == []
    assert task_of(experiment()).decoded(plan_model(experiment().model, 0)) == "target"


def test_a_model_that_does_not_fit_is_told_why() -> None:
    few = " ".join(said(translation(), {"source": 10, "target": 12}))
    assert "model.layers.source_embedding.input_dim: has no place for 10 tokens" in few
    assert "10, the number of source tokens; write it as ${size:source}" in few
    assert "model.layers.target_embedding.input_dim: has no place for 12 tokens" in few
    assert "model.layers.logits: gives 11 logits a step" in few
    other = " ".join(said(renamed(translation(), source="words")))
    assert "model.inputs.words: the data has no such input" in other
    assert "model.inputs: there is no input 'source'" in other
    numbers = translation()
    numbers["inputs"]["source"] = {"dtype": "float32", "shape": [None, 5]}
    numbers["layers"]["encoder"]["inputs"] = "source"
    del numbers["layers"]["source_embedding"]
    assert "model.inputs.source: is float32 with 2 axes" in " ".join(said(numbers))
    several = translation()
    several["outputs"] = {"output": "logits", "other": "decoder"}
    assert "model.outputs: several outputs" in " ".join(said(several))


def test_padding_that_is_read_as_words_is_told() -> None:
    def hints(masked: bool, pad_to: str) -> list[str]:
        model = translation()
        model["layers"]["source_embedding"]["mask_zero"] = masked
        config = experiment(model)
        config = config.model_copy(update={"data": config.data.model_copy(update={"pad_to": pad_to})})
        return TASK.hints(plan_model(config.model, 0), config)

    assert hints(True, "batch") == hints(False, "longest") == hints(True, "longest") == []
    [told] = hints(False, "batch")
    assert told.startswith("model.layers.source_embedding: padding is read as words (mask_zero: false)")
    assert told.endswith("set model.layers.source_embedding.mask_zero=true, or data.pad_to=longest")


def test_the_loss_is_as_the_settings_say() -> None:
    config = experiment(task={"kind": "translation", "normalization": "per_row", "label_smoothing": 0.1})
    assert TASK.objective(config) == Objective(normalization="per_row", label_smoothing=0.1)
    assert TASK.objective(experiment()) == Objective()


class Data:
    """What a task reads of prepared data."""

    def __init__(self, figures: Mapping[str, float], examples: Mapping[str, Any] | None = None) -> None:
        self.figures, self.examples = figures, examples or {}


def described(totals: Totals, **figures: float) -> dict[str, float]:
    return TASK.describe(totals, Data(figures))  # type: ignore[arg-type]


def test_metrics_by_hand() -> None:
    # 6 tokens in 2 rows, of which 3 were right; the tutorial divides what each row lost by 11 places, markers and padding included.
    totals = Totals({"loss": 6 * math.log(5), "correct": 3.0}, count=6.0, rows=2)
    found = described(totals, target_length=11.0)
    assert found.keys() == {"perplexity", "accuracy", "tutorial_loss"}
    assert math.isclose(found["perplexity"], 5)
    assert found["accuracy"] == 0.5
    assert math.isclose(found["tutorial_loss"], 3 * math.log(5) / 11)
    assert described(Totals({"loss": 1.0}, 2.0, 1)).keys() == {"perplexity"}


def test_sentences_are_translated_in_order_whatever_their_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translating, "ROWS", 2)
    model = word_by_word()
    sentences = ["hola", "la casa rojo", "Hola mundo", "la", "hola hola hola hola"]
    rows = TASK.predict(model, [{"source": one} for one in sentences], {})
    assert [row["translation"] for row in rows] == ["hello", "the house red", "hello world", "the", "hello hello hello hello"]
    assert model.trainee.started == [(2, 6), (2, 4), (1, 3)]  # type: ignore[attr-defined]
    for more in ({"beam_width": 3}, {"strategy": "sample", "temperature": 0.05}, {"strategy": "beam", "length_penalty": 1.0}):
        assert TASK.predict(model, [{"source": one} for one in sentences], more) == rows


def test_texts_without_a_word_are_translated_by_nothing() -> None:
    model = word_by_word()
    assert [row["translation"] for row in TASK.predict(model, [{"source": one} for one in ("", "la", "  ")], {})] == ["", "the", ""]
    assert model.trainee.started == [(1, 3)]  # type: ignore[attr-defined]
    assert [row["translation"] for row in TASK.predict(model, [{"source": ""}], {})] == [""]


def test_unknown_words_are_never_written_or_else_copied_from_the_source() -> None:
    model = word_by_word()
    (row,) = TASK.predict(model, [{"source": "la Zapatería roja"}], {})
    assert row["translation"].split()[0] == "the"
    assert "[UNK]" not in row["translation"]
    (best,) = translate(model, ["la Zapatería roja ."], model.decoding(replace_unknown=True))
    assert best[0].text == "the zapatería roja ."
    assert best[0].tokens == ("the", "zapatería", "roja", ".", "<end>")
    copying = word_by_word(decoding={"strategy": "beam", "replace_unknown": True})
    assert TASK.predict(copying, [{"source": "hola Juan"}], {}) == [{"translation": "hello juan"}]


def test_attention_is_given_for_each_word_and_marker() -> None:
    model = word_by_word()
    short, long = translate(model, ["la casa", "hola mundo rojo casa"], model.decoding(strategy="beam", n_best=2), watch=True)
    for found in (short[0], long[0]):
        attention = found.attention
        assert attention is not None
        assert attention.shape == (len(found.tokens), len(found.read))
        assert attention.argmax(axis=1).tolist() == list(range(1, len(found.tokens) + 1))
    assert short[0].read == ("<start>", "la", "casa", "<end>")
    assert short[0].tokens == ("the", "house", "<end>")
    assert len(short) == len(long) == 2
    assert short[0].score > short[1].score
    assert translate(model, ["la"], model.decoding())[0][0].attention is None


def test_lengths_are_by_the_source_unless_they_are_given() -> None:
    model = word_by_word()
    endless = WordByWord()
    endless.start = lambda inputs, rows: State({"source": np.full((rows, 99), 4)}, {"step": np.zeros(rows, np.int64)}, rows)  # type: ignore[method-assign]
    object.__setattr__(model, "trainee", endless)
    (best,) = translate(model, ["la casa"], model.decoding(), watch=False)
    assert (len(best[0].tokens), best[0].finished) == (2 * 2 + 10, False)
    (best,) = translate(model, ["la casa"], model.decoding(max_length=3))
    assert best[0].text == "hello hello hello"


def test_what_needs_attention_says_so() -> None:
    blind = word_by_word(attending=False)
    assert TASK.predict(blind, [{"source": "la casa"}], {}) == [{"translation": "the house"}]
    with pytest.raises(InputError, match="replace_unknown copies the source word with the most attention, and this model has no attention"):
        translate(blind, ["la"], blind.decoding(replace_unknown=True))
    with pytest.raises(InputError, match="this model has none; set coverage_penalty=0"):
        TASK.predict(blind, [{"source": "la"}], {"coverage_penalty": 0.2})


def test_wrong_rows_and_settings_are_refused() -> None:
    model = word_by_word()
    with pytest.raises(InputError, match="row 1 has no 'source'; it has 'sorce'"):
        TASK.predict(model, [{"sorce": "la"}], {})
    with pytest.raises(InputError, match="beam_width"):
        TASK.predict(model, [{"source": "la"}], {"beam_width": 0})
    with pytest.raises(DataError, match="lacks the word 'forbidden'"):
        TASK.predict(model, [{"source": "la"}, {"source": "forbidden"}], {})


def test_samples_show_held_out_sentences_with_the_right_ones() -> None:
    examples = [Example({"source": text}, (right,)) for text, right in (("la casa", "the house"), ("hola", "good day"), ("rojo", "red"))]
    shown = TASK.sample(word_by_word(), Data({}, {"train": examples, "validation": examples[:2]}))  # type: ignore[arg-type]
    assert shown == (
        "source:      la casa\ntranslation: the house\nreference:   the house\n\n"
        "source:      hola\ntranslation: hello\nreference:   good day"
    )
    assert TASK.sample(word_by_word(), Data({}, {"train": examples})) is not None  # type: ignore[arg-type]
    assert TASK.sample(word_by_word(), Data({})) is None  # type: ignore[arg-type]


def test_scores_are_of_running_and_of_cleaned_text() -> None:
    model = word_by_word()
    scores = TASK.score(model, [{"translation": "the red house is here ."}], [["The red house is here.", "Here it is."]])
    assert scores.keys() == {"bleu", "chrf", "tokenized_bleu"}
    assert math.isclose(scores["bleu"].value, 100)
    assert math.isclose(scores["tokenized_bleu"].value, 100)
    assert 0 < scores["chrf"].value <= 100
    assert "tok:13a" in scores["bleu"].signature and "tok:none" in scores["tokenized_bleu"].signature
    assert TASK.scores and not task_of(experiment(task={"kind": "language_model"})).scores
