"""The two backends have the same files with the same jobs; what only one has is named here, with what it is for."""

from __future__ import annotations

from pathlib import Path

BACKENDS = Path(__file__).parents[2] / "framework" / "backends"

DESIGN = {
    "backend", "trainee", "model", "loss", "optimizers", "fitting", "identifiers", "state", "decoding/step", "decoding/stepper",
    "decoding/form", "decoding/cell", "layers/base", "layers/table", "gru/arguments", "gru/layer", "gru/calls", "gru/cudnn", "gru/dropout",
    "gru/masks", "gru/loop", "gru/scan", "attention/loop", "attention/memory", "attention/scan", "attention/step",
    "exporting/graphs", "exporting/onnx",
}  # fmt: skip
"""What both have, beside a file for each layer kind."""

OWN = {
    "torch": {
        "module": "the LightningModule",
        "events": "Lightning's callback",
        "loader": "Lightning's batches",
        "quiet": "what Lightning would say and do otherwise",
        "signal": "a tensor with its mask, which Keras' tensors carry themselves",
        "activity": "penalties on outputs, which Keras adds up itself",
        "arrays": "tensors and arrays, bfloat16 among them",
        "weights": "weights that torch computes from others",
        "state_dict": "torch's own files",
        "precision": "autocast and mixed policies, which Keras has itself",
        "counted": "which steps a CPU makes logits for; TensorFlow's graph has one shape for all",
        "logistic": "a faster tanh than torch's own on a CPU",
        "product": "products with prepared weights",
        "quantized": "products in int8, which TensorFlow has no CPU kernels for",
        "large_product": "prepacked products with their gradients",
        "second_order": "gradients of gradients of what is written by hand",
        "inception_v3": "the network that Keras has itself",
        "tracing": "what records a layer",
        "recorded_loop": "loops in what is recorded; TensorFlow's graphs have loops",
        "exporting/torch_export": "torch's own format",
        "gru/settings": "the attributes that Keras' GRU has itself",
        "gru/state": "states, which Keras' RNN keeps itself",
        "gru/weights": "weights as Keras has them",
        "gru/routes": "which way a batch is run",
        "gru/kernel": "torch's own kernels",
        "gru/gates": "of the scan", "gru/products": "of the scan", "gru/slopes": "of the scan", "gru/tape": "of the scan",
        "attention/steps": "of the scan", "attention/whole": "attention without a loop",
    },
    "tensorflow": {
        "compiled": "the graphs of a model",
        "plain_keras": "a model without our layers, for Keras' files; torch's hold weights alone",
        "whole_model": "anybody's Keras model, run; torch's files hold weights alone",
        "environment": "what TensorFlow reads before it is imported",
        "exporting/keras_model": "Keras' own format", "exporting/saved_model": "TensorFlow's", "exporting/tflite": "TensorFlow's",
        "gru/compaction": "masks around cuDNN's kernel",
        "gru/errors": "what Keras raises",
        "gru/graphs": "what kind of graph is being made",
        "gru/initialization": "orthogonal matrices in half precision",
        "gru/step": "the equations of one step, as graphs take them",
    },
}  # fmt: skip


def modules(backend: str) -> set[str]:
    paths = ((path.relative_to(BACKENDS / backend).with_suffix("")) for path in (BACKENDS / backend).rglob("*.py"))
    return {path.as_posix() for path in paths if path.name != "__init__"}


def test_both_have_the_same_files() -> None:
    torch, tensorflow = (modules(backend) - OWN[backend].keys() for backend in ("torch", "tensorflow"))
    assert torch == tensorflow
    assert torch >= DESIGN


def test_what_only_one_has_is_there() -> None:
    for backend, other in (("torch", "tensorflow"), ("tensorflow", "torch")):
        assert OWN[backend].keys() <= modules(backend) - modules(other)
