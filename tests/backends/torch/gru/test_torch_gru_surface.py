"""The documented surface of the torch GRU: arguments, errors, configs, weights, properties."""

from __future__ import annotations

import copy
import doctest
import inspect
import pickle
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras
import torch

from framework.backends.base.gru_arguments import keywords_of
from framework.backends.torch import GRU
from framework.errors import InputError, SpecError, UnsupportedArgument
from framework.spec.identifiers import Identifier
from framework.spec.layers.gru import GRUSpec

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]

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
    "units": 3, "activation": "relu", "recurrent_activation": "hard_sigmoid", "use_bias": False,
    "kernel_initializer": {"class_name": "random_normal", "config": {"stddev": 0.2}}, "recurrent_initializer": "he_normal",
    "bias_initializer": "ones", "kernel_regularizer": "l1", "recurrent_regularizer": {"class_name": "l2", "config": {"l2": 0.5}},
    "bias_regularizer": "l1_l2", "activity_regularizer": "l2", "kernel_constraint": "non_neg",
    "recurrent_constraint": {"class_name": "max_norm", "config": {"max_value": 3}}, "bias_constraint": "unit_norm", "dropout": 0.1,
    "recurrent_dropout": 0.2, "implementation": 1, "return_sequences": True, "return_state": True, "go_backwards": True,
    "stateful": True, "unroll": True, "time_major": True, "reset_after": False, "name": "mine", "dtype": "float64", "trainable": False,
    "seed": 7, "use_cudnn": False, "zero_output_for_mask": True, "batch_input_shape": (5, 2, 4),
}  # fmt: skip
"""Every argument away from its default."""


def test_the_signature_is_the_documented_one() -> None:
    parameters = list(inspect.signature(GRU.__init__).parameters.values())[1:]
    assert [(one.name, one.default) for one in parameters[:-1]] == DOCUMENTED
    assert parameters[-1].kind is inspect.Parameter.VAR_KEYWORD


@pytest.mark.parametrize("theirs", [keras.layers.GRU, tf_keras.layers.GRU], ids=["keras", "tf_keras"])
def test_no_argument_of_the_installed_layers_is_missing(theirs: type) -> None:
    names = set(inspect.signature(theirs.__init__).parameters) - {"self", "kwargs"}
    calls = set(inspect.signature(theirs.call).parameters) - {"self"}
    for name in names:
        value = 3 if name == "units" else inspect.signature(theirs.__init__).parameters[name].default
        assert getattr(GRU(**{"units": 3, name: value}), name) is not Ellipsis
    ours = {"inputs" if name == "sequences" else name for name in calls}
    assert ours == set(inspect.signature(GRU.forward).parameters) - {"self"}


def test_every_argument_is_away_from_its_default_below() -> None:
    defaults = {
        **dict(DOCUMENTED),
        "name": None,
        "dtype": None,
        "trainable": True,
        "seed": None,
        "use_cudnn": "auto",
        "zero_output_for_mask": 0,
    }
    assert {name for name, value in defaults.items() if EVERYTHING[name] == value} == set()


def test_a_config_loses_nothing() -> None:
    layer = GRU(**EVERYTHING)
    assert layer.get_config() == EVERYTHING
    again = GRU.from_config(layer.get_config())
    assert again.get_config() == EVERYTHING
    assert repr(again) == repr(layer)
    assert set(dict(DOCUMENTED)) <= set(layer.get_config())


def test_functions_are_arguments_too() -> None:
    def penalty(weight: torch.Tensor) -> torch.Tensor:
        return weight.sum()

    layer = GRU(3, activation=torch.cos, recurrent_activation=torch.sigmoid, kernel_regularizer=penalty, input_dim=2)
    config = layer.get_config()
    assert config["activation"] is torch.cos
    assert config["recurrent_activation"] == "sigmoid"
    assert config["kernel_regularizer"] is penalty
    assert GRU.from_config(config).activation is torch.cos
    assert layer.losses()[0].item() == pytest.approx(layer.kernel.sum().item())
    ones = GRU(3, kernel_initializer=lambda shape, dtype: torch.ones(shape, dtype=dtype), input_dim=2)
    assert ones.kernel.tolist() == torch.ones(2, 9).tolist()


