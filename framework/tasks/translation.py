"""One sequence for another: the task of translation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from framework.builder.plan import ModelPlan
from framework.metrics.score import Score
from framework.spec.experiment import Experiment
from framework.spec.layers.embedding import EmbeddingSpec
from framework.spec.problems import ProblemCollector
from framework.spec.task import TranslationTaskSpec
from framework.tasks.model import Model
from framework.tasks.task import Row, task
from framework.tasks.tokens import check_embeddings, check_input_names, check_logits, check_token_inputs
from framework.tasks.writing import TARGET, WritingTask

if TYPE_CHECKING:
    from framework.spec.decoding import DecodingSpec
    from framework.tasks.writing_processor import WritingProcessor
    from framework.tasks.written import Written

SOURCE = "source"
"""The model input that is read, and the size of its vocabulary."""

_INPUTS = (SOURCE, TARGET)


@task(TranslationTaskSpec)
class TranslationTask(WritingTask):
    """Reads ``source: (batch, source) int32`` and ``target: (batch, time) int32``, gives logits ``(batch, time, vocabulary)``."""

    read = SOURCE
    written = "translation"
    use = "translate {run} TEXT"
    score_names: ClassVar[Sequence[str]] = ("bleu", "chrf", "tokenized_bleu")

    def check(self, plan: ModelPlan, experiment: Experiment, sizes: Mapping[str, int], collector: ProblemCollector) -> None:
        """Inputs ``source`` and ``target`` of token numbers, one output with logits for each step and each token of the target."""
        check_input_names(plan, _INPUTS, "translation", collector)
        check_token_inputs(plan, plan.inputs, "translation", collector)
        check_logits(plan, TARGET, sizes, "translation", collector)
        check_embeddings(plan, {name: name for name in _INPUTS}, sizes, collector)

    def hints(self, plan: ModelPlan, experiment: Experiment) -> list[str]:
        """Padding that is read as words, where how much there is depends on the other sentences of a batch."""
        if getattr(experiment.data, "pad_to", None) != "batch":
            return []
        told = "padding is read as words (mask_zero: false), and each batch has its own: a translation depends on the sentences beside it"
        return [
            f"model.layers.{layer.name}: {told}; set model.layers.{layer.name}.mask_zero=true, or data.pad_to=longest"
            for layer in plan.layers
            if isinstance(layer.spec, EmbeddingSpec) and layer.references["inputs"][0].node == SOURCE and not layer.spec.mask_zero
        ]

    def write(
        self, model: Model, inputs: Sequence[Any], settings: DecodingSpec, seed: int = 0, *, watch: bool = False
    ) -> list[list[Written]]:
        """The best translations of each text; see :func:`framework.tasks.translating.translate`."""
        from framework.tasks.translating import translate  # NumPy, which checking a config does not need

        return translate(model, inputs, settings, seed, watch=watch)

    def score(self, model: Model, predictions: Sequence[Row], references: Sequence[Sequence[Any]]) -> dict[str, Score]:
        """BLEU (13a) and chrF of running text, and ``tokenized_bleu`` of text that is cleaned as in training; all in lower case.

        Raises:
            InputError: there is nothing to score, or sacreBLEU is not installed.
        """
        from framework.metrics.translation import bleu, chrf

        clean = cast("WritingProcessor", model.processor).clean_target
        texts = [str(row[self.written]) for row in predictions]
        cleaned = [[clean(str(one)) for one in right] for right in references]
        tokenized = bleu([clean(text) for text in texts], cleaned, "none")
        return {"bleu": bleu(texts, references), "chrf": chrf(texts, references), "tokenized_bleu": tokenized}

    def score_each(self, model: Model, predictions: Sequence[Row], references: Sequence[Sequence[Any]]) -> tuple[str, Sequence[float]]:
        """The chrF of each translation."""
        from framework.metrics.translation import sentence_chrf

        return "chrF", sentence_chrf([str(row[self.written]) for row in predictions], references)
