"""Text out of a trained language model: many prompts in one batch, streamed as it appears."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

from framework.backends.base.backend import Trainee
from framework.backends.base.registry import load_backend
from framework.data.plugins import load_plugins
from framework.data.vocabulary import VOCABULARY_FILE, Vocabulary
from framework.decoding.generate import generate
from framework.decoding.sampling import Sampling
from framework.decoding.stepper import Stepper
from framework.engine.checkpoint import CheckpointStore
from framework.engine.folder import RunFolder
from framework.engine.portable import PortableModel, chosen_checkpoint, model_weights, portable_model, read_portable
from framework.errors import CheckpointError, GateworkError, InputError
from framework.spec.backend import BackendSpec
from framework.spec.decoding import DecodingSpec
from framework.spec.validate import validate_experiment


class TextGenerator:
    """A language model with its vocabulary, ready to write.

    Args:
        model: experiment, plan, weights and vocabulary.
        backend: the backend to run on; the one it was trained on when not given.
    """

    def __init__(self, model: PortableModel, backend: str | None = None) -> None:
        self.model = model
        spec = model.experiment.backend
        chosen = spec if backend is None or backend == spec.name else BackendSpec(name=backend)  # type: ignore[arg-type]
        loaded = load_backend(chosen.name)
        loaded.configure(chosen, model.experiment.seed)
        self.trainee: Trainee = loaded.build(model.plan, model.weights, model.experiment.trainer, chosen)

    @cached_property
    def stepper(self) -> Stepper:
        """The model's decoding step; it need have none to be measured.

        Raises:
            UnsupportedArgument: a layer cannot be decoded step by step; it is named.
        """
        return self.trainee.stepper()

    @classmethod
    def of_run(cls, folder: RunFolder, backend: str | None = None, warn: Callable[[str], None] = warnings.warn) -> TextGenerator:
        """The generator of a run: of its portable model, or, while it still trains, of its latest checkpoint.

        Args:
            folder: the run's.
            backend: to run on; the one it was trained on when not given.
            warn: told of damaged files that another one takes the place of.

        Raises:
            RunError: the run has neither yet.
        """
        return cls(open_model(folder, warn), backend)

    def settings(self, **changes: Any) -> DecodingSpec:
        """The config's decoding with what is given (not None) changed.

        Raises:
            InputError: a value is out of range.
        """
        from framework.spec.problems import ProblemCollector

        given = {key: value for key, value in changes.items() if value is not None}
        collector = ProblemCollector()
        settings = collector.parse(DecodingSpec, {**self.model.experiment.decoding.model_dump(), **given}, "")
        if settings is None:
            raise InputError("\n".join(str(problem) for problem in collector.problems))
        return settings

    def generate(self, prompts: Sequence[str], settings: DecodingSpec, seed: int = 0) -> list[str]:
        """The whole text of each prompt, the prompt included."""
        texts = list(prompts)
        for pieces in self.stream(prompts, settings, seed):
            for row, piece in enumerate(pieces):
                texts[row] += piece
        return texts

    def stream(self, prompts: Sequence[str], settings: DecodingSpec, seed: int = 0) -> Iterator[list[str]]:
        """The next token of each prompt as text, step by step, without the prompts.

        Raises:
            DataError: a prompt has tokens outside the vocabulary; they are named.
            InputError: there is no prompt, or one is empty.
            UnsupportedArgument: the model cannot be decoded step by step.
        """
        if not prompts or not all(prompts):
            raise InputError("a prompt is empty; the model needs at least one token to begin with")
        vocabulary = self.model.vocabulary
        encoded = [vocabulary.encode(prompt) for prompt in prompts]
        unknown = vocabulary.unknown_id
        sampling = Sampling.of(settings, () if unknown is None else (unknown,))
        for tokens in generate(self.stepper, encoded, sampling, length=settings.length, seed=seed):
            yield [vocabulary.decode([int(token)]) if token >= 0 else "" for token in tokens]


def open_model(folder: RunFolder, warn: Callable[[str], None] = warnings.warn) -> PortableModel:
    """The model of a run: its portable one, or, while it still trains, that of its latest checkpoint.

    Args:
        folder: the run's.
        warn: told of damaged files that another one takes the place of.

    Raises:
        RunError: the run has neither yet.
        CheckpointError: all that it has is damaged.
    """
    load_plugins()
    if folder.read_record().get("status") != "finished" or not folder.model.is_dir():
        return _from_checkpoint(folder, warn)
    try:
        return read_portable(folder.model)
    except CheckpointError as error:
        try:
            model = _from_checkpoint(folder, warn)
        except GateworkError:
            raise error from None
        warn(f"{error}; its checkpoint is used in its place")
        return model


def _from_checkpoint(folder: RunFolder, warn: Callable[[str], None]) -> PortableModel:
    from framework.config.saved import load_resolved

    experiment = validate_experiment(load_resolved(folder.config / "resolved.yaml"))
    vocabulary = Vocabulary.load(folder.config / VOCABULARY_FILE)
    checkpoint = chosen_checkpoint(CheckpointStore(folder.checkpoints), experiment.data.validation_fraction > 0, warn)
    return portable_model(experiment, model_weights(checkpoint), vocabulary, folder.config)
