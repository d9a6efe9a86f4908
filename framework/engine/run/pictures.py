"""What a trained model makes of held-out examples, for people: what it attended to, and a table of its best and worst predictions."""

from __future__ import annotations

from collections.abc import Callable

from framework.backends.base.backend import Trainee
from framework.engine.run.evaluation_page import write_evaluation
from framework.engine.run.folder import RunFolder
from framework.engine.run.portable import WEIGHTS_FILE
from framework.engine.run.prepare import Prepared
from framework.engine.run.scoring import score_examples
from framework.errors import GateworkError
from framework.report.attended import draw_attended
from framework.tasks.decoding import obstacle_lines
from framework.tasks.model import Model
from framework.weights.store import load_weights

PART = "validation"

_DRAWN = 4
"""Examples of which it is drawn what was attended to."""


def write_pictures(folder: RunFolder, prepared: Prepared, trainee: Trainee, warn: Callable[[str], None]) -> None:
    """Writes ``plots/attention-1.png`` and so on, and ``evaluations/validation.md``, where the task has such.

    Predictions are made as the config says, of ``trainer.limit_scored_examples`` examples at most, by the run's portable model.

    Args:
        folder: of the run, its portable model written.
        prepared: what was trained.
        trainee: the model; it has the portable model's weights afterwards.
        warn: told what could not be made. The run has ended well all the same.
    """
    if prepared.experiment.trainer.sample_every_n_epochs is None or obstacle_lines(prepared.experiment, prepared.plan):
        return
    try:
        trainee.set_weights(load_weights(folder.model / WEIGHTS_FILE))
        model = prepared.model(trainee)
        examples = prepared.data.examples.get(PART) or prepared.data.examples.get("train") or ()
        rows = [examples[number].inputs for number in range(min(_DRAWN, len(examples)))]
        for number, one in enumerate(prepared.task.attended(model, rows) if rows else (), start=1):
            draw_attended(folder.plots / f"attention-{number}.png", one)
        _write_table(folder, prepared, model)
    except GateworkError as error:
        warn(f"not all pictures of the trained model were made: {error}")


def _write_table(folder: RunFolder, prepared: Prepared, model: Model) -> None:
    examples = prepared.data.examples.get(PART, ())
    shown = examples[: prepared.experiment.trainer.limit_scored_examples]
    if not prepared.task.scores or not shown:
        return
    part = PART if len(shown) == len(examples) else f"the first {len(shown):,} of {len(examples):,} examples of {PART}"
    write_evaluation(folder, PART, score_examples(prepared.task, model, list(shown)), part)
