"""Models of a config under what records, transforms or counts them: the same numbers, or one clear refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import Workshop, language_model
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from framework.errors import UnsupportedArgument

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")]

LAYERS: dict[str, dict[str, Any]] = {
    "embedding": {"kind": "embedding", "input_dim": 11, "output_dim": 5, "mask_zero": True},
    "drop": {"kind": "dropout", "rate": 0.5},
    "both": {"kind": "bidirectional", "layer": {"kind": "gru", "units": 3, "return_sequences": True}},
    "normalization": {"kind": "layer_normalization"},
    "gru": {"kind": "gru", "units": 4, "return_sequences": True, "return_state": True, "dropout": 0.5, "dtype": "float32"},
    "twice": {"kind": "add", "inputs": ["gru", "gru"]},
}
"""Masks, both directions, and a layer with a data type of its own."""


def tokens(rows: int = 4) -> Tensor:
    return torch.randint(0, 11, (rows, 6), generator=torch.Generator().manual_seed(rows))


@pytest.fixture
def native(workshop: Workshop) -> Any:
    module = workshop.trainee(language_model(**LAYERS)).native
    return module.eval()


def test_a_trace_answers_for_other_batches(native: Any) -> None:
    traced = native.to_torchscript(method="trace", example_inputs=tokens())
    for rows in (4, 7):
        torch.testing.assert_close(traced(tokens(rows)), native(tokens(rows)))


@pytest.mark.slow
def test_an_export_answers_for_other_batches(native: Any) -> None:
    batch = torch.export.Dim("batch", min=2)
    shapes = {"inputs": {"tokens": {0: batch}}}
    exported = torch.export.export(native.network, ({"tokens": tokens()},), dynamic_shapes=shapes).module()
    for rows in (4, 7):
        torch.testing.assert_close(exported({"tokens": tokens(rows)})["output"].value, native(tokens(rows)))


LENGTHS = {"inputs": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}}


def test_a_whole_model_is_exported_for_any_length(native: Any) -> None:
    with torch.no_grad():
        exported = torch.export.export(native, (tokens(),), dynamic_shapes=LENGTHS).module()
        for given in (tokens(), tokens(2)[:, :3], tokens(7)):
            torch.testing.assert_close(exported(given), native(given))


@pytest.mark.parametrize("dynamo", [pytest.param(True, marks=pytest.mark.slow), False])
def test_a_whole_model_as_onnx(native: Any, dynamo: bool, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    if dynamo:
        pytest.importorskip("onnxscript")
    lengths: dict[str, Any] = {"dynamic_shapes": LENGTHS} if dynamo else {"dynamic_axes": {"inputs": {0: "batch"}}}
    torch.onnx.export(native, (tokens(),), tmp_path / "model.onnx", dynamo=dynamo, input_names=["inputs"], verbose=False, **lengths)
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    for given in (tokens(), tokens(2)[:, :3] if dynamo else tokens(2)):
        (found,) = session.run(None, {"inputs": given.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), native(given).detach(), atol=1e-6, rtol=1e-5)


def test_the_meta_device(native: Any) -> None:
    expected = native(tokens()).shape
    output = native.to("meta")(tokens().to("meta"))
    output.sum().backward()
    assert output.shape == expected
    assert all(one.grad is not None and one.grad.is_meta for one in native.parameters())


def test_gradients_of_each_row(native: Any) -> None:
    weights = dict(native.named_parameters())

    def loss(weights: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(native, weights, (row[None],)).square().sum()

    found = vmap(grad(loss), (None, 0))(weights, tokens())
    for number, row in enumerate(tokens()):
        expected = torch.autograd.grad(native(row[None]).square().sum(), list(weights.values()), materialize_grads=True, allow_unused=True)
        torch.testing.assert_close([one[number] for one in found.values()], list(expected), atol=1e-5, rtol=1e-4)


class Half(nn.Module):
    """A module of the user's that holds a model."""

    def __init__(self, native: nn.Module) -> None:
        super().__init__()
        self.native = native

    def forward(self, inputs: Tensor) -> Tensor:
        result: Tensor = self.native(inputs) / 2
        return result


def test_symbols_pass_a_model_as_one_node(native: Any) -> None:
    recorded = torch.fx.symbolic_trace(Half(native))
    torch.testing.assert_close(recorded(tokens(7)), native(tokens(7)) / 2)
    with pytest.raises(UnsupportedArgument, match=r"this model: .* cannot look into it"):
        torch.fx.symbolic_trace(native)


def test_dropout_in_training_is_not_recorded(native: Any, workshop: Workshop) -> None:
    with pytest.raises(UnsupportedArgument, match=r"layer 'drop': the mask of a dropout in training .*; call eval\(\)"):
        torch.export.export(native.network.train(), ({"tokens": tokens()},))
    kept = workshop.trainee(language_model(gru={"kind": "gru", "units": 4, "return_sequences": True, "stateful": True})).native
    with pytest.raises(UnsupportedArgument, match="GRU 'gru': the kept state of a stateful layer would be a constant"):
        kept.to_torchscript(method="trace", example_inputs=tokens())
