"""Files of named arrays: what goes in comes out, nothing damaged is taken for whole, and a kill leaves the old file or the new."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.numpy import load_file, save_file

from framework.errors import CheckpointError
from framework.weights.store import DIGEST, check_weights, load_metadata, load_weights, save_weights

DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"]
ARRAYS = {
    "gru/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "gru/bias": np.float64([1.5, -2.0]),
    "random/state": np.uint64([2**63 + 1]),
}


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].dtype == second[name].dtype
        assert first[name].shape == second[name].shape
        assert first[name].tobytes() == second[name].tobytes()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.text("ab/_é ", min_size=1, max_size=5),
        st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))),
        max_size=4,
    ),
    st.dictionaries(st.sampled_from(["a", "b", "ü"]), st.text('x ü\n"', max_size=4)),
)
def test_round_trip(tmp_path: Path, arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(path, arrays, metadata)
    same(load_weights(path), arrays)
    assert load_metadata(path) == metadata


def test_bfloat16(tmp_path: Path) -> None:
    arrays = {"kernel": np.float32([[1.0, 3.14159], [-0.0, np.inf]]).astype(ml_dtypes.bfloat16)}
    save_weights(tmp_path / "w", arrays)
    same(load_weights(tmp_path / "w"), arrays)


def test_other_memory_layouts_are_written_in_order(tmp_path: Path) -> None:
    base = np.arange(24, dtype=np.float64).reshape(4, 6)
    arrays = {"turned": base.T, "fortran": np.asfortranarray(base), "strided": base[::2, ::3], "big": base.astype(">f8")}
    save_weights(tmp_path / "w", arrays)
    loaded = load_weights(tmp_path / "w")
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)


def test_loaded_arrays_can_be_written_to(tmp_path: Path) -> None:
    save_weights(tmp_path / "w", ARRAYS)
    for array in load_weights(tmp_path / "w").values():
        array += 1


def test_the_file_is_plain_safetensors(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", ARRAYS, {"made": "here"})
    same(load_file(tmp_path / "w.safetensors"), ARRAYS)


def test_files_of_others_are_read_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "theirs.safetensors"
    save_file(ARRAYS, path, metadata={"format": "np"})
    with pytest.raises(CheckpointError, match=r"theirs.safetensors has no checksum, so it was altered or another program wrote it"):
        load_weights(path)
    same(load_weights(path, foreign=True), ARRAYS)
    assert load_metadata(path, foreign=True) == {"format": "np"}


def test_every_truncation_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, ARRAYS)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"w.safetensors is truncated or no safetensors file \(\d+ bytes: "):
            load_weights(path)
    path.write_bytes(content + b"\0")
    with pytest.raises(CheckpointError):
        load_weights(path)


def test_every_altered_byte_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, ARRAYS, {"spec": "1"})
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    for index in range(len(content)):
        altered = bytearray(content)
        altered[index] ^= 1
        path.write_bytes(altered)
        try:
            loaded, metadata = load_weights(path), load_metadata(path)
        except CheckpointError as error:
            assert "w.safetensors" in str(error)
            assert index < start or "was altered after it was written" in str(error)
        else:
            # Blanks between the header's words are the only bytes that say nothing.
            assert index < start
            same(loaded, ARRAYS)
            assert metadata == {"spec": "1"}


def test_swapped_names_are_recognised(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, {"aa": np.zeros(2), "bb": np.ones(2)})
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"aa"', b'"cc"').replace(b'"bb"', b'"aa"').replace(b'"cc"', b'"bb"'))
    with pytest.raises(CheckpointError, match="its content does not match its checksum"):
        load_weights(path)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"absent is missing$"):
        load_weights(tmp_path / "absent")
    with pytest.raises(CheckpointError, match=r"cannot read .*: Is a directory$"):
        load_weights(tmp_path)


def test_types_that_the_format_does_not_have(tmp_path: Path) -> None:
    for array in (np.complex128([1j]), np.array(["text"]), np.array([object()])):
        with pytest.raises(CheckpointError, match=r"array 'layer/x' has type .*, which cannot be written; expected one of bool, uint8"):
            save_weights(tmp_path / "w", {"layer/x": array})
    assert list(tmp_path.iterdir()) == []
    save_file({"x": np.complex64([1j])}, tmp_path / "w")
    with pytest.raises(CheckpointError, match=r"array 'x' of .*w has type C64; expected one of BOOL"):
        load_weights(tmp_path / "w", foreign=True)


def test_bfloat16_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_weights(tmp_path / "w", {"x": np.zeros(2, ml_dtypes.bfloat16)})
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(CheckpointError, match=r"array 'x' of .*w is bfloat16, which needs the package ml_dtypes; install it"):
        load_weights(tmp_path / "w")


def test_a_failed_write_leaves_the_file_before_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, ARRAYS)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"cannot write .*w.safetensors: No space left on device"):
        save_weights(path, {"other": np.zeros(3)})
    same(load_weights(path), ARRAYS)
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot write .*none/w: No such file or directory"):
        save_weights(tmp_path / "none" / "w", ARRAYS)


WRITER = """
import sys
import numpy as np
from framework.weights.store import save_weights
for number in range(10**6):
    save_weights(sys.argv[1], {"x": np.full(200_000, number, np.float64)}, {"number": str(number)})
    print(number, flush=True)
"""


def test_killed_while_writing_the_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    for wait in (0.013, 0.031):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], env=environment, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(wait)
        writer.kill()
        writer.communicate()
        loaded, metadata = load_weights(path), load_metadata(path)
        assert (loaded["x"] == int(metadata["number"])).all()


def test_checksum_is_in_the_file_itself(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, ARRAYS)
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert len(header["__metadata__"][DIGEST]) == 64


def test_fitting_weights_pass() -> None:
    check_weights({"a": (3, 4), "b": ()}, {"b": np.float32(1), "a": np.zeros((3, 4))})


def test_a_misfit_shows_both_sides() -> None:
    expected = {"gru/kernel": (256, 3072), "gru/recurrent_kernel": (1024, 3072), "gru/bias": (2, 3072), "dense/kernel": (1024, 65)}
    given_arrays = {
        "gru/kernel": np.zeros((256, 1536)),
        "gru/recurent_kernel": np.zeros((1024, 3072)),
        "dense/kernel": np.zeros((1024, 65)),
        "other": np.zeros(3),
    }
    with pytest.raises(CheckpointError) as caught:
        check_weights(expected, given_arrays)
    assert str(caught.value) == (
        "weights do not fit the model: 2 missing, 2 unknown, 1 of another shape (1 of 4 fit)\n"
        "  name                  model         given\n"
        "  gru/kernel            (256, 3072)   (256, 1536)\n"
        "  gru/recurrent_kernel  (1024, 3072)  missing\n"
        "  gru/bias              (2, 3072)     missing\n"
        "  gru/recurent_kernel   unknown       (1024, 3072)  did you mean gru/recurrent_kernel?\n"
        "  other                 unknown       (3,)"
    )


def test_a_long_misfit_is_cut() -> None:
    with pytest.raises(CheckpointError, match=r"optimizer slots do not fit .*: 30 missing \(0 of 30 fit\)") as caught:
        check_weights({f"w{number}": (number,) for number in range(30)}, {}, "optimizer slots")
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 + 1 + 20 + 1
    assert lines[-1] == "  and 10 more"
