"""ONNX files that ONNX or its runtime does not take: a line that says which graph and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework.backends.base.exporting import MODEL, Port, Signature
from framework.errors import UnsupportedArgument

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from framework.backends.base.onnx_files import OnnxRunner, check_names, save_onnx  # noqa: E402 - needs both libraries

PORT = Port("x", "float64", ("batch", 2))
SIGNATURE = Signature(MODEL, (PORT,), (PORT._replace(name="y"),))


def model(operation: str, **attributes: Any) -> Any:
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, ["batch", 2]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node(operation, ["x"], ["y"], **attributes)], MODEL, values[:1], values[1:])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)


def test_operations_that_the_runtime_lacks_are_told(tmp_path: Path) -> None:
    save_onnx(model("Erf"), SIGNATURE, tmp_path)
    with pytest.raises(UnsupportedArgument, match=r"onnx: ONNX Runtime cannot run the graph 'model': .*Erf") as caught:
        OnnxRunner(tmp_path, {MODEL: SIGNATURE})
    assert "\n" not in str(caught.value)


def test_what_fails_as_it_runs_is_told(tmp_path: Path) -> None:
    save_onnx(model("Identity"), SIGNATURE, tmp_path)
    run = OnnxRunner(tmp_path, {MODEL: SIGNATURE})
    np.testing.assert_array_equal(run(MODEL, {"x": np.ones((3, 2))})["y"], np.ones((3, 2)))
    with pytest.raises(UnsupportedArgument, match="onnx: ONNX Runtime cannot run the graph 'model': ") as caught:
        run(MODEL, {"x": np.ones((3, 5))})
    assert "\n" not in str(caught.value)


def test_what_onnx_refuses_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedArgument, match=r"onnx: ONNX does not take the graph 'model': .*Nonsense") as caught:
        save_onnx(model("Nonsense"), SIGNATURE, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_onnx_has_one_space_of_names() -> None:
    check_names(SIGNATURE)
    with pytest.raises(
        UnsupportedArgument, match="onnx: an input and an output of the graph 'model' would both be called 'x'; torch_export"
    ):
        check_names(Signature(MODEL, (PORT,), (PORT,)))
