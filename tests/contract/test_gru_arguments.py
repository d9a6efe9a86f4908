"""The GRU's arguments have the same names, defaults, rules and messages on both backends, and in YAML."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from framework.backends.base.gru_arguments import CONFIG, DOCUMENTED, ArgumentError, keywords_of
from framework.backends.tensorflow import GRU as KerasGRU
from framework.backends.torch import GRU as TorchGRU
from framework.spec.identifiers import Identifier
from framework.spec.layers.gru import GRUSpec

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]


@pytest.mark.parametrize("layer", [TorchGRU, KerasGRU])
def test_signatures_have_the_names_and_defaults_of_the_spec(layer: Any) -> None:
    parameters = list(inspect.signature(layer.__init__).parameters.values())[1:-1]
    assert tuple(one.name for one in parameters) == DOCUMENTED
    defaults = {one.name: one.default for one in parameters if one.default is not one.empty}
    assert GRUSpec(units=1, **defaults) == GRUSpec(units=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"units": 0}, {"units": "many"}, {"activation": "tahn"}, {"recurrent_activation": 3}, {"kernel_initializer": "glorot"},
        {"kernel_regularizer": {"class_name": "l2", "config": {"l1": 0.1}}}, {"bias_constraint": "unit"}, {"dropout": 1.5},
        {"recurrent_dropout": "half"}, {"implementation": 3}, {"stateful": "yes"}, {"use_cudnn": "fast"}, {"seed": 0.5},
        {"return_sequence": True}, {"dynamic": True}, {"batch_input_shape": (None, 3)}, {"input_shape": (3,)}, {"input_dim": 0},
        {"input_dim": 2, "batch_input_shape": (None, None, 3)}, {"units": -1, "dropout": 2, "unrol": True, "name": "mine"},
    ],
    ids=str,
)  # fmt: skip
def test_both_say_the_same_of_what_is_wrong(wrong: dict[str, Any]) -> None:
    messages = []
    for layer in (TorchGRU, KerasGRU):
        with pytest.raises(ArgumentError) as caught:
            layer(**{"units": 3, **wrong})
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert isinstance(caught.value, ValueError), "what Keras raises"


@pytest.mark.parametrize("layer", [TorchGRU, KerasGRU])
def test_both_take_what_older_code_and_numpy_give(layer: Any) -> None:
    made = layer(np.int64(3), implementation=0, use_bias=1, dropout=np.float64(0.5), dynamic=False, input_dim=np.int32(2))
    assert (made.units, made.implementation, made.use_bias, made.dropout, made.built) == (3, 2, True, 0.5, True)
    assert layer(3, recurrent_dropout=0.1).implementation == 1
    turned = layer(3, time_major=True, batch_input_shape=(5, 2, 4), stateful=True)
    assert turned.states[0].shape == (2, 3)
    assert not layer(3, batch_input_shape=(2, None, None)).built


def test_both_are_made_of_a_spec_by_the_same_arguments() -> None:
    spec = GRUSpec(units=4, activation=Identifier(class_name="hard_sigmoid_tf2"), kernel_regularizer=None, name="mine", seed=3)
    for layer in (TorchGRU, KerasGRU):
        made = layer(**keywords_of(spec, use_cudnn=False))
        config = made.get_config()
        assert set(config) == set(CONFIG)
        assert (config["units"], config["activation"], config["name"], config["use_cudnn"]) == (4, "hard_sigmoid_tf2", "mine", False)
