"""Next-token prediction: the task of text generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from framework.backends.base.objective import Totals
from framework.builder.plan import ModelPlan
from framework.errors import DataError
from framework.metrics.language import bits_per_character, perplexity
from framework.spec.data import TextDataSpec
from framework.spec.experiment import Experiment
from framework.spec.problems import ProblemCollector
from framework.spec.task import LanguageModelTaskSpec
from framework.tasks.task import task

if TYPE_CHECKING:
    from framework.decoding.sampling import Sampling
    from framework.decoding.stepper import Stepper


@task("language_model")
class LanguageModelTask:
    """Reads ``tokens: (batch, time) int32``, gives logits ``(batch, time, vocabulary)``; the target is the next token.

    Loss: sparse categorical cross-entropy from logits, mean over batch and time, in nats a token.
    """

    def check(self, plan: ModelPlan, experiment: Experiment, sizes: Mapping[str, int], collector: ProblemCollector) -> None:
        """One input of token numbers, one output with logits for each step and each token."""
        if len(plan.inputs) != 1:
            collector.add("model.inputs", f"there are {len(plan.inputs)} model inputs", expected="one, the tokens, for task language_model")
        for name, tensor in plan.inputs.items():
            if not tensor.dtype.startswith("int") or len(tensor.shape) != 2:
                expected = "{dtype: int32, shape: [null]} for task language_model"
                collector.add(f"model.inputs.{name}", f"is {tensor.dtype} with {len(tensor.shape) - 1} axes", expected=expected)
        if list(plan.outputs) != ["output"]:
            collector.add("model.outputs", "several outputs", expected="one, the logits, for task language_model")
            return
        self._check_logits(plan, sizes, collector)

    def _check_logits(self, plan: ModelPlan, sizes: Mapping[str, int], collector: ProblemCollector) -> None:
        reference = plan.outputs["output"]
        shape = plan.tensor(reference).shape
        if len(shape) != 3:
            hint = "set return_sequences: true in the last recurrent layer"
            collector.add("model.outputs", f"'{reference}' gives one output a sequence", expected="one for each step", hint=hint)
        elif shape[-1] != sizes.get("tokens", shape[-1]):
            expected = f"{sizes['tokens']}, the number of tokens; write it as ${{size:tokens}}"
            collector.add(f"model.layers.{reference.node}", f"gives {shape[-1]} logits a step", expected=expected)

    def reset_states_each_epoch(self, experiment: Experiment) -> bool:
        """As ``task.reset_states`` says; ``auto`` is at each epoch where batches go on from one another."""
        spec = experiment.task
        assert isinstance(spec, LanguageModelTaskSpec)
        if spec.reset_states == "auto":
            return isinstance(experiment.data, TextDataSpec) and experiment.data.order == "contiguous"
        return spec.reset_states == "epoch"

    def describe(self, totals: Totals, data: Any) -> dict[str, float]:
        """Perplexity, and bits a character (of a word model: by the characters that a token has in the mean)."""
        return {"perplexity": perplexity(totals.loss), "bits_per_character": bits_per_character(totals.loss, data.characters_per_token)}

    def sample(self, stepper: Stepper, data: Any, sampling: Sampling, experiment: Experiment, seed: int) -> str:
        """The configured prompt and what the model makes of it; the text's own first token where the prompt has unknown ones."""
        from framework.decoding.generate import generate  # NumPy, which checking a config does not need

        vocabulary = data.vocabulary
        try:
            prompt = vocabulary.encode(experiment.decoding.prompt)
        except DataError:
            prompt = next(iter(data.train.epoch(0))).inputs[next(iter(experiment.model.inputs))][0][:1]
        tokens = [prompt]
        tokens.extend(generate(stepper, [prompt], sampling, length=experiment.decoding.sample_length, seed=seed))
        return str(vocabulary.decode([int(token) for piece in tokens for token in piece]))
