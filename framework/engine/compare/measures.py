"""What a trained model is measured by once its run has ended: a sample, parts of its data, and inputs that a publication shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from framework.data.prepare import PREPARATIONS, prepare
from framework.data.prepared import PreparedData
from framework.engine.model.evaluate import measure_part
from framework.engine.model.opening import open_model
from framework.engine.run.digest import counts, leaves
from framework.engine.run.folder import RunFolder
from framework.errors import InputError
from framework.report.attended import draw_attended
from framework.spec.result import ResultAnswer, ResultSample
from framework.spec.targets import Evaluation, Probe, Variant
from framework.tasks.known import task_of
from framework.tasks.model import Model
from framework.tasks.task import Row


@dataclass(frozen=True)
class TrainedModel:
    """The model that ``gatework generate`` and its like take of a run, and the run's data.

    Attributes:
        folder: the run's; its training has ended or was stopped in order.
    """

    folder: RunFolder

    @cached_property
    def model(self) -> Model:
        """The model.

        Raises:
            GateworkError: it cannot be opened.
        """
        return open_model(self.folder)

    @cached_property
    def data(self) -> PreparedData:
        """The data, read with the model's processor.

        Raises:
            DataError: it is not there any more.
        """
        experiment = self.model.experiment
        known = self.model.processor if PREPARATIONS.named(experiment.data.kind).takes_processor else None
        return prepare(experiment.data, experiment.paths, experiment.seed, known)

    def sample(self, weights: str, step: int) -> ResultSample:
        """What it makes, as long as the config's decoding says.

        Args:
            weights: ``last`` or ``best``, whichever it has.
            step: optimizer steps that they have behind them.
        """
        experiment = self.model.experiment
        decoding = experiment.decoding.model_copy(update={"sample_length": experiment.decoding.length})
        whole = replace(self.model.knowing(self.data), experiment=experiment.model_copy(update={"decoding": decoding}))
        text = task_of(experiment).sample(whole, self.data) or ""
        used = {name: value for name, value in leaves(decoding.model_dump(mode="json")) if counts(f"decoding.{name}", value)}
        shown = {name: value for name, value in used.items() if value is not None and name != "sample_length"}
        return ResultSample(model=weights, step=step, settings=shown, seed=experiment.seed, text=text)  # type: ignore[arg-type]

    def figures(self, evaluations: Mapping[str, Evaluation]) -> tuple[dict[str, float], dict[str, str]]:
        """What each evaluation measures, by ``<evaluation>_<figure>``; and the scores' signatures, likewise.

        Raises:
            InputError: a part or a setting of decoding does not exist, or an extra that the scores need is not installed.
        """
        figures: dict[str, float] = {}
        signatures: dict[str, str] = {}
        for name, one in evaluations.items():
            decoding = self.model.decoding(**one.decoding)
            model = replace(self.model, experiment=self.model.experiment.model_copy(update={"decoding": decoding}))
            found = measure_part(model, self.data, one.split)
            figures.update({f"{name}_{key}": value for key, value in found.figures.items()})
            signatures.update({f"{name}_{key}": value for key, value in found.signatures.items()})
        return figures, signatures

    def draw_attention(self, path: Path, variant: Variant) -> bool:
        """Draws what was attended to in the variant's example, or in the probe with the longest answer; whether there was one.

        Args:
            path: of the picture.
            variant: that was run.

        Raises:
            InputError: the data has no such part.
            RunError: the picture cannot be written.
        """
        rows: list[Row] = [one.inputs for one in variant.probes]
        if variant.drawn is not None:
            examples = self.data.examples.get(variant.drawn.split, ())
            if variant.drawn.number >= len(examples):
                raise InputError(f"there is no example {variant.drawn.number} of {variant.drawn.split} to draw; it has {len(examples):,}")
            rows = [examples[variant.drawn.number].inputs]
        found = task_of(self.model.experiment).attended(self.model.knowing(self.data), rows) if rows else ()
        if not found:
            return False
        longest = max(found, key=lambda one: len(one.written))
        draw_attended(path, longest)
        return True

    def answers(self, probes: Sequence[Probe]) -> list[ResultAnswer]:
        """What it makes of inputs, and whether that is right."""
        if not probes:
            return []
        rows = task_of(self.model.experiment).predict(self.model, [one.inputs for one in probes], {}, self.model.experiment.seed)
        found = []
        for probe, row in zip(probes, rows, strict=True):
            output = " / ".join(str(value) for value in row.values())
            found.append(ResultAnswer(inputs=probe.inputs, output=output, right=output in probe.right))
        return found
