"""What preparing data gives, whatever its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from framework.data.batches import Batches
from framework.data.vocabulary import Vocabulary
from framework.errors import DataError, Problem
from framework.spec.data import DataSpec


@dataclass(frozen=True)
class PreparedData:
    """Data that is ready to be trained on.

    Attributes:
        sizes: numbers that the model's ``${size:NAME}`` stand for.
        digest: SHA-256 of everything read and of every setting that shapes the batches, 64 hexadecimal digits. The seed is no
            part of it.
        vocabulary: of the tokens that the model writes.
        train: batches to train on.
        validation: batches to validate on, in order; None where nothing is held out.
        tokens: tokens read, of all parts.
        source: where the data came from, for people.
        characters_per_token: mean length of a token in the text, in characters; 1 where tokens are characters.
    """

    sizes: dict[str, int]
    digest: str
    vocabulary: Vocabulary
    train: Batches
    validation: Batches | None
    tokens: int
    source: str
    characters_per_token: float = 1.0


def check_declared_sizes(spec: DataSpec, sizes: Mapping[str, int]) -> None:
    """Hold the real sizes against those that the config declares.

    Raises:
        DataError: a declared size differs from the real one, or there is no size of that name.
    """
    for name, declared in spec.known_sizes().items():
        key = f"data.declared_sizes.{name}"
        if name not in sizes:
            raise DataError(Problem(key, f"data of kind '{spec.kind}' has no size '{name}'", expected="one of " + ", ".join(sizes)))
        if sizes[name] != declared:
            # The model's size counts [UNK], the declaration does not: advise in the declaration's own terms.
            right = sizes[name] - declared + spec.declared_sizes.get(name, declared)
            raise DataError(
                Problem(
                    path=key,
                    message=f"the data's size '{name}' is {sizes[name]:,}, but {declared:,} by the config",
                    value=str(spec.declared_sizes.get(name, declared)),
                    hint=f"set {key}={right} if this is the data that is meant, or take the declaration out with '~{key}'",
                )
            )
