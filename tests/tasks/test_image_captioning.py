"""The task of captioning: what it asks of a model, what it measures, and what it makes of images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tasks.word_by_word import Words

from framework.backends.base.objective import Objective
from framework.builder.planner import plan_model
from framework.decoding.stepper import State, Stepped
from framework.errors import InputError
from framework.metrics.consensus import cider_d
from framework.metrics.subsequence import rouge_l
from framework.metrics.translation import bleu
from framework.spec.problems import ProblemCollector
from framework.spec.validate import validate_experiment
from framework.tasks import captioning
from framework.tasks.captioning import caption
from framework.tasks.image_captioning import CaptioningTask
from framework.tasks.known import task_of, writing_task
from framework.tasks.model import Model

TASK = CaptioningTask()
SIZES = {"target": 11, "places": 4, "features": 5}
GRU = {"kind": "gru", "units": 6}


def model(**image: Any) -> dict[str, Any]:
    return {
        "inputs": {"image": {"dtype": "float32", "shape": [None, 5], **image}, "target": {"dtype": "int32", "shape": [None]}},
        "layers": {
            "encoder": {"kind": "dense", "inputs": "image", "units": 6},
            "embedding": {"kind": "embedding", "inputs": "target", "input_dim": 11, "output_dim": 3},
            "decoder": {"kind": "attention_decoder", "memory": "encoder", "cell": GRU},
            "logits": {"kind": "dense", "units": 11},
        },
        "outputs": "logits",
    }


def experiment(of: Mapping[str, Any] | None = None, **changes: Any) -> Any:
    mapping = {
        "recipe": "mine",
        "data": {"kind": "captions", "captions_path": "c.csv", "images_path": "photos"},
        "task": {"kind": "captioning"},
        "optimizer": {"kind": "adam"},
        "model": of or model(),
        "decoding": {"strategy": "greedy"},
        **changes,
    }
    return validate_experiment(mapping)


def said(of: Mapping[str, Any], sizes: Mapping[str, int] = SIZES, **changes: Any) -> str:
    config, collector = experiment(of, **changes), ProblemCollector()
    TASK.check(plan_model(config.model, 0), config, sizes, collector)
    return " ".join(str(problem) for problem in collector.problems)


def test_a_model_that_fits_is_taken() -> None:
    assert said(model()) == ""
    config = experiment()
    assert task_of(config).decoded(plan_model(config.model, 0)) == "target"
    assert writing_task(config, "caption").read == "image"
    with pytest.raises(InputError, match="a model of task 'captioning' writes no translation"):
        writing_task(config, "translation")


def test_a_model_that_does_not_fit_is_told_why() -> None:
    other = model(shape=[None, 5])
    other["inputs"]["photo"] = other["inputs"].pop("image")
    other["layers"]["encoder"]["inputs"] = "photo"
    assert "model.inputs.photo: the data has no such input" in said(other)
    assert "model.inputs: there is no input 'image'" in said(other)
    assert "image.shape: has 5 features, and an image has 1,280" in said(model(), {**SIZES, "features": 1280})
    assert "image.shape: has 9 places, and an image has 4" in said(model(shape=[9, 5]))
    flat = model(shape=[5])
    flat["layers"]["decoder"] = {"kind": "gru", "units": 6, "return_sequences": True, "inputs": "embedding"}
    flat["layers"]["encoder"] = {"kind": "dense", "inputs": "image", "units": 6}
    flat["layers"]["decoder"]["initial_state"] = "encoder"
    assert "model.inputs.image: is float32 with 1 axes" in said(flat)
    assert "model.layers.logits: gives 11 logits a step" in said(model(), {**SIZES, "target": 12})
    assert "decoding.replace_unknown: copies words from a text" in said(model(), decoding={"strategy": "greedy", "replace_unknown": True})


def test_open_sizes_of_inputs_are_told() -> None:
    from framework.errors import SpecError

    with pytest.raises(SpecError, match=r"model\.inputs\.image\.shape\.1: the size 'features' is not known yet"):
        plan_model(experiment(model(shape=[None, "${size:features}"])).model, 0)
    with pytest.raises(SpecError, match=r"model\.inputs\.image\.shape\.1: data of kind 'captions' provides no size 'feature'"):
        experiment(model(shape=[None, "${size:feature}"]))


@dataclass(frozen=True)
class Seen(Words):
    """What is seen of an image is its number, once for each place."""

    sizes: Mapping[str, int] = field(default_factory=lambda: dict(SIZES))
    grid: tuple[int, int] = (2, 2)

    def encode_images(self, images: Sequence[Any]) -> np.ndarray:
        return np.stack([np.full((4, 5), int(Path(str(image)).stem), np.float32) for image in images])


class Counter:
    """Writes as many words as the image's number, each while it looks at the next place."""

    def __init__(self) -> None:
        self.started: list[int] = []

    def stepper(self, decoded: str, precision: str) -> Counter:
        return self

    def start(self, inputs: Mapping[str, np.ndarray], rows: int) -> State:
        self.started.append(rows)
        return State({"image": inputs["image"]}, {"step": np.zeros(rows, np.int64)}, rows)

    def step(self, tokens: np.ndarray, state: State) -> Stepped:
        wanted = np.repeat(state.constant["image"][:, 0, 0], state.width).astype(int)
        step, rows = state.carried["step"], np.arange(state.rows)
        logits = np.tile(np.linspace(0, -1, 11, dtype=np.float32), (state.rows, 1))
        logits[rows, np.where(step < wanted, 4 + step % 7, 2)] = 9
        attention = np.eye(4, dtype=np.float32)[step % 4]
        return Stepped(logits, State(state.constant, {"step": step + 1}, state.rows, state.width), {"decoder": attention})

    def select(self, state: State, rows: np.ndarray, width: int = 1) -> State:
        return state.select(rows, width, lambda value, chosen: value[chosen])


