"""Layers recorded for any number of steps answer for other lengths as they do themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from attention_models import DECODERS, over_vectors, vectors
from small_models import Workshop
from torch import Tensor, nn
from traced_grus import CELLS, EVERY_CELL, ROWS, STEPS, UNITS, layer, native, plain, sequence

from framework.backends.base.exporting import model_signature
from framework.backends.torch.exporting.graphs import Recordable, _Whole
from framework.backends.torch.exporting.torch_export import program_of
from framework.backends.torch.recorded_loop import over_time

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

BATCH, TIME = torch.export.Dim("batch"), torch.export.Dim("time")


@EVERY_CELL
def test_an_export_answers_for_any_length(name: str) -> None:
    gru = layer(**CELLS[name])
    with torch.no_grad():
        recorded = torch.export.export(gru, (sequence(),), dynamic_shapes={"inputs": {0: BATCH, 1: TIME}}).module()
        for rows, steps in ((ROWS, STEPS), (1, 1), (5, 9)):
            x = sequence(rows, steps)
            expected = native(gru)(x)[0] if name == "plain" else plain(gru, x)
            torch.testing.assert_close(recorded(x), expected)


class Masked(nn.Module):
    """Calls a layer with a mask and a first state."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.gru = layer(return_state=True, **arguments)

    def forward(self, x: Tensor, mask: Tensor, state: Tensor) -> Any:
        return self.gru(x, mask=mask, initial_state=state)


@pytest.mark.parametrize("arguments", [{}, {"zero_output_for_mask": True, "go_backwards": True}, {"return_sequences": False}])
def test_masks_and_states_of_any_length(arguments: dict[str, Any]) -> None:
    module = Masked(**arguments)

    def given(rows: int, steps: int) -> tuple[Tensor, Tensor, Tensor]:
        mask = torch.rand(rows, steps, generator=torch.Generator().manual_seed(steps)) > 0.4
        return sequence(rows, steps), mask, torch.ones(rows, UNITS, dtype=torch.float64) / rows

    shapes = ({0: BATCH, 1: TIME}, {0: BATCH, 1: TIME}, {0: BATCH})
    with torch.no_grad():
        recorded = torch.export.export(module, given(ROWS, STEPS), dynamic_shapes=shapes).module()
        for rows, steps in ((ROWS, STEPS), (1, 1), (5, 9)):
            torch.testing.assert_close(recorded(*given(rows, steps)), module(*given(rows, steps)))


@pytest.mark.parametrize(
    "name", [name if name in ("additive", "two cells", "vector fed") else pytest.param(name, marks=pytest.mark.slow) for name in DECODERS]
)
def test_decoders_of_any_length(name: str, workshop: Workshop) -> None:
    trainee = workshop.trainee(over_vectors(DECODERS[name]))
    trainee.native.requires_grad_(False).eval()
    recorded = program_of(Recordable(model_signature(trainee.plan), _Whole(trainee.native.network))).module()
    for rows, steps, places in ((3, 5, 4), (1, 1, 1), (2, 3, 2)):
        inputs = {"x": vectors()["x"][:rows, :steps], "places": vectors()["places"][:rows, :places]}
        found = recorded(*(torch.from_numpy(np.ascontiguousarray(one)) for one in inputs.values()))
        for output, expected in zip(found, trainee.predict(inputs).values(), strict=True):
            np.testing.assert_allclose(output.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_any_number_of_layers_is_recorded() -> None:
    """torch compiles a step of each, and gives up at the ninth of what it takes for one function of a user's."""
    shapes = {"inputs": {0: BATCH, 1: TIME}}
    with torch.no_grad():
        for units in range(2, 12):
            gru = layer(units, use_bias=units % 2 == 0)
            recorded = torch.export.export(gru, (sequence(),), dynamic_shapes=shapes).module()
            torch.testing.assert_close(recorded(sequence(3, 4)), plain(gru, sequence(3, 4)))


def test_the_scan_that_torch_does_not_document_is_there() -> None:
    last, given = over_time(
        lambda held, read: ([held[0] + read[0]], [held[0] * read[0]]), [torch.ones(2)], [torch.arange(6.0).reshape(3, 2)]
    )
    torch.testing.assert_close(last[0], torch.tensor([7.0, 10.0]))
    torch.testing.assert_close(given[0], torch.tensor([[0.0, 1.0], [2.0, 6.0], [12.0, 25.0]]))
