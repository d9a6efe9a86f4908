"""What several processes exchange a step."""

from __future__ import annotations

import pytest

import framework
from framework.builder.costs import model_cost
from framework.builder.exchange import exchange_of
from framework.engine.run.planning import plan_experiment, with_sizes


@pytest.mark.parametrize(("processes", "share"), [(2, 1.0), (4, 1.5)])
def test_a_ring_sends_its_share_of_the_gradients(processes: int, share: float) -> None:
    experiment = framework.load("text_generation_stateless", [f"trainer.devices={processes}"])
    filled = with_sizes(experiment, {"tokens": 65})
    plan = plan_experiment(filled, {"tokens": 65})
    found = exchange_of(filled, plan, plan)
    assert found is not None
    assert found.gradient_bytes == 4 * plan.parameters
    assert found.sent_bytes == share * found.gradient_bytes
    assert found.kept_bytes == 4 * 4 * plan.parameters  # weights, gradients, and Adam's two values
    assert found.rows == experiment.data.batch_size // processes


@pytest.mark.parametrize(
    ("recipe", "sizes"),
    [
        ("text_generation", {"tokens": 65}),
        ("text_generation_stateless", {"tokens": 65}),
        ("translation", {"source": 80, "target": 90}),
        ("captioning", {"features": 50, "target": 70}),
    ],
)
def test_a_process_computes_what_its_rows_alone_would_cost(recipe: str, sizes: dict[str, int]) -> None:
    alone, share = (
        with_sizes(framework.load(recipe, [f"data.batch_size={rows}", f"trainer.devices={processes}"]), sizes)
        for rows, processes in ((16, 1), (64, 4))
    )
    plan = plan_experiment(share, sizes)
    found = exchange_of(share, plan, plan)
    assert found is not None
    assert found.rows == 16
    assert found.cost == model_cost(plan_experiment(alone, sizes), 16, 1)


def test_a_process_keeps_every_value_of_its_optimizer() -> None:
    words = ["optimizer=rmsprop", "optimizer.centered=true", "optimizer.momentum=0.9", "trainer.devices=2"]
    experiment = with_sizes(framework.load("text_generation_stateless", words), {"tokens": 65})
    plan = plan_experiment(experiment, {"tokens": 65})
    found = exchange_of(experiment, plan, plan)
    assert found is not None
    assert found.kept_bytes == 4 * 5 * plan.parameters  # weights, gradients; means of squares, of gradients, and the momentum


def test_one_process_exchanges_nothing() -> None:
    experiment = with_sizes(framework.load("text_generation"), {"tokens": 65})
    plan = plan_experiment(experiment, {"tokens": 65})
    assert exchange_of(experiment, plan, plan) is None
