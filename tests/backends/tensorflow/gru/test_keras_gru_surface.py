"""The documented surface of the Keras GRU: arguments, errors, configs, weights, states, dropout masks, properties."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from framework.backends.tensorflow import GRU
from framework.backends.tensorflow.activations import hard_sigmoid_tf2
from framework.errors import InputError, SpecError, UnsupportedArgument
from framework.spec.identifiers import canonical_name

pytestmark = pytest.mark.tensorflow

DOCUMENTED = [
    ("units", inspect.Parameter.empty), ("activation", "tanh"), ("recurrent_activation", "sigmoid"), ("use_bias", True),
    ("kernel_initializer", "glorot_uniform"), ("recurrent_initializer", "orthogonal"), ("bias_initializer", "zeros"),
    ("kernel_regularizer", None), ("recurrent_regularizer", None), ("bias_regularizer", None), ("activity_regularizer", None),
    ("kernel_constraint", None), ("recurrent_constraint", None), ("bias_constraint", None), ("dropout", 0.0), ("recurrent_dropout", 0.0),
    ("implementation", 2), ("return_sequences", False), ("return_state", False), ("go_backwards", False), ("stateful", False),
    ("unroll", False), ("time_major", False), ("reset_after", True),
]  # fmt: skip
"""The documented constructor, in its order and with its defaults."""

PROPERTIES = (
    "activation", "bias_constraint", "bias_initializer", "bias_regularizer", "dropout", "implementation", "kernel_constraint",
    "kernel_initializer", "kernel_regularizer", "recurrent_activation", "recurrent_constraint", "recurrent_dropout",
    "recurrent_initializer", "recurrent_regularizer", "reset_after", "states", "units", "use_bias",
)  # fmt: skip

EVERYTHING: dict[str, Any] = {
    "units": 3, "activation": "relu", "recurrent_activation": "hard_sigmoid_tf2", "use_bias": False,
    "kernel_initializer": "he_uniform", "recurrent_initializer": "he_normal", "bias_initializer": "ones", "kernel_regularizer": "l1",
    "recurrent_regularizer": "l2", "bias_regularizer": "l1_l2", "activity_regularizer": "l2", "kernel_constraint": "non_neg",
    "recurrent_constraint": "max_norm", "bias_constraint": "unit_norm", "dropout": 0.1, "recurrent_dropout": 0.2, "implementation": 1,
    "return_sequences": True, "return_state": True, "go_backwards": True, "stateful": True, "unroll": True, "time_major": True,
    "reset_after": False, "name": "mine", "dtype": "float64", "trainable": False, "autocast": False, "seed": 7, "use_cudnn": False,
    "zero_output_for_mask": True, "batch_input_shape": (5, 2, 4),
}  # fmt: skip
"""Every argument away from its default."""

X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)


def test_the_signature_is_the_documented_one() -> None:
    parameters = list(inspect.signature(GRU.__init__).parameters.values())[1:]
    assert [(one.name, one.default) for one in parameters[:-1]] == DOCUMENTED
    assert parameters[-1].kind is inspect.Parameter.VAR_KEYWORD


@pytest.mark.parametrize("theirs", [keras.layers.GRU, tf_keras.layers.GRU], ids=["keras", "tf_keras"])
def test_no_argument_of_the_installed_layers_is_missing(theirs: type) -> None:
    for name, parameter in inspect.signature(theirs.__init__).parameters.items():
        if name not in ("self", "kwargs"):
            GRU(**{"units": 3, name: 3 if name == "units" else parameter.default})
    calls = {"inputs" if name == "sequences" else name for name in inspect.signature(theirs.call).parameters}
    assert calls == set(inspect.signature(GRU.call).parameters)
    public = {name for name in dir(theirs) if not name.startswith("_")}
    documented = {"get_dropout_mask_for_cell", "get_recurrent_dropout_mask_for_cell", "get_initial_state", "reset_states"}
    assert documented | {"reset_dropout_mask", "reset_recurrent_dropout_mask"} <= set(dir(GRU))
    if theirs is keras.layers.GRU:
        assert public <= set(dir(GRU))


def test_a_config_loses_nothing() -> None:
    layer = GRU(**EVERYTHING)
    config = layer.get_config()
    assert set(config) == set(EVERYTHING)
    again = GRU.from_config(config)
    assert again.get_config() == config
    for name, value in EVERYTHING.items():
        kept = config[name]
        if isinstance(kept, dict):  # how Keras writes objects
            kept = kept["config"]["name"] if name == "dtype" else canonical_name(kept["class_name"])
        assert kept == value, name
    assert again.built and again.implementation == 1 and again.time_major


def test_functions_are_arguments_too_and_configs_of_others_are_understood() -> None:
    layer = GRU(3, activation=tf.sin, recurrent_activation=None)
    assert layer.activation is tf.sin and layer.recurrent_activation is keras.activations.linear
    arguments: dict[str, Any] = {"units": 4, "return_sequences": True, "kernel_regularizer": "l2", "dropout": 0.5, "name": "theirs"}
    for theirs in (keras.layers.GRU(**arguments), tf_keras.layers.GRU(**arguments, time_major=True)):
        layer = GRU.from_config(theirs.get_config())
        assert (layer.units, layer.return_sequences, layer.dropout, layer.name) == (4, True, 0.5, "theirs")
        assert layer.kernel_regularizer.l2 == pytest.approx(0.01)
    mixed = tf_keras.layers.GRU(4, dtype=tf_keras.mixed_precision.Policy("mixed_bfloat16"))
    assert GRU.from_config(mixed.get_config()).dtype_policy.name == "mixed_bfloat16"


def test_documented_properties() -> None:
    layer = GRU(**EVERYTHING)
    for name in PROPERTIES:
        getattr(layer, name)
    assert (layer.units, layer.use_bias, layer.reset_after, layer.dropout, layer.recurrent_dropout) == (3, False, False, 0.1, 0.2)
    assert layer.activation is keras.activations.relu
    assert GRU(3, recurrent_dropout=0.1).implementation == 1, "recurrent dropout means implementation 1, as in Keras"
    assert GRU(3, implementation=0).implementation == 2, "as old configs have it"
    assert GRU(3).states is None


def test_the_old_hard_sigmoid() -> None:
    x = tf.constant([-3.0, -2.0, 0.0, 2.6])
    np.testing.assert_allclose(hard_sigmoid_tf2(x), [0.0, 0.1, 0.5, 1.0], atol=1e-7)
    assert GRU(3, activation="hard_sigmoid").activation is keras.activations.hard_sigmoid
    assert GRU(3, activation="hard_sigmoid_tf2").activation is hard_sigmoid_tf2
    dense = keras.layers.Dense(2, activation=hard_sigmoid_tf2)
    assert keras.layers.Dense.from_config(dense.get_config()).activation is hard_sigmoid_tf2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "units: value not accepted.*value: 0.*a whole number above 0"),
        ({"units": 2.5}, "units: value not accepted.*value: 2.5"),
        ({"activation": "tahn"}, "unknown activation 'tahn'.*did you mean: tanh"),
        ({"recurrent_activation": 3}, "recurrent_activation: not an activation name.*value: 3"),
        ({"kernel_regularizer": "l3"}, "kernel_regularizer: unknown regularizer 'l3'.*one of l1, l2"),
        ({"bias_initializer": "zero5"}, "bias_initializer: unknown initializer 'zero5'.*did you mean: zeros"),
        ({"recurrent_constraint": "maxnorm"}, "recurrent_constraint: unknown constraint 'maxnorm'.*did you mean: max_norm"),
        ({"dropout": 1.5}, "dropout: value not accepted.*value: 1.5.*at least 0 and up to 1"),
        ({"recurrent_dropout": "half"}, "recurrent_dropout: value not accepted.*value: 'half'"),
        ({"implementation": 3}, "implementation: value not accepted.*value: 3.*one of 1, 2"),
        ({"stateful": "yes"}, "stateful: value not accepted.*value: 'yes'.*true or false"),
        ({"use_cudnn": "yes"}, "use_cudnn: value not accepted.*value: 'yes'.*auto"),
        ({"return_sequence": True}, "unknown key 'return_sequence'.*did you mean: return_sequences"),
        ({"dynamic": True}, "dynamic: there is no such mode any more"),
        ({"batch_input_shape": (None, 3)}, r"batch_input_shape: value not accepted.*\(batch, time, features\)"),
        ({"input_shape": (3,)}, r"input_shape: value not accepted.*\(time, features\)"),
        ({"input_dim": 2, "batch_input_shape": (None, None, 3)}, "input_dim: the input shape says 3.*value: 2"),
        ({"stateful": True, "input_shape": (3, 4)}, "stateful=True needs a fixed batch size"),
    ],
    ids=str,
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){message}") as caught:
        GRU(**{"units": 3, **arguments})
    assert isinstance(caught.value, InputError)


def test_all_wrong_arguments_are_named_at_once() -> None:
    with pytest.raises(SpecError, match="GRU 'x': 3 arguments not accepted") as caught:
        GRU(-1, dropout="half", unrol=True, name="x")
    assert [problem.path for problem in caught.value.problems] == ["unrol", "units", "dropout"]


@pytest.fixture(scope="module")
def gru() -> GRU:
    return GRU(6, input_shape=(None, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda gru: gru(X[0]), r"inputs have shape \(3, 4\): expected \(batch, time, features\)"),
        (lambda gru: gru(X.astype(int)), "inputs have data type int64: expected floating-point numbers"),
        (lambda gru: gru(X[:, :0]), "there is no time step"),
        (lambda gru: gru(X[:, :, :3]), "inputs have 3 features .*: the layer was built for 4"),
        (lambda gru: gru(tf.RaggedTensor.from_tensor(X)), "inputs is a RaggedTensor.*inputs.to_tensor.*row_lengths"),
        (lambda gru: gru("text"), "inputs is a str: expected a dense tensor"),
        (lambda gru: gru(X, mask=np.ones((3, 2))), r"mask has shape \(3, 2\): expected \(batch, time\) = \(2, 3\)"),
        (lambda gru: gru(X, mask=np.ones((2, 3, 1))), r"mask has shape \(2, 3, 1\)"),
        (lambda gru: gru(X, initial_state=np.zeros((2, 7))), r"initial_state has shape \(2, 7\): expected \(batch, units\) = \(2, 6\)"),
        (lambda gru: gru(X, initial_state=[np.zeros((2, 6))] * 2), "initial_state is a list of 2: expected one tensor"),
        (lambda gru: gru([X, np.zeros((2, 6))], initial_state=np.zeros((2, 6))), "the initial state is given twice"),
        (lambda gru: gru([X, X, X]), "a GRU has one state"),
        (lambda gru: gru.get_initial_state(), "get_initial_state needs inputs or batch_size"),
        (lambda gru: gru.reset_states(), "has no states to reset: it was made without stateful=True"),
        (lambda gru: GRU(3, stateful=True).reset_states(), "has no states yet"),
        (lambda gru: GRU(3, stateful=True, batch_shape=(2, 3, 4)).reset_states(np.zeros((3, 3))), r"expected \(batch, units\) = \(2, 3\)"),
        (lambda gru: GRU(3, stateful=True, batch_shape=(1, 3, 4))(X), "inputs have batch size 2: this stateful layer was built for 1"),
        (lambda gru: GRU(3)(keras.Input((3, None))), "the number of features, must be known"),
        (lambda gru: GRU(3, unroll=True)(keras.Input((None, 4))), "unroll=True needs a known number of steps"),
    ],
)
def test_wrong_calls_are_named(gru: GRU, call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(gru)


def test_errors_are_also_those_that_keras_raises(gru: GRU) -> None:
    with pytest.raises(AttributeError):
        gru.reset_states()
    with pytest.raises(ValueError, match="mask"):
        gru(X, mask=np.ones((3, 2)))


def test_cudnn_demanded_in_vain_gives_every_reason() -> None:
    layer = GRU(3, activation="relu", recurrent_dropout=0.1, reset_after=False, use_cudnn=True, name="fast")
    with pytest.raises(UnsupportedArgument) as caught:
        layer(X)
    for part in ("GRU 'fast'", "activation:", "recurrent_dropout:", "reset_after:", "device: cuDNN runs on CUDA GPUs only"):
        assert part in str(caught.value)


def test_weights_are_in_keras_layout_and_may_be_given() -> None:
    theirs = tf_keras.layers.GRU(4)
    expected = theirs(X)
    for shape in ({"input_shape": (7, 4)}, {"batch_input_shape": (2, None, 4)}, {"batch_shape": (2, 7, 4)}, {"input_dim": 4}):
        layer = GRU(4, weights=theirs.get_weights(), **shape)
        assert layer.built and [tuple(one.shape) for one in layer.weights] == [(4, 12), (4, 12), (2, 12)]
    np.testing.assert_allclose(layer(X), expected, atol=1e-6)
    assert [one.shape for one in GRU(4, reset_after=False, input_dim=5).get_weights()] == [(5, 12), (4, 12), (12,)]
    assert len(GRU(4, use_bias=False, input_dim=5).get_weights()) == 2
    assert GRU(4, input_dim=5, dtype="bfloat16").recurrent_initializer.__class__ is keras.initializers.Orthogonal


def test_the_first_state_may_stand_in_the_inputs_and_may_be_an_array(gru: GRU) -> None:
    state = np.random.default_rng(1).normal(size=(2, 6)).astype(np.float32)
    expected = gru(X, initial_state=tf.constant(state))
    assert np.abs(expected - gru(X)).max() > 1e-3
    for found in (gru([X, state]), gru(X, state), gru(X, initial_state=[state]), gru(tf.constant(X), initial_state=state)):
        np.testing.assert_array_equal(found, expected)


def test_masks_may_be_numbers_arrays_or_lists_and_come_with_the_inputs(gru: GRU) -> None:
    mask = np.array([[True, False, True], [False, False, True]])
    expected = gru(X, mask=mask)
    for same in (mask.astype(int), tf.constant(mask, tf.float32), [mask]):
        np.testing.assert_array_equal(gru(X, mask=same), expected)
    zeroed = np.where(mask[:, :, None], X, 0).astype(np.float32)
    masked = keras.layers.Masking()(zeroed)
    np.testing.assert_array_equal(gru(masked), expected)
    state = np.ones((2, 6), np.float32)
    np.testing.assert_array_equal(gru(masked, initial_state=state), gru(X, mask=mask, initial_state=state))


def test_compute_mask_follows_the_outputs() -> None:
    mask = tf.constant([[True, True, False]])
    assert GRU(4).compute_mask(None, mask) is None
    assert GRU(4, return_sequences=True).compute_mask(None, mask) is mask
    assert GRU(4, return_sequences=True).compute_mask(None, None) is None
    flipped = GRU(4, return_sequences=True, go_backwards=True).compute_mask(None, [mask])
    assert flipped.numpy().tolist() == [[False, True, True]]
    flipped = GRU(4, return_sequences=True, go_backwards=True, time_major=True).compute_mask(None, tf.transpose(mask))
    assert flipped.numpy().tolist() == [[False], [True], [True]]
    assert GRU(4, return_state=True).compute_mask(None, mask) == [None, None]


def test_shapes_and_initial_states() -> None:
    layer = GRU(4, time_major=True, return_sequences=True, return_state=True)
    assert layer.compute_output_shape((5, 2, 3)) == [(5, 2, 4), (2, 4)]
    assert GRU(4).compute_output_shape((None, 5, 3)) == (None, 4)
    output, state = layer(keras.Input(batch_shape=(None, 2, 3)))
    assert (output.shape, state.shape) == ((None, 2, 4), (2, 4))
    for zeros in (layer.get_initial_state(X), layer.get_initial_state(3), layer.get_initial_state(batch_size=tf.constant(3))):
        assert len(zeros) == 1 and zeros[0].shape == (3, 4) and not np.any(zeros[0])
    assert GRU(4, dtype="float64").get_initial_state(X)[0].dtype == tf.float64


def test_states_are_recorded_given_and_reset() -> None:
    layer = GRU(6, stateful=True, return_state=True)
    _, first = layer(X)
    _, second = layer(X)
    np.testing.assert_array_equal(layer.states[0], second)
    np.testing.assert_array_equal(layer(X, initial_state=np.zeros((2, 6), np.float32))[1], first)
    layer.reset_states([first])
    np.testing.assert_array_equal(layer(X)[1], second)
    for state in (first, np.asarray(first)):
        layer.reset_states(state)
        np.testing.assert_array_equal(layer.states[0], first)
    layer.reset_states()
    assert not np.any(layer.states[0])
    np.testing.assert_array_equal(layer(X)[1], first)
    layer.reset_state()
    assert not np.any(layer.states[0])


@pytest.mark.parametrize("implementation", [1, 2])
@pytest.mark.parametrize("reset_after", [False, True])
def test_cached_dropout_masks_are_the_ones_applied(implementation: int, reset_after: bool) -> None:
    arguments: dict[str, Any] = {"units": 6, "reset_after": reset_after, "implementation": implementation}
    layer = GRU(**arguments, dropout=0.5, seed=3, input_dim=4)
    plain = GRU(**arguments, weights=layer.get_weights(), input_dim=4)
    mask = layer.get_dropout_mask_for_cell(X, training=True)
    assert mask.shape == (2, 4) and set(np.unique(mask)) == {0.0, 2.0}
    assert layer.get_dropout_mask_for_cell(X[:, 0], training=True) is mask, "cached"
    np.testing.assert_allclose(layer(X, training=True), plain(X * mask[:, None]), atol=1e-6)
    assert layer.get_dropout_mask_for_cell(X, training=True) is mask, "applied masks stay readable"
    layer(X, training=True)
    again = layer.get_dropout_mask_for_cell(X, training=True)
    again = again if implementation == 1 else [again]
    assert len(again) == (3 if implementation == 1 else 1) and not any(np.array_equal(one, mask) for one in again)
    layer.reset_dropout_mask()
    assert not np.array_equal(layer.get_dropout_mask_for_cell(X, training=True), again[0])
    np.testing.assert_allclose(layer(X, training=False), plain(X), atol=1e-6)


def test_cached_masks_of_the_state() -> None:
    layer = GRU(6, recurrent_dropout=0.5, seed=3, input_dim=4)
    state = tf.zeros((2, 6))
    assert layer.get_dropout_mask_for_cell(X, True) is None
    masks = layer.get_recurrent_dropout_mask_for_cell(state, training=True, count=3)
    assert len(masks) == 3 and not np.array_equal(masks[0], masks[1])
    first = layer(X, training=True)
    layer.set_dropout_masks(recurrent=masks)
    np.testing.assert_array_equal(layer(X, training=True), first)
    assert np.abs(layer(X, training=True) - first).max() > 1e-4
    layer.reset_recurrent_dropout_mask()
    assert np.all(layer.get_recurrent_dropout_mask_for_cell(state, training=False) == 1)
    layer.get_recurrent_dropout_mask_for_cell(tf.zeros((3, 6)), training=True)
    with pytest.raises(InputError, match=r"cached dropout mask\(s\) of shape \(3, 6\): expected 1 or 3 of shape \(2, 6\)"):
        layer(X, training=True)


def test_dropout_of_everything_drops_everything() -> None:
    layer = GRU(6, dropout=1.0, recurrent_dropout=1.0, input_dim=4, bias_initializer="ones")
    np.testing.assert_allclose(layer(X, training=True), layer(np.zeros_like(X), training=True), atol=1e-7)
    assert np.abs(layer(X) - layer(X, training=True)).max() > 1e-3