def test_configs_of_keras_and_tf_keras_are_understood() -> None:
    arguments: dict[str, Any] = {"units": 4, "return_sequences": True, "kernel_regularizer": "l2", "dropout": 0.5, "name": "theirs"}
    for theirs in (keras.layers.GRU(**arguments), tf_keras.layers.GRU(**arguments)):
        layer = GRU.from_config(theirs.get_config())
        assert (layer.units, layer.return_sequences, layer.dropout, layer.label) == (4, True, 0.5, "GRU 'theirs'")
        assert layer.get_config()["kernel_regularizer"] == {"class_name": "l2", "config": {"l2": pytest.approx(0.01)}}


def test_a_layer_of_a_spec_has_its_values() -> None:
    given = {"recurrent_dropout": 0.5, "kernel_constraint": Identifier(class_name="non_neg"), "use_cudnn": False}
    layer = GRU(**keywords_of(GRUSpec(units=4, **given), name="encoder", seed=2), input_dim=3)
    assert layer.built
    assert layer.get_config() == GRU(4, **given, name="encoder", seed=2, input_dim=3).get_config()
    assert layer.get_config() == {**GRU(4, input_dim=3).get_config(), **given, "kernel_constraint": "non_neg", "name": "encoder", "seed": 2}


def test_the_example_is_true() -> None:
    found = doctest.DocTestFinder(recurse=False).find(GRU, globs={"GRU": GRU, "torch": torch})
    assert [doctest.DocTestRunner().run(one) for one in found] == [doctest.TestResults(failed=0, attempted=3)]


def test_documented_properties() -> None:
    layer = GRU(**EVERYTHING)
    for name in PROPERTIES:
        getattr(layer, name)
    assert (layer.units, layer.use_bias, layer.reset_after, layer.dropout, layer.recurrent_dropout) == (3, False, False, 0.1, 0.2)
    assert layer.activation is torch.relu
    assert layer.implementation == 1
    assert GRU(3, recurrent_dropout=0.1).implementation == 1, "recurrent dropout means implementation 1, as in Keras"
    assert GRU(3).kernel_regularizer is None
    assert GRU(3).recurrent_initializer((3, 9)).shape == (3, 9)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"units": 0}, ["units: value not accepted", "value: 0", "a whole number above 0"]),
        ({"units": 2.5}, ["units", "2.5"]),
        ({"units": "many"}, ["units", "'many'", "a whole number above 0"]),
        ({"activation": "tahn"}, ["unknown activation 'tahn'", "did you mean: tanh"]),
        ({"kernel_regularizer": "l3"}, ["kernel_regularizer: unknown regularizer 'l3'", "one of l1, l2"]),
        ({"dropout": 1.5}, ["dropout", "1.5", "0 and up to 1"]),
        ({"implementation": 3}, ["implementation", "3", "one of 1, 2"]),
        ({"return_sequence": True}, ["unknown key 'return_sequence'", "did you mean: return_sequences"]),
        ({"dtype": "int32"}, ["dtype", "'int32'", "one of float32"]),
        ({"use_cudnn": "yes"}, ["use_cudnn", "'yes'"]),
        ({"batch_input_shape": (None, 3)}, ["batch_input_shape", "(batch, time, features)"]),
        ({"input_shape": (None, 0)}, ["input_shape", "(time, features)"]),
        ({"input_dim": 2, "batch_input_shape": (None, None, 3)}, ["input_dim: the input shape says 3", "value: 2"]),
    ],
    ids=str,
)
def test_wrong_arguments_are_named(arguments: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        GRU(**{"units": 3, **arguments})
    for part in parts:
        assert part in str(caught.value)


def test_all_wrong_arguments_are_named_at_once() -> None:
    with pytest.raises(SpecError, match="GRU 'x': 3 arguments not accepted") as caught:
        GRU(-1, dropout="half", unrol=True, name="x")
    assert [problem.path for problem in caught.value.problems] == ["unrol", "units", "dropout"]


def test_cudnn_demanded_in_vain_gives_every_reason() -> None:
    with pytest.raises(UnsupportedArgument) as caught:
        GRU(3, activation="relu", recurrent_dropout=0.1, reset_after=False, use_cudnn=True, name="fast")
    for part in ("GRU 'fast'", "activation:", "recurrent_dropout:", "reset_after:"):
        assert part in str(caught.value)
    layer = GRU(3, use_cudnn=True)
    with pytest.raises(UnsupportedArgument, match="device: cuDNN runs on CUDA GPUs only"):
        layer(torch.zeros(1, 2, 3))
    own = GRU(3, activation=lambda x: torch.tanh(x))
    assert [one.argument for one in own.cudnn_verdict("gpu").obstacles] == ["activation"]
    assert GRU(3, activation=torch.tanh, use_bias=False, go_backwards=True).cudnn_verdict("gpu").eligible


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda gru, x: gru(x[0]), r"inputs has the shape \(3, 4\); it must be \(batch, time, features\)"),
        (lambda gru, x: gru(x.long()), "inputs has the data type torch.int64"),
        (lambda gru, x: gru(x[:, :0]), "inputs has no time steps"),
        (lambda gru, x: gru(torch.zeros(2, 3, 5)), "inputs are 5 wide; the layer is built for 4"),
        (lambda gru, x: gru(x, mask=torch.ones(3, 2)), r"mask has the shape \(3, 2\); for this input it must be \(2, 3\)"),
        (lambda gru, x: gru(x, initial_state=torch.zeros(2, 7)), r"initial_state has the shape \(2, 7\).* must be \(2, 6\)"),
        (lambda gru, x: gru(x, initial_state=[torch.zeros(2, 6)] * 2), "initial_state has 2 states; a GRU has one"),
        (lambda gru, x: gru([x, torch.zeros(2, 6)], initial_state=torch.zeros(2, 6)), "given twice"),
        (lambda gru, x: gru.set_weights([]), r"has 3 weights \(kernel, recurrent_kernel, bias\), but 0 were given"),
        (lambda gru, x: gru.set_weights([np.zeros((4, 18))] * 3), r"recurrent_kernel has the shape \(6, 18\), but \(4, 18\)"),
        (lambda gru, x: gru.reset_states(), "reset_states needs stateful=True"),
        (lambda gru, x: gru.get_initial_state(), "needs inputs or batch_size"),
        (lambda gru, x: GRU(3).set_weights([]), "has no weights yet"),
        (lambda gru, x: GRU(3).build((2, 3, None)), "does not say how wide a step is"),
    ],
)
def test_wrong_calls_are_named(call: Any, message: str) -> None:
    layer = GRU(6, input_shape=(None, 4))
    with pytest.raises(InputError, match=message):
        call(layer, torch.zeros(2, 3, 4))


