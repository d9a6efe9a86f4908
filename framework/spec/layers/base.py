"""What every layer kind shares, and the table of kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar, TypeVar

from pydantic import Field

from framework.registry import Registry
from framework.spec.base import Spec

References = Annotated[str | Annotated[list[str], Field(min_length=1)], Field(union_mode="left_to_right")]


class LayerSpec(Spec):
    """One layer of a model, backend-neutral.

    A layer's name is its key under ``layers``; ``inputs`` names the layers or model inputs that it reads.
    """

    reference_fields: ClassVar[tuple[str, ...]] = ("inputs",)
    """Fields that name other layers; the wiring rules and the builder follow them."""

    outputs: ClassVar[tuple[str, ...]] = ("output",)
    """What a layer of this kind can be read for: ``name`` is its first output, ``name.state`` another."""

    kind: str
    """Name of the layer kind."""

    inputs: References | None = None
    """Layer or model input read, or a list of them; the layer written before when not given."""

    dtype: str | None = None
    """Data type of the layer's weights and computation; the run's precision when not given."""

    trainable: bool = True
    """Whether the optimizer changes the layer's weights."""

    def references(self) -> Iterator[tuple[str, str]]:
        """Every (field, reference) that this layer reads, ``inputs`` first; fields left out are not given."""
        for field in self.reference_fields:
            value = getattr(self, field)
            for reference in [value] if isinstance(value, str) else value or ():
                yield field, reference


LAYER_KINDS: Registry[type[LayerSpec]] = Registry("model.layers", "layer kind")
"""Layer kinds by name; filled by :func:`layer_kind`, read by the validator, the schema and the builder."""

Kind = TypeVar("Kind", bound=type[LayerSpec])


def layer_kind(name: str) -> Callable[[Kind], Kind]:
    """Makes a :class:`LayerSpec` known to YAML as ``kind: name``.

    Raises:
        DataError: another class has that name already.
    """

    def register(spec: Kind) -> Kind:
        LAYER_KINDS.add(name, spec)
        return spec

    return register
