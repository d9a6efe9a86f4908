"""What records or counts a GRU gets the numbers of ``nn.GRU`` and of plain operations, or one clear refusal."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.autograd.functional import jacobian
from torch.func import grad, jacfwd, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.flop_counter import FlopCounterMode
from traced_grus import CELLS, EVERY_CELL, FEATURES, ROWS, STEPS, UNITS, layer, native, plain, sequence

from framework.backends.torch import GRU, tracing
from framework.backends.torch.gru import products, routes
from framework.errors import InputError, UnsupportedArgument

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")]

# Recorded graphs ---------------------------------------------------------------------------------------------------------------------


@EVERY_CELL
@pytest.mark.parametrize("gradients", [False, True])
def test_a_trace_answers_for_other_batches(name: str, gradients: bool) -> None:
    gru, x = layer(**CELLS[name]), sequence()
    with torch.set_grad_enabled(gradients):
        traced = torch.jit.trace(gru, (x,))
    assert "PythonOp" not in str(traced.graph)
    for rows in (ROWS, 5):
        torch.testing.assert_close(traced(sequence(rows)), plain(gru, sequence(rows)))
    traced(x).sum().backward()
    found = gru.recurrent_kernel.grad.clone()
    torch.testing.assert_close(found, torch.autograd.grad(plain(gru, x).sum(), gru.recurrent_kernel)[0])


@EVERY_CELL
@pytest.mark.parametrize("steps", [STEPS - 1, STEPS + 2])
def test_a_trace_answers_for_another_length_or_refuses_it(name: str, steps: int) -> None:
    gru = layer(**CELLS[name])
    traced, x = torch.jit.trace(gru, (sequence(),)), sequence(steps=steps)
    if name in ("reset before", "silu"):
        with pytest.raises(RuntimeError, match=r"Expected \d+ elements in a list|unbind"):
            traced(x)
    else:
        torch.testing.assert_close(traced(x), plain(gru, x))


@pytest.mark.parametrize("reset_after", [True, False])
def test_a_trace_of_a_large_layer(reset_after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """From some size on, a layer takes another way without gradients; a trace recorded nothing but zeros of it."""
    monkeypatch.setattr(routes, "KERNEL_WEIGHTS", 1)
    monkeypatch.setattr(products, "PACKED_SIZE", 1)
    monkeypatch.setattr(products, "PACKED_SIZE_AVX2", 1)
    gru, x = layer(40, "float32", reset_after=reset_after), sequence(steps=40, dtype=torch.float32)
    with torch.no_grad():
        traced = torch.jit.trace(gru, (x,))
        torch.testing.assert_close(traced(-x), plain(gru, -x), atol=1e-6, rtol=1e-5)


class Masked(nn.Module):
    """Calls a layer with a mask and a first state."""

    def __init__(self, gru: GRU) -> None:
        super().__init__()
        self.gru = gru

    def forward(self, x: Tensor, mask: Tensor, state: Tensor) -> Any:
        return self.gru(x, mask=mask, initial_state=state)


MASKS = [torch.tensor(one, dtype=torch.bool) for one in ([[1, 0, 1], [0, 1, 1]], [[0, 0, 1], [1, 1, 0]])]


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("record", ["trace", "export"])
def test_a_recorded_mask_is_that_of_each_call(record: str, return_sequences: bool) -> None:
    module = Masked(layer(return_sequences=return_sequences, return_state=True))
    state = torch.randn(ROWS, UNITS, dtype=torch.float64)
    example = (sequence(), MASKS[0], state)
    recorded = torch.jit.trace(module, example) if record == "trace" else torch.export.export(module, example).module()
    for mask in MASKS:
        given = (sequence().flip(0), mask, state.flip(0))
        torch.testing.assert_close(recorded(*given), module(*given))


@pytest.mark.parametrize(("name", "strict"), [*((name, False) for name in CELLS), ("plain", True), ("reset before", True)])
def test_an_export_answers_for_other_batches(name: str, strict: bool) -> None:
    gru, x = layer(**CELLS[name]), sequence()
    batch = torch.export.Dim("batch", min=2)
    exported = torch.export.export(gru, (x,), dynamic_shapes={"inputs": {0: batch}}, strict=strict).module()
    for rows in (ROWS, 5):
        torch.testing.assert_close(exported(sequence(rows)), plain(gru, sequence(rows)))


@EVERY_CELL
def test_graphs_of_plain_operations(name: str) -> None:
    gru, x = layer(**CELLS[name]), sequence()
    torch.testing.assert_close(make_fx(gru)(x)(-x), plain(gru, -x))


def test_compiled_layers_train() -> None:
    gru, x = layer(), sequence()
    compiled = torch.compile(gru, backend="eager", fullgraph=True)
    expected = torch.autograd.grad(plain(gru, x).square().sum(), list(gru.parameters()))
    torch.testing.assert_close(torch.autograd.grad(compiled(x).square().sum(), list(gru.parameters())), expected)


class Holder(nn.Module):
    """A layer between others."""

    def __init__(self, gru: GRU) -> None:
        super().__init__()
        self.before, self.gru = nn.Linear(FEATURES, FEATURES, dtype=torch.float64), gru

    def forward(self, x: Tensor) -> Tensor:
        output, state = self.gru(self.before(x))
        return output + state[:, None]


def test_symbols_pass_a_layer_as_one_node() -> None:
    module = Holder(layer(return_state=True))
    recorded = torch.fx.symbolic_trace(module)
    assert [str(node.target) for node in recorded.graph.nodes if node.op == "call_module"] == ["before", "gru"]
    torch.testing.assert_close(recorded(sequence(5, 4)), module(sequence(5, 4)))
    with pytest.raises(UnsupportedArgument, match="cannot look into it; record a module that holds it"):
        torch.fx.symbolic_trace(layer())


@pytest.mark.parametrize("dynamo", [False, True])
@EVERY_CELL
def test_onnx_models_answer_as_the_layer(name: str, dynamo: bool, tmp_path: Any) -> None:
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    if dynamo:
        pytest.importorskip("onnxscript")
    gru, x = layer(dtype="float32", **CELLS[name]), sequence(dtype=torch.float32)
    file = tmp_path / "gru.onnx"
    axes: dict[str, Any] = {} if dynamo else {"dynamic_axes": {"x": {0: "batch"}}}
    torch.onnx.export(gru, (x,), str(file), dynamo=dynamo, input_names=["x"], **axes)
    (found,) = runtime.InferenceSession(str(file)).run(None, {"x": (-x).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), plain(gru, -x).detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.slow
@EVERY_CELL
def test_onnx_models_answer_for_any_length(name: str, tmp_path: Any) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    gru, lengths = layer(dtype="float32", **CELLS[name]), {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}
    example = (sequence(dtype=torch.float32),)
    torch.onnx.export(gru, example, tmp_path / "gru.onnx", dynamo=True, input_names=["x"], dynamic_shapes=(lengths,), verbose=False)
    session = runtime.InferenceSession(str(tmp_path / "gru.onnx"))
    for rows, steps in ((ROWS, STEPS), (1, 1), (5, 9)):
        x = sequence(rows, steps, torch.float32)
        (found,) = session.run(None, {"x": x.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), plain(gru, x).detach(), atol=1e-6, rtol=1e-5)


# Tensors without values --------------------------------------------------------------------------------------------------------------


def outputs_and_gradients(make: Callable[[], nn.Module], x: Callable[[], Tensor]) -> list[tuple[Any, ...]]:
    module = make()
    output = module(x())
    output = output[0] if isinstance(output, tuple) else output
    output.sum().backward()
    return [(output.shape, output.device.type), *((one.grad.shape, one.grad.device.type) for one in module.parameters())]


@EVERY_CELL
def test_the_meta_device(name: str) -> None:
    x = sequence(dtype=torch.float32)
    expected = outputs_and_gradients(lambda: layer(dtype="float32", **CELLS[name]), lambda: x)
    with torch.device("meta"):
        built_there = outputs_and_gradients(lambda: layer(dtype="float32", **CELLS[name]), lambda: torch.empty(x.shape))
    moved = outputs_and_gradients(lambda: layer(dtype="float32", **CELLS[name]).to("meta"), lambda: x.to("meta"))
    assert built_there == moved == [(shape, "meta") for shape, _ in expected]


@EVERY_CELL
@pytest.mark.parametrize("masked", [False, True])
def test_fake_tensors(name: str, masked: bool) -> None:
    with FakeTensorMode():
        gru, x = layer(dtype="float32", **CELLS[name]), torch.empty(ROWS, STEPS, FEATURES)
        output = gru(x, mask=torch.ones(ROWS, STEPS, dtype=torch.bool) if masked else None)
        output.sum().backward()
        assert output.shape == (ROWS, STEPS, UNITS)
        assert all(one.grad.shape == one.shape for one in gru.parameters())


def test_operations_are_counted_as_those_of_torchs_own_layer() -> None:
    gru, x = layer(), sequence()
    counts = []
    for module in (gru, native(gru)):
        with FlopCounterMode(display=False) as counter:
            output = module(x)
            (output[0] if isinstance(output, tuple) else output).sum().backward()
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


# What cannot be served ---------------------------------------------------------------------------------------------------------------


RECORDERS: dict[str, Callable[[nn.Module, Tensor], Any]] = {
    "trace": lambda module, x: torch.jit.trace(module, (x,), check_trace=False),
    "export": lambda module, x: torch.export.export(module, (x,)),
    "make_fx": lambda module, x: make_fx(module)(x),
}


@pytest.mark.parametrize("record", RECORDERS)
def test_what_would_be_a_constant_is_not_recorded(record: str) -> None:
    x = sequence()
    for arguments, message in (
        ({"stateful": True}, "GRU 'mine': the kept state of a stateful layer would be a constant"),
        ({"dropout": 0.5}, r"GRU 'mine': the dropout mask of a layer in training would be a constant .*; call eval\(\) on the model first"),
        ({"recurrent_dropout": 0.5}, "the dropout mask of a layer in training would be a constant"),
    ):
        gru = layer(name="mine", **arguments).train()
        with pytest.raises(Exception, match=message) as caught:
            RECORDERS[record](gru, x)
        assert isinstance(caught.value, UnsupportedArgument) or "UnsupportedArgument" in str(caught.value)
        assert gru.states == [None], "a refused recording leaves nothing behind"
    dropping = layer(dropout=0.5, recurrent_dropout=0.5)
    torch.testing.assert_close(RECORDERS["trace"](dropping, x)(x), plain(dropping, x))


def test_a_transform_leaves_nothing_in_a_stateful_layer() -> None:
    gru, x = layer(stateful=True), sequence()
    for transform in (lambda: grad(lambda x: gru(x).sum())(x), lambda: vmap(gru)(x[None]), lambda: jacfwd(gru)(x)):
        with pytest.raises(UnsupportedArgument, match="cannot keep a state that a transform of torch made; give initial_state"):
            transform()
        assert gru.states == [None]
    with FakeTensorMode(allow_non_fake_inputs=True), pytest.raises(UnsupportedArgument, match="cannot keep a state"):
        gru(torch.empty(ROWS, STEPS, FEATURES, dtype=torch.float64))
    assert gru.states == [None]
    torch.testing.assert_close(jacobian(gru, x, vectorize=True).shape, (ROWS, STEPS, UNITS, ROWS, STEPS, FEATURES))


def test_sources_of_python_are_not_compiled() -> None:
    for module in (layer(), Holder(layer(return_state=True))):
        with pytest.raises(UnsupportedArgument, match="script cannot compile it; "):
            torch.jit.script(module)


def test_wrong_shapes_are_named_while_recording_too() -> None:
    with pytest.raises(InputError, match="inputs are 5 wide"):
        torch.jit.trace(layer(), (torch.zeros(1, 2, 5, dtype=torch.float64),))


# What of torch is not documented -----------------------------------------------------------------------------------------------------


def test_torch_still_says_what_it_is_doing() -> None:
    """Private functions of torch that the choice between the scan and plain operations rests on."""
    seen: dict[str, tuple[bool, bool, bool]] = {}

    def note(name: str, *tensors: Tensor) -> Tensor:
        seen[name] = (tracing.ordinary(*tensors), tracing.transformed(), tracing.recorded())
        return tensors[0] * 2

    x = torch.ones(2)
    note("nothing", x, nn.Parameter(x))
    vmap(lambda one: note("vmap", one))(x)
    vmap(lambda one: (note("vmap, another", x), one)[1])(x)
    grad(lambda one: note("grad", one).sum())(x)
    make_fx(lambda one: note("make_fx", one))(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(lambda one: note("trace", one), (x,), check_trace=False)
    with FakeTensorMode():
        note("fake", torch.ones(2))
    with FlopCounterMode(display=False):
        note("counted", x)
    note("meta", x.to("meta"))
    with forward_ad.dual_level():
        note("dual", forward_ad.make_dual(x, x))
        note("beside a dual", x)

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return 2 * x

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
            return note("batched gradients", gradient)

    leaf = torch.ones(2, requires_grad=True)
    torch.autograd.grad(Doubled.apply(leaf), leaf, torch.ones(3, 2), is_grads_batched=True)
    assert seen == {
        "nothing": (True, False, False),
        "vmap": (False, True, False),
        "vmap, another": (False, True, False),
        "grad": (False, True, False),
        "make_fx": (False, False, True),
        "trace": (False, False, True),
        "fake": (False, False, False),
        "counted": (False, False, False),
        "meta": (False, False, False),
        "dual": (False, False, False),
        "beside a dual": (True, False, False),
        "batched gradients": (False, False, False),
    }
    with FakeTensorMode(), tracing.real_numbers():
        assert torch.full((), 3).item() == 3
