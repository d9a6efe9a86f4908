"""What all tasks share that write one sequence for each input: translation and captioning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from framework.backends.base.objective import Objective, Totals
from framework.builder.plan import ModelPlan
from framework.metrics.language import perplexity
from framework.spec.experiment import Experiment
from framework.spec.task import WritingTaskSpec
from framework.tasks.attended import Attended
from framework.tasks.model import Model
from framework.tasks.spelling import Spelling
from framework.tasks.task import Interface, Row, Task

if TYPE_CHECKING:
    from framework.data.prepared import Example, PreparedData
    from framework.spec.decoding import DecodingSpec
    from framework.tasks.writing_processor import WritingProcessor
    from framework.tasks.written import Written

TARGET = "target"
"""The model input that is decoded, and the size of its vocabulary."""

_SAMPLES = 4
_LONGEST = 50
"""Tokens that an exported model's example writes at most."""
_SETTINGS = {
    "strategy": "string",
    "beam_width": "long",
    "length_penalty": "double",
    "coverage_penalty": "double",
    "max_length": "long",
    "temperature": "double",
    "top_k": "long",
    "top_p": "double",
}


class WritingTask(Task):
    """Reads something and ``target: (batch, time) int32``, gives logits ``(batch, time, vocabulary)``.

    The target is the right sequence up to each step, the output its next token. Loss: sparse categorical cross-entropy from logits,
    weighted, so that padding does not count.

    Attributes:
        read: what is read: the model input, and the column of raw rows.
        written: what is written: the column of predictions.
    """

    read: ClassVar[str]
    written: ClassVar[str]
    measures: ClassVar[Mapping[str, Literal["min", "max"]]] = {"perplexity": "min", "accuracy": "max", "tutorial_loss": "min"}

    def write(
        self, model: Model, inputs: Sequence[Any], settings: DecodingSpec, seed: int = 0, *, watch: bool = False
    ) -> list[list[Written]]:
        """The best sequences for each raw input, best first.

        Args:
            model: trained.
            inputs: raw.
            settings: of the search.
            seed: of draws, where strategy is sample.
            watch: whether they carry the attention.
        """
        raise NotImplementedError(f"{type(self).__name__} writes nothing")

    def looked_at(self, model: Model, given: Any, found: Written) -> Any:
        """What was read, as it is drawn under the attention; see :class:`Attended`."""
        return found.read

    def objective(self, experiment: Experiment) -> Objective:
        """Cross-entropy as the settings say."""
        spec = cast(WritingTaskSpec, experiment.task)
        return Objective(normalization=spec.normalization, label_smoothing=spec.label_smoothing)

    def decoded(self, plan: ModelPlan) -> str:
        """The target."""
        return TARGET

    def spelling(self, model: Model) -> Spelling:
        """The target's tokens, from the start marker to the end marker."""
        processor = cast("WritingProcessor", model.processor)
        markers = (0, processor.start_id, processor.end_id)
        tokens = ["" if number in markers else processor.target_text(number) for number in range(processor.sizes[TARGET])]
        return Spelling(tokens, [processor.start_id], processor.end_id, processor.banned, _LONGEST)

    def describe(self, totals: Totals, data: PreparedData) -> dict[str, float]:
        """Perplexity, the share of tokens that are the most likely ones, and ``tutorial_loss``.

        The last is what TensorFlow's tutorials print: the sum of the losses by rows and by the longest target's tokens, markers counted.
        """
        found = {"perplexity": perplexity(totals.loss)}
        if "correct" in totals.sums:
            found["accuracy"] = totals.mean("correct")
        if totals.rows and "target_length" in data.figures:
            found["tutorial_loss"] = totals.sums["loss"] / totals.rows / data.figures["target_length"]
        return found

    def sample(self, model: Model, data: PreparedData) -> str | None:
        """What the model writes for some held-out examples, and what is right; of the training where nothing is held out."""
        shown = _shown(data)
        if not shown:
            return None
        found = self.write(model, [one.inputs[self.read] for one in shown], model.decoding(), model.experiment.seed)
        width = max(len(name) for name in (self.read, self.written, "reference")) + 2
        return "\n\n".join(
            "\n".join(
                f"{f'{name}:':{width}}{text}"
                for name, text in ((self.read, one.shown), (self.written, best[0].text), ("reference", one.references[0]))
            )
            for one, best in zip(shown, found, strict=True)
        )

    def attended(self, model: Model, rows: Sequence[Row]) -> Sequence[Attended]:
        """What each word attended to; left out where there is no word."""
        inputs = [self.raw(row) for row in rows]
        found = self.write(model, inputs, model.decoding(), model.experiment.seed, watch=True)
        return [
            Attended(best.tokens, self.looked_at(model, given, best), best.attention)
            for given, (best, *_) in zip(inputs, found, strict=True)
            if best.tokens and best.attention is not None
        ]

    def interface(self, experiment: Experiment) -> Interface:
        """One input in, what is written out."""
        return Interface({self.read: "string"}, {self.written: "string"}, _SETTINGS)

    def raw(self, row: Row) -> Any:
        """The raw input of a row."""
        return str(row[self.read])

    def predict(self, model: Model, rows: Sequence[Row], settings: Mapping[str, Any], seed: int = 0) -> list[Row]:
        """The best sequence for each input.

        Raises:
            DataError: an input cannot be read; it is named.
            InputError: there is no input, or a setting is out of range.
            UnsupportedArgument: the model cannot be decoded step by step.
        """
        self.interface(model.experiment).check(rows)
        inputs = [self.raw(row) for row in rows]
        return [{self.written: best[0].text} for best in self.write(model, inputs, self.decoding(model, settings), seed)]

    def decoding(self, model: Model, settings: Mapping[str, Any]) -> DecodingSpec:
        """The config's decoding with what is given (not None) changed; a ``beam_width`` by itself asks for a beam search.

        Raises:
            InputError: a value is out of range, or there is no such setting.
        """
        given = dict(settings)
        if given.get("beam_width") is not None and given.get("strategy") is None:
            given["strategy"] = "beam"
        return model.decoding(**given)


def _shown(data: PreparedData) -> list[Example]:
    """The first held-out examples; of the training where nothing is held out."""
    examples = data.examples.get("validation") or data.examples.get("train") or ()
    return list(examples[:_SAMPLES])
