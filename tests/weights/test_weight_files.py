"""Files of weights without a backend: told by content, fitted to a model's layers, refused with reasons."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framework.errors import CheckpointError, InputError, UnsupportedArgument
from framework.weights.expected import ExpectedLayer, fit_weights
from framework.weights.files import read_weights
from framework.weights.found import FoundWeights
from framework.weights.gru_layout import keras_to_torch, stack_to_torch
from framework.weights.store import save_weights
from framework.weights.torch_state import read_torch_state, write_torch_state

Arrays = dict[str, np.ndarray]


def no_torch(path: Path) -> Arrays:
    raise AssertionError(f"{path} was taken for a torch file")


def read(path: Path) -> FoundWeights:
    return read_weights(path, no_torch)


def values(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def gru(seed: int, width: int, units: int, bias: int | None = 2) -> Arrays:
    found = {"kernel": values(seed, width, 3 * units), "recurrent_kernel": values(seed + 1, units, 3 * units)}
    if bias:
        found["bias"] = values(seed + 2, 2, 3 * units) if bias == 2 else values(seed + 2, 3 * units)
    return found


def expected(name: str, kind: str, arrays: Mapping[str, np.ndarray], **more: Any) -> ExpectedLayer:
    return ExpectedLayer(name, kind, {weight: array.shape for weight, array in arrays.items()}, **more)


def named(**layers: Mapping[str, np.ndarray]) -> Arrays:
    return {f"{layer}/{name}": array for layer, arrays in layers.items() for name, array in arrays.items()}


def assert_same(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> None:
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def store_file(path: Path, groups: Mapping[str, list[np.ndarray]], names: Mapping[str, str] | None = None) -> Path:
    """An object store as Keras writes it: arrays by number below ``…/vars``, and the layer's name as an attribute."""
    with h5py.File(path, "w") as file:
        for group, arrays in groups.items():
            made = file.create_group(f"{group}/vars")
            for number, array in enumerate(arrays):
                made[str(number)] = array
        for group, name in (names or {}).items():
            file.require_group(f"{group}/vars").attrs["name"] = name
    return path


# --- Keras' files -----------------------------------------------------------------------------------------------------------------


def test_nameless_layers_are_taken_in_order_of_their_kind_past_ten(tmp_path: Path) -> None:
    layers = {f"l{number}": gru(10 * number, 2, 2) for number in range(12)}
    groups = {f"layers/gru{f'_{number}' if number else ''}/cell": list(one.values()) for number, one in enumerate(layers.values())}
    found = read(store_file(tmp_path / "w.h5", groups))
    assert not found.named
    assert_same(fit_weights(found, [expected(name, "gru", one) for name, one in layers.items()]), named(**layers))


def test_optimizers_seeds_and_metrics_are_no_layers(tmp_path: Path) -> None:
    one = gru(0, 2, 3)
    others = {f"{part}/vars": [values(9, 2)] for part in ("optimizer", "metrics/mean", "layers/dropout/seed_generator")}
    groups = {"layers/gru/cell": list(one.values()), **{group.removesuffix("/vars"): arrays for group, arrays in others.items()}}
    found = read(store_file(tmp_path / "w.h5", groups, {"layers/gru": "mine"}))
    assert [layer.name for layer in found.layers] == ["mine"]
    assert_same(fit_weights(found, [expected("mine", "gru", one)]), named(mine=one))


def test_a_model_of_attributes_is_read(tmp_path: Path) -> None:
    one, dense = gru(0, 2, 3), {"kernel": values(5, 3, 4), "bias": values(6, 4)}
    found = read(store_file(tmp_path / "w.h5", {"gru/cell": list(one.values()), "dense": list(dense.values())}))
    assert_same(found.arrays(), named(dense=dense, gru=one))


def test_a_layer_normalization_without_scale_gets_the_models_name(tmp_path: Path) -> None:
    found = read(store_file(tmp_path / "w.h5", {"layers/layer_normalization": [values(0, 3)]}, {"layers/layer_normalization": "norm"}))
    beta = {"beta": values(0, 3)}
    assert_same(fit_weights(found, [expected("norm", "layer_normalization", beta)]), named(norm=beta))


