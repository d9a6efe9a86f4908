"""Examples that are read when they are asked for, each by its number."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from framework.data.prepared import Example


class NumberedExamples(Sequence[Example]):
    """The examples with certain numbers, in order."""

    @property
    @abstractmethod
    def numbers(self) -> NDArray[np.integer[Any]]:
        """Of the examples."""

    @abstractmethod
    def example(self, number: int) -> Example:
        """The example of that number."""

    def __len__(self) -> int:
        return int(self.numbers.size)

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self.example(int(number)) for number in self.numbers[index]]
        return self.example(int(self.numbers[index]))

    def __iter__(self) -> Iterator[Example]:
        return (self.example(int(number)) for number in self.numbers)
