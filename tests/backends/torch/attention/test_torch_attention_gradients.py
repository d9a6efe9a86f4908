"""The decoder's hand-written backward pass against plain autograd, and second derivatives through it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from attention_models import DECODERS, GRU, over_vectors, sentences, translation, vectors
from small_models import Workshop

from framework.backends.torch.layers import attention_decoder
from framework.data.batches import Batch

pytestmark = pytest.mark.torch


def outputs_of(trainee: Any, given: dict[str, np.ndarray]) -> list[torch.Tensor]:
    return [signal.value for signal in trainee.native.run({name: torch.from_numpy(value) for name, value in given.items()}).values()]


def summed(trainee: Any, given: dict[str, np.ndarray]) -> torch.Tensor:
    """A sum over everything that a decoder puts out, each value with a factor of its own."""
    generator = torch.Generator().manual_seed(5)
    return sum((one * torch.rand(one.shape, dtype=one.dtype, generator=generator)).sum() for one in outputs_of(trainee, given))


def by_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every decoder run the readable form."""
    monkeypatch.setattr(attention_decoder, "_scans", lambda *_: False)
    monkeypatch.setattr(attention_decoder, "attend_whole", attention_decoder.attend)


@pytest.mark.parametrize(
    "dropout",
    [{}, {"dropout": 0.4, "seed": 3}, {"recurrent_dropout": 0.3, "seed": 3}, {"dropout": 0.4, "recurrent_dropout": 0.3, "seed": 3}],
    ids=["whole", "inputs dropped", "state dropped", "both dropped"],
)
@pytest.mark.parametrize("name", DECODERS)
def test_gradients_are_those_of_plain_autograd(name: str, dropout: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = {**DECODERS[name]}
    for key in ("cell", "cells"):
        if key in decoder:
            decoder[key] = {**decoder[key], **dropout} if key == "cell" else [{**one, **dropout} for one in decoder[key]]
    found = []
    for plain in (False, True):
        if plain:
            by_plain_loop(monkeypatch)
        trainee, given = Workshop("torch").trainee(over_vectors(decoder, 1), precision="64-true"), vectors(1)
        trainee.native.train()
        inputs = {key: torch.from_numpy(value).double().requires_grad_() for key, value in given.items()}
        outputs = [signal.value for signal in trainee.native.run(inputs).values()]
        generator = torch.Generator().manual_seed(5)
        total = sum((one * torch.rand(one.shape, dtype=one.dtype, generator=generator)).sum() for one in outputs)
        wanted = {**dict(trainee.native.network.weights()), **inputs}
        gradients = torch.autograd.grad(total, list(wanted.values()), materialize_grads=True, allow_unused=True)
        found.append({"total": total.detach(), **dict(zip(wanted, gradients, strict=True))})
    for key, value in found[0].items():
        torch.testing.assert_close(value, found[1][key], rtol=0, atol=1e-10, msg=lambda text, key=key: f"{key}: {text}")


def test_the_fast_forms_are_the_ones_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    for name in ("scan", "attend_whole"):
        original = getattr(attention_decoder, name)
        monkeypatch.setattr(attention_decoder, name, lambda *given, original=original, name=name: ran.append(name) or original(*given))
    for decoder in (DECODERS["additive"], DECODERS["the tutorial's"], DECODERS["after"], DECODERS["two cells"]):
        outputs_of(Workshop("torch").trainee(over_vectors(decoder)), vectors())
    assert ran == ["scan", "scan", "attend_whole"]


@pytest.mark.parametrize("name", ["additive", "the tutorial's", "dot", "after"])
def test_second_derivatives_are_those_of_plain_autograd(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for plain in (False, True):
        if plain:
            by_plain_loop(monkeypatch)
        trainee = Workshop("torch").trainee(over_vectors(DECODERS[name]), precision="64-true")
        weights = list(dict(trainee.native.network.weights()).values())
        first = torch.autograd.grad(summed(trainee, vectors()), weights, create_graph=True, materialize_grads=True, allow_unused=True)
        penalty = sum(one.square().sum() for one in first if one.requires_grad)
        found.append(torch.autograd.grad(penalty, weights, materialize_grads=True, allow_unused=True))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", ["additive", "after"])
def test_an_attention_that_is_itself_penalised_is_differentiated(name: str) -> None:
    """Weights are outputs like the others: a loss may read them alone."""
    trainee = Workshop("torch").trainee(over_vectors(DECODERS[name]), precision="64-true")
    weights = dict(trainee.native.network.weights())
    attention = trainee.native.run({key: torch.from_numpy(value) for key, value in vectors().items()})["attention"].value
    total = (attention.sum(1) - 1.0).square().sum()
    [gradient] = torch.autograd.grad(total, [weights["decoder/attention/query/kernel"]])
    assert gradient.abs().max() > 1e-6


def test_what_was_put_out_may_be_written_over() -> None:
    trainee, given = Workshop("torch").trainee(translation(), precision="64-true"), sentences()
    batch = Batch(given, given["target"])
    _, expected = trainee.loss_and_gradients(batch)
    graph = trainee.native.network

    def write_over(module: Any, given: Any, outputs: Any) -> None:
        for signal in outputs.values():
            signal.value.mul_(1.0)

    handle = graph.layer("decoder").register_forward_hook(write_over)
    _, found = trainee.loss_and_gradients(batch)
    handle.remove()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-12, err_msg=name)


def test_only_what_is_trained_gets_gradients() -> None:
    frozen = translation({"cell": {**GRU, "trainable": False}})
    trainee, given = Workshop("torch").trainee(frozen), sentences()
    _, gradients = trainee.loss_and_gradients(Batch(given, given["target"]))
    assert not [name for name in gradients if name.startswith("decoder/cell/")]
    assert "decoder/attention/query/kernel" in gradients


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["additive", "vector fed", "after"])
def test_a_recorded_graph_gives_the_same_numbers(name: str) -> None:
    trainee, given = Workshop("torch").trainee(translation(DECODERS[name])), sentences()
    inputs = {key: torch.from_numpy(value) for key, value in given.items()}
    trainee.native.eval()
    with torch.no_grad():
        expected = trainee.native(inputs)
        recorded = torch.jit.trace(_Whole(trainee.native.network), (inputs["source"], inputs["target"]), check_trace=False)
        torch.testing.assert_close(recorded(inputs["source"], inputs["target"]), expected, rtol=0, atol=1e-6)