def test_layer_names_too_long_for_one_attribute_are_put_together(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"one"], [b"two"]
        for name in ("one", "two"):
            file.create_group(name).attrs["weight_names"] = [f"{name}/kernel:0".encode()]
            file[f"{name}/{name}/kernel:0"] = values(1, 2, 2)
    assert list(read(tmp_path / "w.h5").arrays()) == ["one/kernel", "two/kernel"]


def config_file(path: Path, config: Mapping[str, Any], version: str = "2.15.0") -> Path:
    one = gru(0, 2, 3)
    store_file(path.with_suffix(".h5"), {"layers/gru/cell": list(one.values())})
    layer = {"class_name": "GRU", "config": {"name": "mine", "units": 3, **config}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(path.with_suffix(".h5"), "model.weights.h5")
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}))
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
    return path


def test_a_config_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    layer = expected(
        "mine", "gru", gru(0, 2, 3), settings={"recurrent_activation": "hard_sigmoid", "activation": "tanh", "reset_after": True}
    )
    path = config_file(tmp_path / "m.keras", {"recurrent_activation": "hard_sigmoid"}, "3.5.0")
    assert_same(fit_weights(read(path), [layer]), named(mine=gru(0, 2, 3)))
    old = read(config_file(tmp_path / "m.keras", {"recurrent_activation": "hard_sigmoid"}))
    with pytest.raises(CheckpointError, match=r"recurrent_activation is hard_sigmoid_tf2 in the file, hard_sigmoid in the model"):
        fit_weights(old, [layer])
    relu = read(config_file(tmp_path / "m.keras", {"activation": {"class_name": "function", "config": "relu"}}, "3.5.0"))
    with pytest.raises(CheckpointError, match="its activation is relu in the file, tanh in the model"):
        fit_weights(relu, [layer])


# --- torch's names ----------------------------------------------------------------------------------------------------------------


def _both(forward: Arrays, backward: Arrays) -> Arrays:
    return {f"{way}/{name}": array for way, one in (("forward", forward), ("backward", backward)) for name, array in one.items()}


@hypothesis.settings(max_examples=25)
@given(
    layers=st.integers(1, 3),
    both=st.booleans(),
    bias=st.sampled_from([2, None]),
    width=st.integers(1, 4),
    units=st.integers(1, 4),
    prefix=st.sampled_from(["", "gru", "decoder.gru"]),
)
def test_stacks_go_to_torch_and_back(layers: int, both: bool, bias: int | None, width: int, units: int, prefix: str) -> None:
    widths = [width, *[units * (2 if both else 1)] * (layers - 1)]
    ways = [[gru(100 * number + 10 * way, one, units, bias) for way in range(2)] for number, one in enumerate(widths)]
    kind = "bidirectional" if both else "gru"
    model = {f"layer{number}": _both(*pair) if both else pair[0] for number, pair in enumerate(ways)}
    wanted = tuple(expected(name, kind, one) for name, one in model.items())
    names = {name: f"{prefix}:{number}" for number, name in enumerate(model)}
    state = write_torch_state(wanted, named(**model), names)
    own = stack_to_torch([pair[0] for pair in ways], [pair[1] for pair in ways] if both else [])
    assert_same(dict(sorted(state.items())), {f"{prefix}.{name}" if prefix else name: own[name] for name in sorted(own)})
    assert_same(fit_weights(read_torch_state("file", state), wanted), named(**model))
    assert_same(fit_weights(read_torch_state("file", state), wanted, dict.fromkeys(model, prefix)), named(**model))


LANGUAGE_MODEL = {
    "embedding": {"embeddings": values(1, 7, 4)},
    "gru": gru(2, 4, 3),
    "logits": {"kernel": values(5, 3, 7)},
    "norm": {"gamma": values(6, 7), "beta": values(7, 7)},
}
KINDS = {"embedding": "embedding", "gru": "gru", "logits": "dense", "norm": "layer_normalization"}
LAYERS = tuple(expected(name, KINDS[name], arrays) for name, arrays in LANGUAGE_MODEL.items())


