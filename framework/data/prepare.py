"""The one way in: any kind of data, prepared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from framework.data.prepared import PreparedData, check_declared_sizes
from framework.data.registry import Registry
from framework.data.text import prepare_text
from framework.spec.data import DATA_KINDS, DataSpec
from framework.spec.experiment import PathsSpec

Preparation = Callable[[Any, PathsSpec, int], PreparedData]
"""Prepares one kind of data from its spec, the paths and the seed."""

PreparationT = TypeVar("PreparationT", bound=Preparation)

PREPARATIONS: Registry[Preparation] = Registry("data.kind", "kind of data")
"""Preparations by kind of data."""
PREPARATIONS.add("text", prepare_text)


def data_kind(spec: type[DataSpec]) -> Callable[[PreparationT], PreparationT]:
    """Register a kind of data: its spec, so that configs may say ``data.kind``, and the function that prepares it.

    The function gets a validated spec, the paths and the seed. Put it into a module that an entry point of the group
    ``gatework.plugins`` names:

        @data_kind(PairsDataSpec)
        def prepare_pairs(spec: PairsDataSpec, paths: PathsSpec, seed: int) -> PreparedData:
            ...

    Args:
        spec: the kind's spec; the default of its field ``kind`` is the kind's name.
    """
    kind = str(spec.model_fields["kind"].default)

    def register(preparation: PreparationT) -> PreparationT:
        PREPARATIONS.add(kind, preparation)
        DATA_KINDS[kind] = spec
        return preparation

    return register


def prepare(spec: DataSpec, paths: PathsSpec, seed: int) -> PreparedData:
    """Prepare data of any kind.

    The same arguments and the same files give the same batches and the same digest.

    Args:
        spec: an experiment's ``data``.
        paths: an experiment's ``paths``.
        seed: an experiment's ``seed``.

    Raises:
        DataError: the data is missing, unreadable, too short, or not what the config declares; or its kind is unknown.
    """
    data = PREPARATIONS.get(spec.kind)(spec, paths, seed)
    check_declared_sizes(spec, data.sizes)
    return data
