"""What is on an image, in words: the task of captioning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from framework.builder.plan import ModelPlan
from framework.errors import InputError
from framework.metrics.score import Score
from framework.spec.experiment import Experiment
from framework.spec.problems import ProblemCollector
from framework.spec.task import CaptioningTaskSpec
from framework.tasks.model import Model
from framework.tasks.task import Interface, Row, task
from framework.tasks.tokens import check_embeddings, check_input_names, check_logits, check_token_inputs
from framework.tasks.writing import TARGET, WritingTask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from framework.data.prepared import Example
    from framework.spec.decoding import DecodingSpec
    from framework.tasks.writing_processor import WritingProcessor
    from framework.tasks.written import Written

IMAGE = "image"
"""The model input that is read, ``(batch, places, width) float32``; and the column of a raw image's bytes."""

PATH = "path"
"""The column of an image file's path, in place of its bytes."""

_ARTICLES = ("a", "an", "the")

_SMALLEST_PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005fe02fe0def46b80000000049454e44ae426082"
)
"""One white pixel."""


@task(CaptioningTaskSpec)
class CaptioningTask(WritingTask):
    """Reads ``image: (batch, places, width) float32`` and ``target: (batch, time) int32``, gives logits ``(batch, time, vocabulary)``."""

    read = IMAGE
    written = "caption"
    use = "caption {run} PHOTO"
    score_names: ClassVar[Sequence[str]] = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "cider_d", "rouge_l", "exact")

    def check(self, plan: ModelPlan, experiment: Experiment, sizes: Mapping[str, int], collector: ProblemCollector) -> None:
        """Inputs ``image`` and ``target``, one output with logits for each step and each token of the target."""
        check_input_names(plan, (IMAGE, TARGET), "captioning", collector)
        check_token_inputs(plan, [TARGET], "captioning", collector)
        image = plan.inputs.get(IMAGE)
        if image is not None:
            _check_image(image.dtype, image.shape[1:], sizes, collector)
        if experiment.decoding.replace_unknown:
            message = "copies words from a text, and there is none to copy from an image"
            collector.add("decoding.replace_unknown", message, value="true", expected="false for task captioning")
        check_logits(plan, TARGET, sizes, "captioning", collector)
        check_embeddings(plan, {TARGET: TARGET}, sizes, collector)

    def write(
        self, model: Model, inputs: Sequence[Any], settings: DecodingSpec, seed: int = 0, *, watch: bool = False
    ) -> list[list[Written]]:
        """The best captions of each image; see :func:`framework.tasks.captioning.caption`."""
        from framework.tasks.captioning import caption  # NumPy, which checking a config does not need

        return caption(model, inputs, settings, seed, watch=watch)

    def photo(self, row: Row) -> NDArray[np.uint8]:
        """The image as people see it."""
        from framework.data.images.decode import shown

        return shown(self.raw(row))

    def looked_at(self, model: Model, given: Any, found: Written) -> Any:
        """The image itself."""
        return self.photo({IMAGE: given})

    def interface(self, experiment: Experiment) -> Interface:
        """An image in, its caption out."""
        settings = super().interface(experiment).settings
        return Interface({IMAGE: "binary", PATH: "string"}, {self.written: "string"}, settings, one_of=True, text=PATH)

    def input_example(self, experiment: Experiment) -> Row:
        """One white pixel."""
        return {IMAGE: _SMALLEST_PNG, PATH: None}

    def raw(self, row: Row) -> Any:
        """The path of a row's image, or what its file holds.

        Raises:
            InputError: the row has an address in place of a path.
        """
        given = row.get(IMAGE)
        given = row.get(PATH) if given is None else given
        if isinstance(given, (bytes, bytearray, memoryview)):
            return bytes(given)
        if not isinstance(given, (str, Path)):
            raise InputError(f"an image is given as {type(given).__name__}; expected a file's path, or its bytes")
        if "://" in str(given):
            raise InputError(f"'{given}' is an address; nothing is fetched: expected an image file's path")
        return given

    def score(self, model: Model, predictions: Sequence[Row], references: Sequence[Sequence[Any]]) -> dict[str, Score]:
        """BLEU-1 to BLEU-4, CIDEr-D, ROUGE-L, and the percentage of captions that are one of the right ones.

        All texts are cleaned as in training.

        Raises:
            InputError: there is nothing to score, or sacreBLEU is not installed.
        """
        from framework.metrics.consensus import cider_d
        from framework.metrics.subsequence import rouge_l
        from framework.metrics.translation import bleu

        captions, right = _cleaned(model, [str(row[self.written]) for row in predictions], references)
        exact = [caption in known for caption, known in zip(captions, right, strict=True)]
        found = {f"bleu_{order}": bleu(captions, right, "none", max_order=order) for order in (1, 2, 3, 4)}
        found["cider_d"] = Score(sum(cider_d(captions, right)) / len(captions))
        found["rouge_l"] = Score(100 * sum(rouge_l(captions, right)) / len(captions))
        found["exact"] = Score(100 * sum(exact) / len(exact))
        return found

    def score_regions(self, model: Model, examples: Sequence[Example]) -> dict[str, Score]:
        """``pointing`` and ``pointing_all``: how often in a hundred the attention's centre lies on the thing that is named.

        The first is of nouns, the last word of each name; the other of all words of names but articles.
        Only where a model has attention over a square grid, and examples tell where things lie.
        """
        from framework.metrics.pointing import pointing
        from framework.tasks.captioning import images_of

        known = [one for one in examples if one.regions]
        grid = images_of(model).grid
        if not known or grid is None:
            return {}
        found = self.write(model, [one.inputs[IMAGE] for one in known], model.decoding(), model.experiment.seed, watch=True)
        clean = images_of(model).clean_target
        hits: list[tuple[bool, ...]] = []
        for example, (best, *_) in zip(known, found, strict=True):
            names = {tuple(word for word in clean(name).split() if word not in _ARTICLES): box for name, box in example.regions.items()}
            if best.attention is not None and best.tokens:
                hits.extend(pointing(best.tokens, best.attention, grid, names))
        words = [hit for name in hits for hit in name]
        nouns = [name[-1] for name in hits]
        measured = {"pointing": nouns, "pointing_all": words} if hits else {}
        return {name: Score(100 * sum(right) / len(right)) for name, right in measured.items()}

    def score_each(self, model: Model, predictions: Sequence[Row], references: Sequence[Sequence[Any]]) -> tuple[str, Sequence[float]]:
        """The CIDEr-D of each caption, among all."""
        from framework.metrics.consensus import cider_d

        return "CIDEr-D", cider_d(*_cleaned(model, [str(row[self.written]) for row in predictions], references))


def _cleaned(model: Model, captions: Sequence[str], references: Sequence[Sequence[Any]]) -> tuple[list[str], list[list[str]]]:
    clean = cast("WritingProcessor", model.processor).clean_target
    return [clean(one) for one in captions], [[clean(str(one)) for one in right] for right in references]


def _check_image(dtype: str, shape: Sequence[int | None], sizes: Mapping[str, int], collector: ProblemCollector) -> None:
    key = f"model.inputs.{IMAGE}"
    expected = '{dtype: float32, shape: ["${size:places}", "${size:features}"]} for task captioning'
    if not dtype.startswith("float") or len(shape) != 2:
        collector.add(key, f"is {dtype} with {len(shape)} axes", expected=expected)
        return
    for axis, name in enumerate(("places", "features")):
        known = sizes.get(name)
        if known is not None and shape[axis] not in (None, known):
            collector.add(f"{key}.shape", f"has {shape[axis]} {name}, and an image has {known:,}", expected=expected)
