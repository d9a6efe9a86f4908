"""The native model: what a Keras user finds, what precision and flags do, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from small_models import VOCABULARY, Windows, Workshop, language_model, single_layer

from framework.backends.base.layer_builders import LAYER_BUILDERS
from framework.backends.tensorflow import GRU
from framework.backends.tensorflow.layers import BuildContext, builds
from framework.backends.tensorflow.model import build_model
from framework.errors import CheckpointError, DataError, InputError, UnsupportedArgument
from framework.registry import Registry
from framework.spec.layers.base import LayerSpec

pytestmark = pytest.mark.tensorflow

TOKENS = np.array([[1, 2, 3], [4, 5, 6]], np.int32)


def test_layers_have_the_names_of_the_config(workshop: Workshop) -> None:
    model = language_model(None, rnn={"kind": "gru", "units": 3, "return_sequences": True, "name": "the_gru"})
    native = workshop.trainee(model).native
    assert [layer.name for layer in native.layers] == ["tokens", "embedding", "the_gru", "logits"]
    assert isinstance(native.get_layer("the_gru"), GRU)
    assert native.input_shape == (None, None)
    assert native.output_shape == (None, None, VOCABULARY)


def test_names_that_tensorflow_takes_for_no_scope(workshop: Workshop) -> None:
    odd = {"kind": "gru", "units": 3, "return_sequences": True}
    trainee = workshop.trainee(language_model(None, **{"_my layer": odd}))
    assert trainee.native.layers[2].name == "layer_my_layer"
    assert "_my layer/kernel" in trainee.weights()
    assert trainee.predict({"tokens": TOKENS})["output"].shape == (2, 3, VOCABULARY)


def test_a_user_can_fit_save_and_load_the_native_model(workshop: Workshop, tmp_path: Path) -> None:
    model = language_model(None, gru={"kind": "gru", "units": 3, "return_sequences": True, "recurrent_activation": "hard_sigmoid_tf2"})
    trainee = workshop.trainee(model)
    native = trainee.native
    native.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = trainee.weights()
    history = native.fit(TOKENS, TOKENS, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]
    assert not np.array_equal(before["gru/kernel"], trainee.weights()["gru/kernel"])
    native.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(TOKENS, verbose=0), native.predict(TOKENS, verbose=0))


def test_building_keeps_the_initializers_of_the_config(workshop: Workshop) -> None:
    layer = {"kind": "gru", "units": 3, "recurrent_initializer": {"class_name": "orthogonal", "config": {"gain": 2.0}}}
    native = workshop.trainee(single_layer(2, **layer)).native
    assert isinstance(native.get_layer("layer").cell.recurrent_initializer, keras.initializers.Orthogonal)
    assert native.get_layer("layer").cell.recurrent_initializer.gain == 2.0
    assert isinstance(native.get_layer("layer").cell.kernel_initializer, keras.initializers.GlorotUniform)


def test_weights_are_the_given_ones_and_are_copied(workshop: Workshop) -> None:
    plan = workshop.plan(language_model())
    given = workshop.start(plan)
    trainee = workshop.trainee(language_model(), weights=given)
    found = trainee.weights()
    assert list(found) == [name for name, _ in plan.weight_names()]
    for name, value in given.items():
        np.testing.assert_array_equal(found[name], value)
    found["gru/kernel"][:] = 0.0
    assert np.array_equal(trainee.weights()["gru/kernel"], given["gru/kernel"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("gru/bias"), r"(?s)weights do not fit the model: 1 missing \(5 of 6 fit\).*gru/bias"),
        (lambda weights: weights.update({"gru/extra": np.zeros(2)}), r"(?s)1 unknown .*gru/extra"),
        (lambda weights: weights.update({"gru/bias": np.zeros(21)}), r"(?s)1 of another shape .*gru/bias +\(2, 21\) +\(21,\)"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(workshop: Workshop, change: Any, message: str) -> None:
    trainee = workshop.trainee(language_model())
    before = trainee.weights()
    wrong = {name: np.zeros_like(value) for name, value in before.items()}
    change(wrong)
    with pytest.raises(CheckpointError, match=message):
        trainee.set_weights(wrong)
    assert all(np.array_equal(value, trainee.weights()[name]) for name, value in before.items())


def test_frozen_layers_and_regularizers(workshop: Workshop) -> None:
    model = language_model(None, hidden={"kind": "dense", "units": 4})
    model["layers"]["embedding"]["trainable"] = False
    model["layers"]["logits"]["kernel_regularizer"] = {"class_name": "l2", "config": {"l2": 0.25}}
    free = {**model, "layers": {**model["layers"], "logits": {"kind": "dense", "units": VOCABULARY}}}
    plain, trainee = workshop.trainee(free), workshop.trainee(model)
    batch = next(iter(Windows(1).epoch(0)))
    loss, gradients = plain.loss_and_gradients(batch)
    penalised_loss, penalised = trainee.loss_and_gradients(batch)
    assert list(gradients) == ["hidden/kernel", "hidden/bias", "logits/kernel", "logits/bias"]
    assert penalised_loss == pytest.approx(loss, rel=1e-6)
    difference = penalised["logits/kernel"] - gradients["logits/kernel"]
    np.testing.assert_allclose(difference, 2 * 0.25 * trainee.weights()["logits/kernel"], rtol=1e-4, atol=1e-6)


def test_precisions(workshop: Workshop) -> None:
    double = workshop.trainee(language_model(), precision="64-true")
    assert {value.dtype for value in double.weights().values()} == {np.dtype(np.float64)}
    mixed = workshop.trainee(language_model(), precision="bf16-mixed")
    assert {value.dtype for value in mixed.weights().values()} == {np.dtype(np.float32)}
    assert mixed.native.get_layer("gru").compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"
    assert keras.config.floatx() == "float32"


def test_a_layer_of_another_dtype(workshop: Workshop) -> None:
    trainee = workshop.trainee(single_layer(2, kind="dense", units=3, dtype="float64"))
    assert trainee.weights()["layer/kernel"].dtype == np.float64
    assert trainee.predict({"x": np.ones((1, 1, 2), np.float32)})["output"].dtype == np.float64


def test_seeds_of_dropout(workshop: Workshop) -> None:
    def seeds(model_seed: int, **dropout: Any) -> tuple[int, int]:
        native = workshop.trainee(language_model(4, drop={"kind": "dropout", "rate": 0.5, **dropout}), seed=model_seed).native
        native_gru = workshop.trainee(language_model(4, gru={"kind": "gru", "units": 2, "return_sequences": True}), seed=model_seed).native
        return native.get_layer("drop").seed, native_gru.get_layer("gru").cell.seed

    assert seeds(1, seed=5)[0] == seeds(2, seed=5)[0] == 5
    assert seeds(1) == seeds(1)
    assert len({*seeds(1), *seeds(2)}) == 4


def refused(workshop: Workshop, model: dict[str, Any], **trainer: Any) -> str:
    with pytest.raises(UnsupportedArgument) as caught:
        workshop.trainee(model, **trainer)
    return str(caught.value)


def test_refused_arguments_are_named(workshop: Workshop) -> None:
    assert "model.layers.layer.dtype: no 'int32' on TensorFlow" in refused(workshop, single_layer(2, kind="dense", units=3, dtype="int32"))
    message = refused(workshop, single_layer(2, kind="gru", units=3, use_cudnn=True, activation="relu"))
    assert message.startswith("use_cudnn: true cannot be had: model.layers.layer: activation: cuDNN's GRU has tanh built in")
    assert "model.layers.layer: device: TensorFlow sees no GPU here" in message
    twice = language_model(None, first={"kind": "gru", "units": 3, "return_sequences": True, "name": "logits"})
    assert "Keras refuses the model" in refused(workshop, twice)


def test_settings_that_keras_refuses_are_named(workshop: Workshop) -> None:
    sideways = {"class_name": "variance_scaling", "config": {"mode": "fan_side"}}
    plan = workshop.plan(single_layer(2, kind="dense", units=3, kernel_initializer=sideways))
    with pytest.raises(UnsupportedArgument, match=r"model\.layers.layer: Keras refuses variance_scaling with {'mode': 'fan_side'}"):
        build_model(plan, BuildContext("float32", 0))


def test_a_kind_without_a_keras_layer(workshop: Workshop) -> None:
    class Unheard(LayerSpec):
        kind: str = "unheard"

    plan = workshop.plan(single_layer(2, kind="dropout", rate=0.5))
    unknown = replace(plan, layers=(replace(plan.layers[0], spec=Unheard()),))
    with pytest.raises(
        UnsupportedArgument, match=r"model\.layers\.layer\.kind: the tensorflow backend builds no kind 'unheard', only .*dense"
    ):
        build_model(unknown, BuildContext("float32", 0))


def test_a_kind_of_ones_own(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LAYER_BUILDERS["tensorflow"], "_builders", Registry("model.layers", "tensorflow layer"))

    class Doubled(LayerSpec):
        kind: str = "doubled"

    @builds("doubled")
    def build_doubled(planned: Any, context: BuildContext) -> keras.layers.Layer:
        return keras.layers.Rescaling(2.0, **context.shared(planned))

    plan = workshop.plan(single_layer(2, kind="dropout", rate=0.5))
    native, _ = build_model(replace(plan, layers=(replace(plan.layers[0], spec=Doubled()),)), BuildContext("float32", 0))
    np.testing.assert_array_equal(native(np.ones((1, 1, 2))), np.full((1, 1, 2), 2.0))
    with pytest.raises(DataError, match="two plug-ins register the tensorflow layer 'doubled'"):
        builds("doubled")(lambda planned, context: keras.layers.Identity())


def test_a_wrong_shape_of_targets_is_told(workshop: Workshop) -> None:
    trainee = workshop.trainee(language_model(None, gru={"kind": "gru", "units": 3}))
    with pytest.raises(InputError, match=r"the model's output has the shape \(4, 11\) and the targets \(4, 6\)"):
        trainee.evaluate(Windows(1))
