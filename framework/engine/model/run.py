"""A run as its user holds it: what it measured, and what its model makes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from framework.backends.base.backend import Trainee
from framework.decoding.precision import Precision
from framework.engine.model.opening import open_model
from framework.engine.run.folder import RunFolder, find_run
from framework.engine.run.recorder import read_records
from framework.errors import InputError, RunError
from framework.spec.decoding import DecodingSpec
from framework.tasks.known import task_of, writing_task
from framework.tasks.model import Model
from framework.tasks.task import Row


class Run:
    """One run, finished or not. Several threads may use it at the same time.

    Args:
        folder: its folder.
        runs_dir: folder of all the user's runs; data beside it is the user's own.
        precision: of large products when its model decodes.
    """

    def __init__(self, folder: RunFolder, runs_dir: str = "runs", precision: Precision = "float32") -> None:
        self.folder, self.precision = folder, precision
        self._runs_dir = runs_dir
        self._model: Model | None = None
        self._opening = threading.Lock()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, status={self.status!r})"

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @property
    def status(self) -> str:
        """``running``, ``finished``, ``stopped``, ``failed`` or ``killed``."""
        return self.folder.status

    def metrics(self) -> dict[str, list[tuple[int, float]]]:
        """Everything recorded: by metric name, (step, value) in order."""
        found: dict[str, list[tuple[int, float]]] = {}
        for record in read_records(self.folder.metrics):
            for name, value in record.values.items():
                found.setdefault(name, []).append((record.step, value))
        return found

    def generate(
        self,
        prompt: str,
        *,
        length: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> str:
        """Text that the model makes of ``prompt``, the prompt included.

        Args:
            prompt: at least one token.
            length: tokens to generate; the config's when not given, as for the settings below.
            temperature: logits are divided by this before drawing.
            top_k: draw among the k most likely tokens only.
            top_p: draw among the most likely tokens that together reach this probability.
            seed: seed of the draws.

        Raises:
            DataError: the prompt has tokens outside the vocabulary; they are named.
        """
        settings = {"length": length, "temperature": temperature, "top_k": top_k, "top_p": top_p}
        return str(self.predict([{"prompt": prompt}], seed=seed, **settings)[0]["text"])

    def stream(self, prompts: Sequence[str], settings: DecodingSpec | None = None, seed: int = 0) -> Iterator[list[str]]:
        """As :meth:`generate` for many prompts in one batch, piece by piece: a list with each prompt's next piece of text.

        Raises:
            InputError: the run's task makes no running text.
        """
        task = task_of(self.model.experiment)
        if not hasattr(task, "stream"):
            raise InputError(f"a model of task '{self.model.experiment.task.kind}' makes no running text; use predict")
        pieces: Iterator[list[str]] = task.stream(self.model, prompts, settings or self.model.decoding(), seed)
        return pieces

    def translate(
        self,
        texts: Sequence[str],
        *,
        strategy: str | None = None,
        beam_width: int | None = None,
        length_penalty: float | None = None,
        coverage_penalty: float | None = None,
        max_length: int | None = None,
        seed: int = 0,
    ) -> list[str]:
        """The best translation of each text, in order.

        Args:
            texts: raw; they are cleaned as in training.
            strategy: ``greedy``, ``sample`` or ``beam``; the config's when not given, as for the settings below.
            beam_width: sequences that a beam search follows; by itself it asks for one.
            length_penalty: what sequences of different lengths are compared by.
            coverage_penalty: how much sequences lose that leave parts of the text without attention.
            max_length: tokens of a translation at most, the end token counted.
            seed: seed of draws, with strategy sample.

        Raises:
            InputError: the run's task translates nothing, ``texts`` is one text, or a setting is out of range.
            DataError: a text has words that a vocabulary without ``[UNK]`` lacks; they are named.
        """
        if isinstance(texts, str):
            raise InputError("one text is given; expected a list of texts")
        settings = {"strategy": strategy, "beam_width": beam_width, "length_penalty": length_penalty, "max_length": max_length}
        return self._written("translation", texts, {**settings, "coverage_penalty": coverage_penalty}, seed)

    def caption(
        self,
        images: Sequence[str | Path | bytes],
        *,
        strategy: str | None = None,
        beam_width: int | None = None,
        length_penalty: float | None = None,
        max_length: int | None = None,
        seed: int = 0,
    ) -> list[str]:
        """The best caption of each image, in order.

        Args:
            images: paths of files, or what files hold.
            strategy: ``greedy``, ``sample`` or ``beam``; the config's when not given, as for the settings below.
            beam_width: sequences that a beam search follows; by itself it asks for one.
            length_penalty: what sequences of different lengths are compared by.
            max_length: tokens of a caption at most, the end token counted.
            seed: seed of draws, with strategy sample.

        Raises:
            InputError: the run's task captions nothing, ``images`` is one image, one is an address, or a setting is out of range.
            DataError: an image cannot be read; it is named.
        """
        if isinstance(images, (str, Path, bytes)):
            raise InputError("one image is given; expected a list of images")
        settings = {"strategy": strategy, "beam_width": beam_width, "length_penalty": length_penalty, "max_length": max_length}
        return self._written("caption", images, settings, seed)

    def _written(self, written: str, inputs: Sequence[Any], settings: dict[str, Any], seed: int) -> list[str]:
        task = writing_task(self.model.experiment, written)
        found = self.predict([{task.read: one} for one in inputs], seed=seed, **settings) if inputs else []
        return [str(row[written]) for row in found]

    def predict(self, rows: Sequence[Row], *, seed: int = 0, **settings: Any) -> list[Row]:
        """Predictions for raw input, whatever the run's task.

        Args:
            rows: each with the columns that the task reads, such as ``{"prompt": "ROMEO: "}``.
            seed: of random draws.
            **settings: of the task, such as ``length``; the config's where not given.

        Raises:
            InputError: a row or a setting cannot be taken; it is named.
        """
        return task_of(self.model.experiment).predict(self.model, rows, settings, seed)

    def evaluate(self, split: str = "auto", overrides: Sequence[str] = (), *, scores: bool = True) -> dict[str, Any]:
        """Loss and scores on one part of the run's data, or on all of other data, as ``gatework evaluate`` measures them.

        Args:
            split: ``train``, ``validation``, ``test``, or another part of the data; ``auto``: validation where there is one.
            overrides: other data, such as ``data.path=other.txt``, or how to decode, such as ``decoding.beam_width=5``.
            scores: whether held-out examples are predicted and scored too, where the task has scores.

        Returns:
            ``loss`` (nats a token for a language model), the task's other units, its scores, and what tells them apart.

        Raises:
            InputError: there is no such part, the data is not at hand, or an extra that the scores need is not installed.
        """
        from framework.engine.model.evaluate import evaluate_run

        return evaluate_run(str(self.path), split, self._runs_dir, overrides=overrides, scores=scores)

    def convert(self, backend: str, name: str | None = None, overrides: Sequence[str] = ()) -> Run:
        """The same run on the other backend, its outputs compared with this one's; it lies beside this one.

        Args:
            backend: ``torch`` or ``tensorflow``.
            name: of the new run; ``<name>-<backend>`` when not given.
            overrides: where the run's data lies now, such as ``data.path=my.txt``.

        Raises:
            InputError: the run is of that backend already, has no checkpoint, or its data is not at hand.
            ParityError: outputs differ by more than they may.
        """
        from framework.engine.model.convert import convert_run

        return Run(convert_run(str(self.path), backend, name, self._runs_dir, overrides=overrides).folder, self._runs_dir)

    def export(self, format_name: str, output: str | Path | None = None, overrides: Sequence[str] = ()) -> Path:
        """Writes the model in a format that is used without Gatework, its outputs compared first; the folder that it lies in.

        Args:
            format_name: ``onnx``, ``torch_export``, ``safetensors`` …, as ``gatework export --help`` lists them.
            output: folder to write; ``<run>/exports/<format>`` when not given.
            overrides: where the run's data lies now, such as ``data.path=my.txt``.

        Raises:
            InputError: there is no such format, it needs a library that is not installed, or the run's data is not at hand.
            UnsupportedArgument: the format cannot hold a layer or an argument; it is named.
            ParityError: the written file computes something else; nothing is left of it.
        """
        from framework.engine.model.exporting import export_model

        return export_model(str(self.path), format_name, output, self._runs_dir, overrides=overrides).folder

    @property
    def model(self) -> Model:
        """This run's model with what belongs to it; loaded at first use, with its best weights where it was validated."""
        with self._opening:  # loaded once, whoever asks first
            if self._model is None:
                self._model = open_model(self.folder, precision=self.precision)
            return self._model

    @property
    def trainee(self) -> Trainee:
        """The model with its trained weights on the run's backend; ``trainee.native`` is the Keras or Lightning model itself."""
        return self.model.trainee

    def record(self) -> dict[str, Any]:
        """``run.json``: status, digests, versions, sizes, times."""
        record = self.folder.read_record()
        if not record:
            raise RunError(f"{self.path} is no run: run.json is not there")
        return record


def open_run(name: str, runs_dir: str = "runs", precision: Precision = "float32") -> Run:
    """A run by its folder, its name, ``<recipe>/<name>``, its MLflow run id, or ``last``.

    Args:
        name: of the run.
        runs_dir: folder of all runs.
        precision: of large products when its model decodes: ``float32``, ``bfloat16`` or, on torch, ``int8``.

    Raises:
        RunError: there is no such run.
    """
    return Run(find_run(name, runs_dir), runs_dir, precision)