def test_weights_are_keras_weights() -> None:
    theirs = tf_keras.layers.GRU(4)
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    expected = theirs(x).numpy()
    layer = GRU(4)
    assert layer.get_weights() == [] and not layer.built
    layer(torch.tensor(x))
    assert [tuple(one.shape) for one in layer.parameters()] == [one.shape for one in theirs.get_weights()] == [(5, 12), (4, 12), (2, 12)]
    layer.set_weights(theirs.get_weights())
    np.testing.assert_allclose(layer(torch.tensor(x)).detach().numpy(), expected, atol=1e-6)
    for ours, its in zip(layer.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, its)
    assert [one.shape for one in GRU(4, reset_after=False, input_dim=5).get_weights()] == [(5, 12), (4, 12), (12,)]
    assert len(GRU(4, use_bias=False, input_dim=5).get_weights()) == 2
    first = GRU(4, weights=theirs.get_weights(), input_dim=5)
    np.testing.assert_array_equal(first.get_weights()[0], theirs.get_weights()[0])


@pytest.mark.parametrize(
    "shape", [{"input_shape": (7, 5)}, {"batch_input_shape": (2, None, 5)}, {"batch_shape": (2, 7, 5)}, {"input_dim": 5}]
)
def test_a_known_input_shape_makes_the_weights_at_once(shape: dict[str, Any]) -> None:
    layer = GRU(4, **shape)
    assert layer.built and layer.kernel.shape == (5, 12)


def test_initial_values_are_those_of_the_initializers() -> None:
    layer = GRU(8, input_dim=5)
    product = layer.recurrent_kernel @ layer.recurrent_kernel.t()
    torch.testing.assert_close(product, torch.eye(8), atol=1e-5, rtol=0)
    assert layer.kernel.abs().max() <= (6 / (5 + 24)) ** 0.5
    assert not layer.bias.any()
    assert GRU(8, input_dim=5, bias_initializer="ones").bias.min() == 1


def test_trainable_dtype_and_device_moves() -> None:
    assert not any(one.requires_grad for one in GRU(4, input_dim=5, trainable=False).parameters())
    assert GRU(4, input_dim=5, dtype=torch.float64).kernel.dtype == torch.float64
    layer = GRU(4, input_dim=5)
    assert layer.double()(torch.zeros(1, 2, 5)).dtype == torch.float64
    mixed = GRU(4, input_dim=5, dtype="mixed_bfloat16")
    assert mixed.kernel.dtype == torch.float32
    assert mixed(torch.zeros(1, 2, 5)).dtype == torch.bfloat16


