"""The one way in: any kind of data, prepared."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import TypeVar

from framework.data.prepared import PreparedData, check_declared_sizes
from framework.data.registry import Registry
from framework.data.text import prepare_text
from framework.data.vocabulary import Vocabulary
from framework.errors import DataError
from framework.spec.data import DATA_KINDS, DataSpec
from framework.spec.experiment import PathsSpec

Preparation = Callable[..., PreparedData]
"""Prepares one kind of data from its spec, the paths and the seed; perhaps with a vocabulary, see :func:`data_kind`."""

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

    Where it also has an argument ``vocabulary: Vocabulary | None = None``, it is to number tokens by that, where there is one, in
    place of one that it makes of the data, and to leave batches in the data's own order where the seed is None; then
    ``gatework evaluate`` can measure a trained model on other data.

    Args:
        spec: the kind's spec; the default of its field ``kind`` is the kind's name.
    """
    kind = str(spec.model_fields["kind"].default)

    def register(preparation: PreparationT) -> PreparationT:
        PREPARATIONS.add(kind, preparation)
        DATA_KINDS[kind] = spec
        return preparation

    return register


def prepare(spec: DataSpec, paths: PathsSpec, seed: int | None, vocabulary: Vocabulary | None = None) -> PreparedData:
    """Prepare data of any kind.

    The same arguments and the same files give the same batches and the same digest.

    Args:
        spec: an experiment's ``data``.
        paths: an experiment's ``paths``.
        seed: an experiment's ``seed``; None, with a vocabulary: batches in the data's own order.
        vocabulary: of a trained model that is to read the data; made of the data where there is none.

    Raises:
        DataError: the data is missing, unreadable, too short, or not what the config declares; or its kind is unknown, or cannot be
            read with another vocabulary than its own.
    """
    preparation = PREPARATIONS.get(spec.kind)
    if vocabulary is None:
        data = preparation(spec, paths, seed)
    elif takes_vocabulary(spec.kind):
        data = preparation(spec, paths, seed, vocabulary=vocabulary)
    else:
        raise DataError(f"data of kind '{spec.kind}' cannot be read with the vocabulary of a trained model")
    check_declared_sizes(spec, data.sizes)
    return data


def takes_vocabulary(kind: str) -> bool:
    """Whether data of a kind can be read with the vocabulary of a trained model."""
    return "vocabulary" in signature(PREPARATIONS.get(kind)).parameters
