"""Models of every layer kind against the same Keras model with the same weights: outputs, masked loss, gradients, whole trainings."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from small_models import Listener, Windows, Workshop

from framework.backends.base.training import Position
from framework.data.batches import Batch
from framework.spec.optimizer import AdamWSpec, SGDSpec

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]

V, E, U = 11, 5, 7
L2 = {"class_name": "l2", "config": {"l2": 0.03}}
L1 = {"class_name": "l1", "config": {"l1": 0.02}}

KINDS = {
    "embedding": keras.layers.Embedding,
    "gru": keras.layers.GRU,
    "dense": keras.layers.Dense,
    "dropout": keras.layers.Dropout,
    "masking": keras.layers.Masking,
    "activation": keras.layers.Activation,
    "layer_normalization": keras.layers.LayerNormalization,
    "concatenate": keras.layers.Concatenate,
    "add": keras.layers.Add,
}

EMBEDDING = {"kind": "embedding", "inputs": "tokens", "input_dim": V, "output_dim": E}
MASKED = {**EMBEDDING, "mask_zero": True}
GRU = {"kind": "gru", "units": U, "return_sequences": True}
LOGITS = {"kind": "dense", "units": V}

MODELS: dict[str, dict[str, dict[str, Any]]] = {
    "plain": {"e": EMBEDDING, "g": GRU, "out": LOGITS},
    "masked": {"e": MASKED, "g": {**GRU, "go_backwards": False}, "out": LOGITS},
    "zero output for mask": {"e": MASKED, "g": {**GRU, "zero_output_for_mask": True}, "out": LOGITS},
    "two layers": {"e": MASKED, "g": GRU, "h": {**GRU, "units": 3, "reset_after": False}, "out": LOGITS},
    "dense with activation": {
        "e": EMBEDDING,
        "d": {"kind": "dense", "units": 4, "activation": "softplus", "use_bias": False},
        "out": LOGITS,
    },
    "normalized": {"e": MASKED, "n": {"kind": "layer_normalization", "epsilon": 0.01}, "g": GRU, "out": LOGITS},
    "normalized without gamma": {"e": EMBEDDING, "n": {"kind": "layer_normalization", "scale": False}, "out": LOGITS},
    "normalized without beta": {"e": EMBEDDING, "n": {"kind": "layer_normalization", "center": False}, "out": LOGITS},
    "activated": {"e": MASKED, "a": {"kind": "activation", "activation": "softmax"}, "d": {"kind": "dropout", "rate": 0.4}, "out": LOGITS},
    "masking": {
        "e": EMBEDDING,
        "d": {"kind": "dense", "units": 3, "activation": "relu"},
        "m": {"kind": "masking"},
        "g": GRU,
        "out": LOGITS,
    },
    "concatenated": {"e": MASKED, "f": {**EMBEDDING, "output_dim": 2}, "c": {"kind": "concatenate", "inputs": ["e", "f"]}, "out": LOGITS},
    "concatenated, both masked": {
        "e": MASKED,
        "d": {"kind": "dense", "inputs": "e", "units": 3, "activation": "relu"},
        "m": {"kind": "masking", "inputs": "d"},
        "c": {"kind": "concatenate", "inputs": ["e", "m"], "axis": 2},
        "out": LOGITS,
    },
    "added": {"e": MASKED, "g": {**GRU, "units": E}, "s": {"kind": "add", "inputs": ["e", "g"]}, "out": LOGITS},
    "added, one masked": {"e": MASKED, "f": EMBEDDING, "s": {"kind": "add", "inputs": ["e", "f"]}, "out": LOGITS},
    "added, masked differently": {
        "e": MASKED,
        "d": {"kind": "dense", "units": E, "activation": "relu"},
        "m": {"kind": "masking"},
        "s": {"kind": "add", "inputs": ["e", "m"]},
        "out": LOGITS,
    },
    "penalties": {
        "e": {**EMBEDDING, "embeddings_regularizer": L2},
        "g": {**GRU, "kernel_regularizer": L1, "bias_regularizer": L2, "activity_regularizer": L2},
        "n": {"kind": "layer_normalization", "gamma_regularizer": L1, "beta_regularizer": L2},
        "out": {**LOGITS, "kernel_regularizer": L2, "activity_regularizer": L1},
    },
    "penalty on a frozen layer": {"e": {**EMBEDDING, "embeddings_regularizer": L2, "trainable": False}, "g": GRU, "out": LOGITS},
    **{
        f"bidirectional {merge}": {"e": MASKED, "b": {"kind": "bidirectional", "layer": GRU, "merge_mode": merge}, "out": LOGITS}
        for merge in ("concat", "sum", "mul", "ave")
    },
    "bidirectional of two": {
        "e": EMBEDDING,
        "b": {
            "kind": "bidirectional",
            "layer": {**GRU, "recurrent_regularizer": L2},
            "backward_layer": {**GRU, "go_backwards": True, "activation": "softsign", "reset_after": False},
        },
        "out": LOGITS,
    },
}


def as_model(layers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"inputs": {"tokens": {"dtype": "int32", "shape": [None]}}, "layers": copy.deepcopy(layers), "outputs": "out"}


def keras_layer(name: str, config: dict[str, Any], dtype: str) -> keras.layers.Layer:
    arguments = {key: value for key, value in config.items() if key not in ("kind", "inputs")}
    if config["kind"] == "bidirectional":
        for key in ("layer", "backward_layer"):
            if key in arguments:
                arguments[key] = keras_layer(f"{name}_{key}", arguments[key], dtype)
        return keras.layers.Bidirectional(**arguments, name=name, dtype=dtype)
    return KINDS[config["kind"]](**arguments, name=name, dtype=dtype)


def keras_model(layers: dict[str, dict[str, Any]], weights: dict[str, Any], dtype: str = "float64") -> keras.Model:
    """The same wiring with Keras' functional API; weights are set in Keras' own order."""
    wires = {"tokens": keras.Input((None,), dtype="int32")}
    last = "tokens"
    for name, config in layers.items():
        inputs = config.get("inputs", last)
        read = [wires[one] for one in inputs] if isinstance(inputs, list) else wires[inputs]
        wires[name] = keras_layer(name, config, dtype)(read)
        last = name
    model = keras.Model(wires["tokens"], wires["out"])
    for name in layers:
        own = [value for key, value in weights.items() if key.startswith(f"{name}/")]
        if own:
            model.get_layer(name).set_weights(own)
    return model


def a_batch(weighted: bool, rows: int = 4, time: int = 6, seed: int = 1) -> Batch:
    """Tokens with zeros anywhere, also at the front, and one row of nothing else."""
    random = np.random.default_rng(seed)
    tokens = random.integers(0, V, (rows, time), dtype=np.int32)
    tokens[random.random((rows, time)) < 0.3] = 0
    tokens[-1] = 0
    targets = random.integers(0, V, (rows, time), dtype=np.int32)
    return Batch({"tokens": tokens}, targets, random.random((rows, time), dtype=np.float32) if weighted else None)


def keras_loss(model: keras.Model, batch: Batch) -> tuple[Any, Any]:
    """The mean over what counts: by the weights where there are some, else by the mask; and with the penalties."""
    logits = model(batch.inputs["tokens"])
    if batch.weights is None:
        reported = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")(batch.targets, logits)
    else:
        each = keras.losses.sparse_categorical_crossentropy(batch.targets, logits, from_logits=True)
        weights = batch.weights.astype("float64")
        reported = keras.ops.sum(each * weights) / weights.sum()
    return reported, reported + sum(keras.ops.cast(one, "float64") for one in model.losses)


@pytest.mark.parametrize("name", MODELS)
def test_outputs_loss_and_gradients_are_those_of_keras(name: str, workshop: Workshop) -> None:
    import tensorflow as tf

    trainee = workshop.trainee(as_model(MODELS[name]), precision="64-true")
    random = np.random.default_rng(5)
    weights = {key: random.normal(size=value.shape) * 0.4 for key, value in trainee.weights().items()}
    trainee.set_weights(weights)
    theirs = keras_model(MODELS[name], weights)
    for weighted in (True, False) if name in ("plain", "masked") else (True,):
        batch = a_batch(weighted)
        (output,) = trainee.predict(batch.inputs).values()
        np.testing.assert_allclose(output, np.asarray(theirs(batch.inputs["tokens"])), rtol=1e-9, atol=1e-10)
        with tf.GradientTape() as tape:
            reported, total = keras_loss(theirs, batch)
        loss, gradients = trainee.loss_and_gradients(batch)
        assert loss == pytest.approx(float(reported), rel=1e-9)
        assert len(gradients) == len(theirs.trainable_weights)
        expected = tape.gradient(total, [variable.value for variable in theirs.trainable_weights])
        frozen = {f"{layer}/" for layer, config in MODELS[name].items() if not config.get("trainable", True)}
        names = [key for key in weights if not key.startswith(tuple(frozen) or ("\0",))]
        by_name = dict(zip(names, (keras.ops.convert_to_numpy(tf.convert_to_tensor(one)) for one in expected), strict=True))
        for key, gradient in gradients.items():
            np.testing.assert_allclose(gradient, by_name[key], rtol=1e-7, atol=1e-9, err_msg=key)


CONSTRAINED = {
    "e": {**MASKED, "embeddings_constraint": {"class_name": "max_norm", "config": {"max_value": 0.9, "axis": 1}}},
    "g": {**GRU, "kernel_regularizer": L2, "recurrent_constraint": {"class_name": "unit_norm", "config": {"axis": 0}}},
    "out": {**LOGITS, "kernel_constraint": "non_neg", "activity_regularizer": L2},
}


@pytest.mark.parametrize(
    ("trainer", "make"),
    [
        ({}, lambda: keras.optimizers.AdamW(0.03, weight_decay=0.05, epsilon=1e-4)),
        ({"gradient_clip_val": 0.05}, lambda: keras.optimizers.AdamW(0.03, weight_decay=0.05, epsilon=1e-4, global_clipnorm=0.05)),
        (
            {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
            lambda: keras.optimizers.AdamW(0.03, weight_decay=0.05, epsilon=1e-4, clipvalue=0.01),
        ),
        ({}, lambda: keras.optimizers.SGD(0.03, momentum=0.9)),
    ],
)
def test_a_training_ends_where_keras_ends(trainer: dict[str, Any], make: Callable[[], Any], workshop: Workshop) -> None:
    """Six steps with masks, penalties, constraints, clipping and weight decay, against a custom loop on Keras' own pieces."""
    import tensorflow as tf

    trainee = workshop.trainee(as_model(CONSTRAINED), precision="64-true")
    theirs, optimizer = keras_model(CONSTRAINED, trainee.weights()), make()
    train = Windows(3, seed=4, weighted=True, lowest=0)
    losses = []
    for epoch in range(2):
        for batch in train.epoch(epoch):
            with tf.GradientTape() as tape:
                reported, total = keras_loss(theirs, batch)
            # Keras squares the rows of an embedding's sparse gradient one by one, so that a token met twice counts wrongly.
            found = tape.gradient(total, theirs.trainable_weights)
            optimizer.apply([tf.convert_to_tensor(one) for one in found], theirs.trainable_weights)
            losses.append(float(reported))
    spec = SGDSpec(momentum=0.9) if isinstance(optimizer, keras.optimizers.SGD) else AdamWSpec(weight_decay=0.05, epsilon=1e-4)
    listener = Listener()
    training = workshop.training(train, optimizer=spec, rate=lambda step: 0.03, precision="64-true", start=Position(), **trainer)
    trainee.fit(training, listener)
    np.testing.assert_allclose([one.loss for one in listener.steps], losses, rtol=1e-5)
    for (name, ours), variable in zip(trainee.weights().items(), theirs.weights, strict=True):
        np.testing.assert_allclose(ours, np.asarray(variable), rtol=1e-4, atol=1e-6, err_msg=name)