def test_autocast_is_followed() -> None:
    layer = GRU(4, input_dim=5, return_sequences=True)
    x = torch.randn(2, 3, 5)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
        found.sum().backward()
    assert found.dtype == torch.bfloat16
    assert layer.kernel.grad is not None and layer.kernel.grad.dtype == torch.float32
    torch.testing.assert_close(found.float(), expected, atol=2e-2, rtol=0)


def test_state_dicts_build_a_layer_that_has_no_weights_yet() -> None:
    layer = GRU(4, input_dim=5, dropout=0.5, seed=3)
    again = GRU(4, dropout=0.5, seed=3)
    again.load_state_dict(layer.state_dict())
    assert all(torch.equal(one, two) for one, two in zip(layer.parameters(), again.parameters(), strict=True))


def test_copies_and_pickles() -> None:
    layer = GRU(4, input_dim=5, activity_regularizer="l2", dropout=0.5)
    x = torch.randn(2, 3, 5)
    layer(x)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(again.eval()(x), layer.eval()(x))


def test_layouts_of_outputs() -> None:
    x = torch.randn(2, 3, 5)
    assert GRU(4)(x).shape == (2, 4)
    output, state = GRU(4, return_sequences=True, return_state=True)(x)
    assert (output.shape, state.shape) == ((2, 3, 4), (2, 4))
    assert isinstance(GRU(4, return_state=True)(x), tuple)
    assert GRU(4, return_sequences=True, time_major=True)(x).shape == (2, 3, 4)
    assert GRU(4, return_state=True, time_major=True)(x)[1].shape == (3, 4)
    assert GRU(4)(torch.zeros(0, 3, 5)).shape == (0, 4)


def test_outputs_may_be_written_over() -> None:
    layer = GRU(4, return_sequences=True, return_state=True, input_dim=5)
    x = torch.randn(1, 3, 5)
    expected = torch.autograd.grad(sum(one.sum() for one in layer(x)), layer.kernel)
    output, state = layer(x)
    output.add_(1.0)
    state.add_(1.0)
    torch.testing.assert_close(torch.autograd.grad(output.sum() + state.sum(), layer.kernel), expected)


def test_the_first_state_may_stand_in_the_inputs_and_may_be_an_array() -> None:
    layer = GRU(4, input_dim=5)
    x, h = torch.randn(2, 3, 5), torch.randn(2, 4)
    expected = layer(x, initial_state=h)
    for found in (layer([x, h]), layer(x, initial_state=[h]), layer(x, initial_state=h.numpy()), layer(x.numpy(), initial_state=h)):
        assert torch.equal(found, expected)


def test_compute_mask_follows_the_outputs() -> None:
    mask = torch.tensor([[True, True, False]])
    assert GRU(4).compute_mask(None, mask) is None
    assert GRU(4, return_sequences=True).compute_mask(None, mask) is mask
    assert GRU(4, return_sequences=True, go_backwards=True).compute_mask(None, mask).tolist() == [[False, True, True]]
    assert GRU(4, return_sequences=True, go_backwards=True, time_major=True).compute_mask(None, mask.t()).tolist() == [
        [False],
        [True],
        [True],
    ]
    assert GRU(4, return_state=True).compute_mask(None, mask) == [None, None]


def test_masks_may_be_numbers_arrays_or_lists() -> None:
    layer = GRU(4, input_dim=5)
    x = torch.randn(2, 3, 5)
    mask = torch.tensor([[True, False, True], [False, False, True]])
    expected = layer(x, mask=mask)
    for same in (mask.int(), mask.float(), mask.numpy(), [mask], mask.tolist()):
        assert torch.equal(layer(x, mask=same), expected)


def test_what_masked_inputs_hold_does_not_matter() -> None:
    layer = GRU(4, input_dim=5, return_sequences=True)
    x = torch.randn(2, 3, 5, requires_grad=True)
    mask = torch.tensor([[True, False, True], [False, True, False]])
    dirty = torch.where(mask[:, :, None], x, torch.nan)
    output = layer(dirty, mask=mask)
    assert torch.equal(output, layer(x, mask=mask))
    output.sum().backward()
    assert all(one.grad.isfinite().all() for one in layer.parameters())
    with torch.no_grad():
        assert torch.allclose(layer(dirty, mask=mask), output, atol=1e-6)
