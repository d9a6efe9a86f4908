"""tf-keras' file -> torch -> Keras 3 -> torch: one model's weights through every format, and the same outputs all the way."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from framework.backends.base.backend import Trainee
from framework.backends.base.registry import load_backend
from framework.builder.plan import ModelPlan
from framework.builder.planner import plan_model
from framework.engine.model.weight_files import export_weights, load_any
from framework.errors import CheckpointError, InputError
from framework.spec.backend import BackendSpec
from framework.spec.trainer import TrainerSpec
from framework.spec.validate import validate_model
from framework.weights.store import save_weights

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]

TOKENS = np.random.default_rng(1).integers(0, 7, (3, 5), dtype=np.int32)
VOCABULARY = 7

VARIANTS: dict[str, dict[str, Any]] = {
    "reset_after": {},
    "reset_before": {"reset_after": False},
    "no_bias": {"use_bias": False},
    "reset_before_no_bias": {"reset_after": False, "use_bias": False},
    "backwards": {"go_backwards": True},
    "hard_sigmoid": {"recurrent_activation": "hard_sigmoid"},
    "stacked": {},
    "bidirectional": {},
    "stacked_bidirectional": {"use_bias": False},
}


def layers_of(variant: str) -> list[tuple[str, str]]:
    kind = "bidirectional" if "bidirectional" in variant else "gru"
    return [(f"rnn_{number}", kind) for number in range(2 if variant.startswith("stacked") else 1)]


def tf_keras_model(variant: str) -> Any:
    """The model as tf-keras makes it, with all weights random, biases too."""
    import tf_keras as legacy

    keras = legacy.layers
    outputs = keras.Embedding(VOCABULARY, 4, name="embedding")(inputs := legacy.Input((None,), dtype="int32", name="tokens"))
    for name, kind in layers_of(variant):
        gru = keras.GRU(3, return_sequences=True, name=f"{name}_inner" if kind == "bidirectional" else name, **VARIANTS[variant])
        outputs = (keras.Bidirectional(gru, name=name) if kind == "bidirectional" else gru)(outputs)
    model = legacy.Model(inputs, keras.Dense(VOCABULARY, name="logits")(outputs))
    random = np.random.default_rng(2)
    model.set_weights([random.normal(scale=0.5, size=weight.shape).astype(np.float32) for weight in model.get_weights()])
    return model


def plan_of(variant: str, **changes: Any) -> ModelPlan:
    settings = {"units": 3, "return_sequences": True, **VARIANTS[variant], **changes}
    if "recurrent_activation" in settings:
        settings["recurrent_activation"] = "hard_sigmoid_tf2"  # what tf-keras' files mean by it
    layers: dict[str, Any] = {"embedding": {"kind": "embedding", "input_dim": VOCABULARY, "output_dim": 4}}
    for name, kind in layers_of(variant):
        layers[name] = {"kind": kind, **settings} if kind == "gru" else {"kind": kind, "layer": {"kind": "gru", **settings}}
    layers["logits"] = {"kind": "dense", "units": VOCABULARY}
    inputs = {"tokens": {"dtype": "int32", "shape": [None]}}
    return plan_model(validate_model({"inputs": inputs, "layers": layers, "outputs": "logits"}), 0, BackendSpec())


def built(backend: str, plan: ModelPlan, weights: Mapping[str, Any]) -> Trainee:
    return load_backend(backend).build(plan, weights, TrainerSpec(), BackendSpec(name=backend, device="cpu"))  # type: ignore[arg-type]


def outputs(trainee: Trainee) -> np.ndarray[Any, Any]:
    return next(iter(trainee.predict({"tokens": TOKENS}).values()))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tf_keras_file_goes_through_every_format(variant: str, tmp_path: Path) -> None:
    legacy, plan = tf_keras_model(variant), plan_of(variant)
    wanted = legacy(TOKENS).numpy()
    files = {name: tmp_path / name for name in ("model.h5", "model.keras", "only.h5", "only.weights.h5")}
    legacy.save(files["model.h5"])
    legacy.save(files["model.keras"])
    legacy.save_weights(files["only.h5"])
    legacy.save_weights(files["only.weights.h5"])
    first = {name: load_any(path, plan) for name, path in files.items()}
    for name, weights in first.items():
        for weight, array in weights.items():
            np.testing.assert_array_equal(array, first["model.h5"][weight], err_msg=f"{name} {weight}")

    on_torch = built("torch", plan, first["model.keras"])
    np.testing.assert_allclose(outputs(on_torch), wanted, rtol=0, atol=1e-6)
    save_weights(tmp_path / "neutral.safetensors", on_torch.weights())
    on_keras = built("tensorflow", plan, load_any(tmp_path / "neutral.safetensors", plan))
    np.testing.assert_allclose(outputs(on_keras), wanted, rtol=0, atol=1e-6)
    export_weights(tmp_path / "three.weights.h5", lambda _: on_keras, plan, on_keras.weights())
    again = built("torch", plan, load_any(tmp_path / "three.weights.h5", plan))
    np.testing.assert_array_equal(outputs(again), outputs(on_torch))
    if VARIANTS[variant].get("reset_after", True):
        export_weights(tmp_path / "w.pt", lambda _: again, plan, again.weights())
        for name, array in load_any(tmp_path / "w.pt", plan).items():
            np.testing.assert_array_equal(array, first["model.h5"][name], err_msg=name)


def test_the_exported_file_loads_into_plain_keras(tmp_path: Path) -> None:
    import keras

    plan = plan_of("stacked")
    weights = load_any(save_legacy(tmp_path), plan)
    on_keras = built("tensorflow", plan, weights)
    export_weights(tmp_path / "w.weights.h5", lambda _: on_keras, plan, weights)
    model = keras.Sequential(
        [
            keras.layers.Embedding(VOCABULARY, 4),
            keras.layers.GRU(3, return_sequences=True),
            keras.layers.GRU(3, return_sequences=True),
            keras.layers.Dense(VOCABULARY),
        ]
    )
    model(TOKENS)
    model.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_allclose(model(TOKENS).numpy(), outputs(on_keras), rtol=0, atol=1e-6)
    export_weights(tmp_path / "w.keras", lambda _: on_keras, plan, weights)
    np.testing.assert_allclose(keras.saving.load_model(tmp_path / "w.keras")(TOKENS).numpy(), outputs(on_keras), rtol=0, atol=1e-6)


def save_legacy(folder: Path) -> Path:
    tf_keras_model("stacked").save_weights(folder / "legacy.weights.h5")
    return folder / "legacy.weights.h5"


def test_a_time_major_file_of_tf_keras_loads(tmp_path: Path) -> None:
    import tf_keras as legacy

    gru = legacy.layers.GRU(3, return_sequences=True, time_major=True, name="gru")
    model = legacy.Sequential([legacy.Input((4, 2), batch_size=5), gru])
    x = np.random.default_rng(0).normal(size=(5, 4, 2)).astype(np.float32)
    inputs = {"x": {"dtype": "float32", "shape": [4, 2], "batch_size": 5}}
    layer = {"kind": "gru", "units": 3, "return_sequences": True, "time_major": True}
    plan = plan_model(validate_model({"inputs": inputs, "layers": {"gru": layer}, "outputs": "gru"}), 0, BackendSpec())
    for name in ("m.h5", "m.keras"):
        model.save(tmp_path / name)
        found = built("torch", plan, load_any(tmp_path / name, plan)).predict({"x": x})
        np.testing.assert_allclose(next(iter(found.values())), model(x).numpy(), rtol=0, atol=1e-6)


class Module(torch.nn.Module):
    """A language model as people write it in torch."""

    def __init__(self, both: bool) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(VOCABULARY, 4)
        self.rnn = torch.nn.GRU(4, 3, num_layers=2, bidirectional=both, batch_first=True)
        self.head = torch.nn.Linear(6 if both else 3, VOCABULARY)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(self.embedding(tokens))[0])


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_torch_models_file_runs_on_both_backends(both: bool, wrapped: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Module(both)
    variant = "stacked_bidirectional" if both else "stacked"
    plan = plan_of(variant, use_bias=True)
    state = module.state_dict()
    torch.save({"state_dict": state, "epoch": 3} if wrapped else state, tmp_path / "w.pth")
    # head and logits, and the two layers of rnn, are told by being the only ones of their kind.
    weights = load_any(tmp_path / "w.pth", plan)
    wanted = module(torch.from_numpy(TOKENS)).detach().numpy()
    for backend in ("torch", "tensorflow"):
        np.testing.assert_allclose(outputs(built(backend, plan, weights)), wanted, rtol=0, atol=1e-6)


def test_torch_files_with_more_than_tensors_are_refused(tmp_path: Path) -> None:
    plan = plan_of("stacked")
    torch.save(Module(False), tmp_path / "module.pt")
    with pytest.raises(InputError, match=r"module\.pt holds more than tensors.*save module\.state_dict\(\) instead"):
        load_any(tmp_path / "module.pt", plan)
    torch.save([torch.zeros(2)], tmp_path / "list.pt")
    with pytest.raises(InputError, match=r"list\.pt holds no state_dict"):
        load_any(tmp_path / "list.pt", plan)
    torch.save(Module(False).state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"old\.pt is a torch file of version 1\.5 or older, which is a pickle"):
        load_any(tmp_path / "old.pt", plan)
    torch.save(Module(False).state_dict(), tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:-60])
    with pytest.raises(CheckpointError, match=r"cut\.pt is truncated"):
        load_any(tmp_path / "cut.pt", plan)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError, match=r"plain\.pt is a pickle"):
        load_any(tmp_path / "plain.pt", plan)


def test_another_model_is_shown_on_both_sides(tmp_path: Path) -> None:
    torch.save(Module(True).state_dict(), tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=r"rnn_0/kernel +\(4, 9\) +missing(.|\n)*layers of the file: embedding, rnn:0, rnn:1, head"):
        load_any(tmp_path / "w.pt", plan_of("stacked"))