def counting(**changes: Any) -> Model:
    config = experiment(**changes)
    return Model(config, plan_model(config.model, 0), Seen(), Counter(), "target")  # type: ignore[arg-type]


def test_images_are_captioned_in_order_a_batch_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captioning, "ROWS", 2)
    made = counting()
    rows = TASK.predict(made, [{"image": f"{number}.png"} for number in (2, 0, 1)], {})
    assert [row["caption"] for row in rows] == ["hello world", "", "hello"]
    assert made.trainee.started == [2, 1]  # type: ignore[attr-defined]
    assert TASK.predict(made, [{"path": "2.png"}, {"image": None, "path": Path("1.png")}], {"beam_width": 3}) == [rows[0], rows[2]]


def test_a_caption_has_its_attention_and_a_largest_length() -> None:
    made = counting()
    [[best]] = caption(made, ["3.png"], made.decoding(), watch=True)
    assert (best.text, best.tokens, best.read, best.finished) == ("hello world house", ("hello", "world", "house", "<end>"), (), True)
    assert best.attention is not None and best.attention.argmax(axis=1).tolist() == [0, 1, 2, 3]
    [[cut]] = caption(made, ["90.png"], made.decoding())
    assert (len(cut.tokens), cut.finished) == (captioning.LONGEST, False)
    [[short]] = caption(made, ["90.png"], made.decoding(max_length=3))
    assert len(short.tokens) == 3
    with pytest.raises(InputError, match="there is none to copy from an image"):
        caption(made, ["1.png"], made.decoding(replace_unknown=True))


def test_rows_that_cannot_be_taken_are_told() -> None:
    made = counting()
    bad: Iterable[tuple[Mapping[str, Any], str]] = [
        ({"photo": "1.png"}, "row 1 has photo; expected one of image, path"),
        ({"image": "1.png", "path": "2.png"}, "row 1 has image and path; expected one of image, path"),
        ({"image": None, "path": None}, "expected one of image, path"),
        ({"image": "ftp://host/a.png"}, "'ftp://host/a.png' is an address; nothing is fetched"),
    ]
    for row, message in bad:
        with pytest.raises(InputError, match=message):
            TASK.predict(made, [row], {})
    with pytest.raises(InputError, match="there is nothing to predict"):
        TASK.predict(made, [], {})


def test_the_loss_is_as_the_settings_say() -> None:
    config = experiment(task={"kind": "captioning", "normalization": "per_row", "label_smoothing": 0.1})
    assert TASK.objective(config) == Objective(normalization="per_row", label_smoothing=0.1)


def test_scores_are_of_cleaned_text_over_all_references() -> None:
    predictions = [{"caption": "hello world"}, {"caption": "the house red"}, {"caption": "a house"}]
    references = [["Hello world", "hello."], ["The house red", "a red house"], ["an red world"]]
    cleaned = [["hello world", "hello ."], ["the house red", "a red house"], ["an red world"]]
    texts = [str(row["caption"]) for row in predictions]
    found = TASK.score(counting(), predictions, references)
    assert tuple(found) == TASK.score_names
    assert found["exact"].value == pytest.approx(200 / 3)
    assert found["bleu_1"].value == bleu(texts, cleaned, "none", max_order=1).value > found["bleu_4"].value
    assert "tok:none" in found["bleu_4"].signature
    assert found["cider_d"].value == pytest.approx(sum(cider_d(texts, cleaned)) / 3)
    assert found["rouge_l"].value == pytest.approx(100 * sum(rouge_l(texts, cleaned)) / 3)
    name, each = TASK.score_each(counting(), predictions, references)
    assert name == "CIDEr-D" and each[0] > each[2] and math.isclose(sum(each) / 3, found["cider_d"].value)