class _Whole(torch.nn.Module):
    def __init__(self, graph: torch.nn.Module) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> Any:
        return self.graph({"source": source, "target": target})["output"].value


@pytest.mark.parametrize("name", ["the tutorial's", "after"])
def test_lower_precision_computes_the_same_within_its_own(name: str) -> None:
    trainee, given = Workshop("torch").trainee(translation(DECODERS[name])), sentences()
    inputs = {key: torch.from_numpy(value) for key, value in given.items()}
    with torch.no_grad():
        expected = trainee.native(inputs)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = trainee.native(inputs)
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.05)


def test_a_function_of_ones_own_runs_the_plain_loop() -> None:
    decoder = {"cell": {**GRU, "activation": "softmax"}}
    trainee = Workshop("torch").trainee(translation(decoder), precision="64-true")
    given = sentences()
    loss, gradients = trainee.loss_and_gradients(Batch(given, given["target"]))
    assert np.isfinite(loss) and all(np.isfinite(one).all() for one in gradients.values())


def test_groups_of_processes_draw_the_masks_of_their_own_rows() -> None:
    """Dropout depends on the step and the row: the second half of a batch drops what it would as part of the whole."""
    decoder = {"cell": {**GRU, "dropout": 0.5, "seed": 4}}
    trainee, given = Workshop("torch").trainee(translation(decoder)), sentences(rows=4)
    trainee.native.train()
    run = partial(outputs_of, trainee)
    trainee.native.network.start_step(3)
    [whole] = run(given)
    trainee.native.network.start_step(4)
    trainee.native.network.start_step(3, first_row=2)
    [part] = run({name: value[2:] for name, value in given.items()})
    torch.testing.assert_close(part, whole[2:], rtol=0, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("name", DECODERS)
def test_a_gpu_gives_the_numbers_of_a_cpu(name: str) -> None:
    found = []
    for device in ("cpu", "cuda"):
        trainee = Workshop("torch").trainee(over_vectors(DECODERS[name], 1), precision="64-true")
        graph = trainee.native.to(device).network
        outputs = graph({key: torch.from_numpy(value).to(device) for key, value in vectors(1).items()})
        total = sum(signal.value.square().sum() for signal in outputs.values())
        weights = list(dict(graph.weights()).values())
        found.append([total, *torch.autograd.grad(total, weights, materialize_grads=True, allow_unused=True)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other.cpu(), rtol=1e-9, atol=1e-10)
