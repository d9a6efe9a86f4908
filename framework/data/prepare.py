"""The one way in: any kind of data, prepared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TypeVar

from framework.data.captions.prepare import prepare_captions
from framework.data.captions.processor import CaptionsProcessor
from framework.data.parallel.prepare import prepare_pairs
from framework.data.parallel.processor import PairsProcessor
from framework.data.prepared import PreparedData, check_declared_sizes
from framework.data.processor import Processor, TextProcessor
from framework.data.text import prepare_text
from framework.errors import DataError
from framework.registry import Registry
from framework.spec.data import DATA_KINDS, DataSpec
from framework.spec.experiment import PathsSpec

Preparation = Callable[..., PreparedData]
"""Prepares one kind of data from its spec, the paths and the seed; perhaps with a processor, see :func:`data_kind`."""

PreparationT = TypeVar("PreparationT", bound=Preparation)


@dataclass(frozen=True)
class DataKind:
    """How one kind of data is prepared.

    Attributes:
        prepare: from a spec to batches.
        processor: class of what its runs keep.
    """

    prepare: Preparation
    processor: type[Processor]

    @property
    def takes_processor(self) -> bool:
        """Whether it can be read with the processor of a trained model."""
        return "processor" in signature(self.prepare).parameters


PREPARATIONS: Registry[DataKind] = Registry("data.kind", "kind of data")
"""Kinds of data by name."""
PREPARATIONS.add("text", DataKind(prepare_text, TextProcessor))
PREPARATIONS.add("parallel_text", DataKind(prepare_pairs, PairsProcessor))
PREPARATIONS.add("captions", DataKind(prepare_captions, CaptionsProcessor))


def data_kind(spec: type[DataSpec], processor: type[Processor]) -> Callable[[PreparationT], PreparationT]:
    """Register a kind of data: its spec, so that configs may say ``data.kind``, the function that prepares it, and its processor.

    The function gets a validated spec, the paths and the seed. Put it into a module that an entry point of the group
    ``gatework.plugins`` names:

        @data_kind(PairsDataSpec, PairsProcessor)
        def prepare_pairs(spec: PairsDataSpec, paths: PathsSpec, seed: int) -> PreparedData:
            ...

    Where it also has an argument ``processor: PairsProcessor | None = None``, it is to read the data with that, where there is one, in
    place of one that it makes of the data, and to leave batches in the data's own order where the seed is None; then
    ``gatework evaluate`` can measure a trained model on other data.

    Args:
        spec: the kind's spec; the default of its field ``kind`` is the kind's name.
        processor: class of what :attr:`PreparedData.processor` is.
    """
    kind = str(spec.model_fields["kind"].default)

    def register(preparation: PreparationT) -> PreparationT:
        PREPARATIONS.add(kind, DataKind(preparation, processor), preparation)
        DATA_KINDS.add(kind, spec)
        return preparation

    return register


def prepare(spec: DataSpec, paths: PathsSpec, seed: int | None, processor: Processor | None = None) -> PreparedData:
    """Prepare data of any kind.

    The same arguments and the same files give the same batches and the same digest.

    Args:
        spec: an experiment's ``data``.
        paths: an experiment's ``paths``.
        seed: an experiment's ``seed``; None, with a processor: batches in the data's own order.
        processor: of a trained model that is to read the data; made of the data where there is none.

    Raises:
        DataError: the data is missing, unreadable, too short, or not what the config declares; or its kind is unknown, or cannot be
            read with another processor than its own.
    """
    kind = PREPARATIONS.named(spec.kind)
    if processor is None:
        data = kind.prepare(spec, paths, seed)
    elif kind.takes_processor:
        data = kind.prepare(spec, paths, seed, processor=processor)
    else:
        raise DataError(f"data of kind '{spec.kind}' cannot be read with the processor of a trained model")
    check_declared_sizes(spec, data.sizes)
    return data


def load_processor(spec: DataSpec, folder: Path) -> Processor:
    """The processor that a run or a model keeps.

    Args:
        spec: of the data that it was trained on.
        folder: the run's config folder, or the model's.

    Raises:
        DataError: it cannot be read, or the kind of data is unknown.
    """
    return PREPARATIONS.named(spec.kind).processor.load(folder)
