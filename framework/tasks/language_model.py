"""Next-token prediction: the task of text generation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from framework.backends.base.objective import Totals
from framework.builder.plan import ModelPlan
from framework.errors import DataError, InputError
from framework.metrics.language import bits_per_character, perplexity
from framework.spec.experiment import Experiment
from framework.spec.problems import ProblemCollector
from framework.spec.task import LanguageModelTaskSpec
from framework.tasks.model import Model
from framework.tasks.spelling import Spelling
from framework.tasks.task import Interface, Row, Task, task
from framework.tasks.tokens import check_embeddings, check_logits, check_token_inputs

if TYPE_CHECKING:
    from framework.data.prepared import PreparedData
    from framework.data.vocabulary import Vocabulary
    from framework.decoding.generate import Generation
    from framework.spec.decoding import DecodingSpec

_SPELLED = 100
"""Tokens that an exported model's example writes behind the prompt."""


@task(LanguageModelTaskSpec)
class LanguageModelTask(Task):
    """Reads ``tokens: (batch, time) int32``, gives logits ``(batch, time, vocabulary)``; the target is the next token.

    Loss: sparse categorical cross-entropy from logits, mean over batch and time, in nats a token.
    """

    measures: ClassVar[Mapping[str, Literal["min", "max"]]] = {"perplexity": "min", "bits_per_character": "min"}
    use = "generate {run}"

    def check(self, plan: ModelPlan, experiment: Experiment, sizes: Mapping[str, int], collector: ProblemCollector) -> None:
        """One input of token numbers, one output with logits for each step and each token; and text that is written as it comes."""
        if experiment.decoding.strategy == "beam":
            expected = "sample or greedy for task language_model"
            collector.add("decoding.strategy", "a beam search is for models that read one sequence and write another", expected=expected)
        if len(plan.inputs) != 1:
            collector.add("model.inputs", f"there are {len(plan.inputs)} model inputs", expected="one, the tokens, for task language_model")
        check_token_inputs(plan, plan.inputs, "language_model", collector)
        check_logits(plan, "tokens", sizes, "language_model", collector)
        check_embeddings(plan, dict.fromkeys(plan.inputs, "tokens"), sizes, collector)

    def completed(self, experiment: Experiment, data: PreparedData) -> Experiment:
        """Where no prompt is given, samples begin with the text's first words."""
        if experiment.decoding.prompt is not None:
            return experiment
        decoding = experiment.decoding.model_copy(update={"prompt": data.opening or "\n"})
        return experiment.model_copy(update={"decoding": decoding})

    def decoded(self, plan: ModelPlan) -> str:
        """The tokens."""
        return next(iter(plan.inputs))

    def spelling(self, model: Model) -> Spelling:
        """The vocabulary's tokens, from the configured prompt on; from its first token where the prompt has unknown ones."""
        vocabulary = _vocabulary(model)
        try:
            first = vocabulary.encode(model.experiment.decoding.prompt or "\n").tolist()
        except DataError:
            first = [len(model.processor.banned)]
        return Spelling(vocabulary.tokens, first, None, model.processor.banned, len(first) + _SPELLED - 1)

    def reset_states_each_epoch(self, experiment: Experiment) -> bool:
        """As ``task.reset_states`` says; ``auto`` is at each epoch where batches go on from one another."""
        spec = cast(LanguageModelTaskSpec, experiment.task)
        if spec.reset_states == "auto":
            return getattr(experiment.data, "order", None) == "contiguous"
        return spec.reset_states == "epoch"

    def describe(self, totals: Totals, data: PreparedData) -> dict[str, float]:
        """Perplexity, and bits a character (of a word model: by the characters that a token has in the mean)."""
        characters = data.figures.get("characters_per_token", 1.0)
        return {"perplexity": perplexity(totals.loss), "bits_per_character": bits_per_character(totals.loss, characters)}

    def sample(self, model: Model, data: PreparedData) -> str:
        """The configured prompt and what the model makes of it; the text's own first token where the prompt has unknown ones."""
        experiment = model.experiment
        settings = experiment.decoding.model_copy(update={"length": experiment.decoding.sample_length})
        vocabulary = _vocabulary(model)
        try:
            prompt = vocabulary.encode(settings.prompt or "\n")
        except DataError:
            prompt = next(iter(data.train.epoch(0))).inputs[self.decoded(model.plan)][0][:1]
        tokens = [prompt, *self._generation(model, [prompt], settings, experiment.seed)]
        return vocabulary.decode([int(token) for piece in tokens for token in piece])

    def interface(self, experiment: Experiment) -> Interface:
        """A prompt in, the prompt with what follows it out."""
        settings = {"length": "long", "temperature": "double", "top_k": "long", "top_p": "double", "strategy": "string"}
        return Interface({"prompt": "string"}, {"text": "string"}, settings)

    def input_example(self, experiment: Experiment) -> Row:
        """The configured prompt."""
        return {"prompt": experiment.decoding.prompt or "\n"}

    def predict(self, model: Model, rows: Sequence[Row], settings: Mapping[str, Any], seed: int = 0) -> list[Row]:
        """The whole text of each prompt, the prompt included.

        Raises:
            DataError: a prompt has tokens outside the vocabulary; they are named.
            InputError: there is no prompt, one is empty, or a setting is out of range.
            UnsupportedArgument: the model cannot be decoded step by step.
        """
        self.interface(model.experiment).check(rows)
        texts = [str(row["prompt"]) for row in rows]
        steps = list(self.stream(model, texts, model.decoding(**settings), seed))
        return [{"text": text + "".join(pieces)} for text, *pieces in zip(texts, *steps, strict=True)]

    def stream(self, model: Model, prompts: Sequence[str], settings: DecodingSpec, seed: int = 0) -> Iterator[list[str]]:
        """The next token of each prompt as text, step by step, without the prompts.

        Raises:
            DataError: a prompt has tokens outside the vocabulary; they are named.
            InputError: there is no prompt, or one is empty.
            UnsupportedArgument: the model cannot be decoded step by step.
        """
        if not prompts or not all(prompts):
            raise InputError("a prompt is empty; the model needs at least one token to begin with")
        vocabulary = _vocabulary(model)
        texts, size = vocabulary.tokens, vocabulary.size
        for tokens in self._generation(model, [vocabulary.encode(prompt) for prompt in prompts], settings, seed):
            yield ["" if token < 0 else texts[token] if token < size else vocabulary.decode(token) for token in tokens.tolist()]

    def _generation(self, model: Model, prompts: Sequence[Any], settings: DecodingSpec, seed: int) -> Generation:
        from framework.decoding.generate import generate  # NumPy, which checking a config does not need
        from framework.decoding.sampling import Sampling

        sampling = Sampling.of(settings, model.processor.banned)
        return generate(model.stepper, prompts, sampling, length=settings.length, seed=seed)


def _vocabulary(model: Model) -> Vocabulary:
    vocabulary: Vocabulary = model.processor.vocabulary  # type: ignore[attr-defined]
    return vocabulary