def torch_names(**prefixes: str) -> Arrays:
    return write_torch_state(LAYERS, named(**LANGUAGE_MODEL), prefixes)


@pytest.mark.parametrize(
    ("prefixes", "names"),
    [
        ({}, {}),
        ({name: f"model.net.{name}" for name in KINDS}, {}),
        ({"embedding": "emb", "gru": "rnn", "logits": "fc", "norm": "ln"}, {}),
        ({"embedding": "0", "gru": "1", "logits": "2", "norm": "3"}, {"embedding": "0", "logits": "2"}),
    ],
    ids=["same names", "nested", "only one of its kind and shape", "by mapping"],
)
def test_torch_modules_are_found(prefixes: dict[str, str], names: dict[str, str]) -> None:
    found = read_torch_state("file", torch_names(**prefixes))
    assert_same(fit_weights(found, LAYERS, names), named(**LANGUAGE_MODEL))


def test_a_torch_layout_in_safetensors_is_told_from_the_neutral_one(tmp_path: Path) -> None:
    save_weights(tmp_path / "torch.safetensors", torch_names())
    save_weights(tmp_path / "ours.safetensors", named(**LANGUAGE_MODEL))
    checkpoint = {f"weights/{name}": array for name, array in named(**LANGUAGE_MODEL).items()} | {"optimizer/iterations": np.array(3)}
    save_weights(tmp_path / "state.safetensors", checkpoint)
    for file in ("torch", "ours", "state"):
        found = read(tmp_path / f"{file}.safetensors")
        assert_same(fit_weights(found, LAYERS), named(**LANGUAGE_MODEL))


def test_what_torch_has_not_is_named() -> None:
    one = gru(0, 2, 3, bias=1)
    with pytest.raises(UnsupportedArgument, match=r"layer 'mine': .*reset_after=False"):
        write_torch_state((expected("mine", "gru", one),), named(mine=one), {})
    with pytest.raises(UnsupportedArgument, match=r"layer 'n': a layer of kind 'layer_normalization' with the weights beta"):
        write_torch_state((expected("n", "layer_normalization", {"beta": values(0, 2)}),), {"n/beta": values(0, 2)}, {})
    with pytest.raises(InputError, match="no layer 'x' in the model; it has embedding"):
        torch_names(x="y")
    with pytest.raises(InputError, match="'gru:a' is no layer of a stack"):
        torch_names(gru="gru:a")
    state = keras_to_torch(gru(0, 2, 3))
    del state["weight_hh_l0"]
    with pytest.raises(CheckpointError, match=r"module 'a': weight 'weight_hh_l0' of a GRU is missing"):
        read_torch_state("file", {f"a.{name}": array for name, array in state.items()})


# --- what does not fit ------------------------------------------------------------------------------------------------------------


def test_missing_unknown_and_reshaped_weights_show_both_sides() -> None:
    state = torch_names(gru="gru", norm="nrom")
    state["embedding.weight"] = state["embedding.weight"][:-1]
    state["extra.weight"] = values(3, 2, 2)
    del state["nrom.bias"]
    with pytest.raises(CheckpointError) as caught:
        fit_weights(read_torch_state("weights.pt", state), LAYERS)
    text = str(caught.value)
    assert "weights of weights.pt (torch state_dict) do not fit the model" in text
    for line in ("embedding/embeddings", "(7, 4)", "(6, 4)", "norm/beta", "missing", "extra/kernel", "layers of the file: embedding, gru"):
        assert line in text


def test_layers_of_the_same_kind_with_other_names_are_not_guessed() -> None:
    model = tuple(expected(name, "dense", {"kernel": values(0, 2, 2)}) for name in ("first", "second"))
    found = read_torch_state("w.pt", {"frist.weight": values(1, 2, 2), "b.weight": values(2, 2, 2)})
    with pytest.raises(CheckpointError, match=r"2 missing, 2 unknown(.|\n)*did you mean first/kernel\?(.|\n)*layers of the file: frist, b"):
        fit_weights(found, model)


