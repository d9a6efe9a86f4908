"""One sequence for another: the task of translation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from framework.backends.base.objective import Objective, Totals
from framework.builder.plan import ModelPlan
from framework.metrics.language import perplexity
from framework.metrics.score import Score
from framework.spec.experiment import Experiment
from framework.spec.layers.embedding import EmbeddingSpec
from framework.spec.problems import ProblemCollector
from framework.spec.task import TranslationTaskSpec
from framework.tasks.attended import Attended
from framework.tasks.model import Model
from framework.tasks.task import Interface, Row, Task, task
from framework.tasks.tokens import check_embeddings, check_logits, check_token_inputs

if TYPE_CHECKING:
    from framework.data.prepared import Example, PreparedData
    from framework.spec.decoding import DecodingSpec
    from framework.tasks.translating import Translation

SOURCE, TARGET = "source", "target"
"""The model inputs, and the sizes of their vocabularies."""

_SAMPLES = 4
_INPUTS = (SOURCE, TARGET)


@task(TranslationTaskSpec)
class TranslationTask(Task):
    """Reads ``source: (batch, source) int32`` and ``target: (batch, time) int32``, gives logits ``(batch, time, vocabulary)``.

    The target is the right translation up to each step, the output its next token. Loss: sparse categorical cross-entropy from logits,
    weighted, so that padding does not count.
    """

    measures: ClassVar[Mapping[str, Literal["min", "max"]]] = {"perplexity": "min", "accuracy": "max", "tutorial_loss": "min"}
    score_names: ClassVar[Sequence[str]] = ("bleu", "chrf", "tokenized_bleu")

    def check(self, plan: ModelPlan, experiment: Experiment, sizes: Mapping[str, int], collector: ProblemCollector) -> None:
        """Inputs ``source`` and ``target`` of token numbers, one output with logits for each step and each token of the target."""
        for name in plan.inputs:
            if name not in _INPUTS:
                collector.add(f"model.inputs.{name}", "the data has no such input", expected="source and target for task translation")
        for name in _INPUTS:
            if name not in plan.inputs:
                collector.add("model.inputs", f"there is no input '{name}'", expected="source and target for task translation")
        check_token_inputs(plan, "translation", collector)
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

    def objective(self, experiment: Experiment) -> Objective:
        """Cross-entropy as the settings say."""
        spec = cast(TranslationTaskSpec, experiment.task)
        return Objective(normalization=spec.normalization, label_smoothing=spec.label_smoothing)

    def decoded(self, plan: ModelPlan) -> str:
        """The target."""
        return TARGET

    def describe(self, totals: Totals, data: PreparedData) -> dict[str, float]:
        """Perplexity, the share of tokens that are the most likely ones, and ``tutorial_loss``.

        The last is what TensorFlow's tutorial prints: the sum of the losses by rows and by the longest target's tokens, markers counted.
        """
        found = {"perplexity": perplexity(totals.loss)}
        if "correct" in totals.sums:
            found["accuracy"] = totals.mean("correct")
        if totals.rows and "target_length" in data.figures:
            found["tutorial_loss"] = totals.sums["loss"] / totals.rows / data.figures["target_length"]
        return found

    def sample(self, model: Model, data: PreparedData) -> str | None:
        """Some held-out sentences with the model's translation and the right one; of the training where nothing is held out."""
        shown = _shown(data)
        if not shown:
            return None
        texts = [str(example.inputs[SOURCE]) for example in shown]
        found = self.translate(model, texts, model.decoding(), model.experiment.seed)
        rows = zip(texts, found, shown, strict=True)
        return "\n\n".join(
            f"source:      {text}\ntranslation: {best[0].text}\nreference:   {example.references[0]}" for text, best, example in rows
        )

    def attended(self, model: Model, rows: Sequence[Row]) -> Sequence[Attended]:
        """What each word of a translation attended to; left out where there is no word."""
        texts = [str(row[SOURCE]) for row in rows]
        found = self.translate(model, texts, model.decoding(), model.experiment.seed, watch=True)
        return [
            Attended(best.tokens, best.source_tokens, best.attention) for best, *_ in found if best.tokens and best.attention is not None
        ]

    def interface(self, experiment: Experiment) -> Interface:
        """A sentence in, its translation out."""
        settings = {
            "strategy": "string",
            "beam_width": "long",
            "length_penalty": "double",
            "coverage_penalty": "double",
            "max_length": "long",
            "temperature": "double",
            "top_k": "long",
            "top_p": "double",
        }
        return Interface({SOURCE: "string"}, {"translation": "string"}, settings)

    def predict(self, model: Model, rows: Sequence[Row], settings: Mapping[str, Any], seed: int = 0) -> list[Row]:
        """The best translation of each sentence.

        Raises:
            DataError: a sentence has words that a vocabulary without ``[UNK]`` lacks; they are named.
            InputError: there is no sentence, or a setting is out of range.
            UnsupportedArgument: the model cannot be decoded step by step.
        """
        self.interface(model.experiment).check(rows)
        texts = [str(row[SOURCE]) for row in rows]
        return [{"translation": best[0].text} for best in self.translate(model, texts, self.decoding(model, settings), seed)]

    def translate(
        self, model: Model, texts: Sequence[str], settings: DecodingSpec, seed: int = 0, watch: bool = False
    ) -> list[list[Translation]]:
        """The best translations of each text; see :func:`framework.tasks.translating.translate`."""
        from framework.tasks.translating import translate  # NumPy, which checking a config does not need

        return translate(model, texts, settings, seed, watch=watch)

    def decoding(self, model: Model, settings: Mapping[str, Any]) -> DecodingSpec:
        """The config's decoding with what is given (not None) changed; a ``beam_width`` by itself asks for a beam search.

        Raises:
            InputError: a value is out of range, or there is no such setting.
        """
        given = dict(settings)
        if given.get("beam_width") is not None and given.get("strategy") is None:
            given["strategy"] = "beam"
        return model.decoding(**given)

    def score(self, model: Model, predictions: Sequence[Row], references: Sequence[Sequence[Any]]) -> dict[str, Score]:
        """BLEU (13a) and chrF of running text, and ``tokenized_bleu`` of text that is cleaned as in training; all in lower case.

        Raises:
            InputError: there is nothing to score, or sacreBLEU is not installed.
        """
        from framework.metrics.translation import bleu, chrf
        from framework.tasks.sentences import sentences  # NumPy, which checking a config does not need

        clean = sentences(model).clean_target
        texts = [str(row["translation"]) for row in predictions]
        cleaned = [[clean(str(one)) for one in right] for right in references]
        tokenized = bleu([clean(text) for text in texts], cleaned, "none")
        return {"bleu": bleu(texts, references), "chrf": chrf(texts, references), "tokenized_bleu": tokenized}

    def score_each(self, predictions: Sequence[Row], references: Sequence[Sequence[Any]]) -> tuple[str, Sequence[float]]:
        """The chrF of each translation."""
        from framework.metrics.translation import sentence_chrf

        return "chrF", sentence_chrf([str(row["translation"]) for row in predictions], references)


def _shown(data: PreparedData) -> list[Example]:
    """The first held-out sentences; of the training where nothing is held out."""
    examples = data.examples.get("validation") or data.examples.get("train") or ()
    return list(examples[:_SAMPLES])
