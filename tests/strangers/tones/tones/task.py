"""A task: one label for a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from framework.plugin import Experiment, Interface, Model, ModelPlan, PreparedData, ProblemCollector, Row, Task, TaskSpec, Totals, task


class ClassifierSpec(TaskSpec):
    """Choose one of the labels."""

    kind: Literal["sequence_classifier"] = "sequence_classifier"


@task(ClassifierSpec)
class SequenceClassifier(Task):
    """Cross-entropy of logits ``(rows, labels)``, in nats a row."""

    def check(self, plan: ModelPlan, experiment: Experiment, sizes: Mapping[str, int], collector: ProblemCollector) -> None:
        reference = plan.outputs["output"]
        shape = plan.tensor(reference).shape
        if len(shape) != 2:
            collector.add("model.outputs", f"'{reference}' gives an output a step", expected="one output a sequence")
        elif shape[-1] != sizes.get("labels", shape[-1]):
            collector.add(
                f"model.layers.{reference.node}", f"gives {shape[-1]} logits", expected=f"{sizes['labels']}, the number of labels"
            )

    def describe(self, totals: Totals, data: PreparedData) -> dict[str, float]:
        return {"accuracy": totals.mean("correct")} if "correct" in totals.sums else {}

    def interface(self, experiment: Experiment) -> Interface:
        return Interface({"phrase": "string"}, {"label": "string", "probability": "double"})

    def input_example(self, experiment: Experiment) -> Row:
        return {"phrase": "good morning"}

    def predict(self, model: Model, rows: Sequence[Row], settings: Mapping[str, Any], seed: int = 0) -> list[Row]:
        self.interface(model.experiment).check(rows)
        processor: Any = model.processor
        logits = model.trainee.predict({"letters": processor.encode([str(row["phrase"]) or " " for row in rows])})["output"].astype(float)
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return [{"label": processor.labels[one.argmax()], "probability": float(one.max())} for one in shares]