def test_a_mapping_with_a_wrong_name_says_the_nearest() -> None:
    found = read_torch_state("w.pt", torch_names())
    with pytest.raises(InputError, match="no layer 'embeding' with weights; did you mean 'embedding'"):
        fit_weights(found, LAYERS, {"embeding": "embedding"})
    with pytest.raises(InputError, match=r"w\.pt has no \(further\) layer 'logit'; did you mean 'logits'"):
        fit_weights(found, LAYERS, {"logits": "logit"})


# --- what is no file of weights ---------------------------------------------------------------------------------------------------


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('a pickle was run')",))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_is_refused_and_not_run(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"  # the name says nothing
    path.write_bytes(pickle.dumps({"weights": Evil()}, protocol=protocol))
    with pytest.raises(InputError, match=r"is a pickle: reading it could run any code in it, so it is refused; save the weights as"):
        read(path)


def test_other_files_are_refused_by_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with pytest.raises(InputError, match=r"cannot read .*: No such file"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="is empty"):
        read(path)
    path.write_bytes(b"hello, world, these are no weights")
    with pytest.raises(InputError, match=r"begins with b'hello, w'; expected Keras \.weights\.h5"):
        read(path)
    np.savez(path.with_suffix(".npz"), a=np.zeros(2))
    with pytest.raises(InputError, match=r"is a zip archive with a\.npy, and no file of weights"):
        read(path.with_suffix(".npz"))
    with h5py.File(path, "w") as file:
        file["table"] = np.zeros(3)
    with pytest.raises(CheckpointError, match="HDF5 file without weights of Keras; it holds table"):
        read(path)


def test_files_cut_off_are_named(tmp_path: Path) -> None:
    contents = {
        "w.h5": store_file(tmp_path / "a.h5", {"layers/dense": [values(0, 50, 50)]}).read_bytes(),
        "w.keras": config_file(tmp_path / "a.keras", {}).read_bytes(),
    }
    save_weights(tmp_path / "a.safetensors", {"a/kernel": values(0, 50, 50)})
    contents["w.safetensors"] = (tmp_path / "a.safetensors").read_bytes()
    for name, content in contents.items():
        for length in (40, len(content) // 2, len(content) - 1):
            (tmp_path / name).write_bytes(content[:length])
            with pytest.raises(CheckpointError, match=rf"{name} is truncated"):
                read(tmp_path / name)


def test_a_damaged_member_of_an_archive_is_named(tmp_path: Path) -> None:
    content = bytearray(config_file(tmp_path / "m.keras", {}).read_bytes())
    content[300] ^= 0xFF
    (tmp_path / "m.keras").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"m\.keras is (truncated or )?damaged: "):
        read(tmp_path / "m.keras")


def test_arrays_that_lie_in_another_file_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 16)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_dataset("layers/dense/vars/0", (4,), "f4", external=[(str(tmp_path / "secret"), 0, 16)])
    with pytest.raises(CheckpointError, match=r"'layers/dense/vars/0' of .* lies in another file"):
        read(tmp_path / "w.h5")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layers/dense/vars/0"] = h5py.ExternalLink(str(tmp_path / "secret"), "/x")
    with pytest.raises(CheckpointError, match="without weights of Keras"):
        read(tmp_path / "w.h5")


def test_an_older_file_that_names_what_it_has_not_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"one"]
        file.create_group("one").attrs["weight_names"] = [b"one/kernel:0"]
    with pytest.raises(CheckpointError, match="names the array 'one/kernel:0' of layer 'one', but does not hold it"):
        read(tmp_path / "w.h5")


def test_torch_archives_go_to_the_reader_given(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    (tmp_path / "w.anything").write_bytes(content.getvalue())
    found = read_weights(tmp_path / "w.anything", lambda path: keras_to_torch(gru(0, 2, 3)))
    assert_same(fit_weights(found, [expected("mine", "gru", gru(0, 2, 3))]), named(mine=gru(0, 2, 3)))
