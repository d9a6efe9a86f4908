"""Small files of pairs, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from framework.data.prepare import prepare
from framework.data.prepared import PreparedData
from framework.spec.experiment import PathsSpec
from framework.spec.parallel_text import ParallelTextDataSpec

Prepare = Callable[..., PreparedData]

NUMBERS = ("uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez")


def numbered(count: int) -> list[str]:
    """Different pairs of 2 to 11 words."""
    return [f"{' '.join(NUMBERS[: 1 + row % 10])} {row}\t{' '.join(['one'] * (1 + row % 7))} {row}" for row in range(count)]


@pytest.fixture
def prepare_pairs(tmp_path: Path) -> Prepare:
    """Prepares lines (or bytes, or a spec's own places) with other settings than the defaults; the seed is 0."""

    def run(lines: Iterable[str] | bytes | None = None, *, seed: int | None = 0, **settings: Any) -> PreparedData:
        processor = settings.pop("processor", None)
        if lines is not None:
            content = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()
            (tmp_path / "pairs.tsv").write_bytes(content)
            settings["path"] = str(tmp_path / "pairs.tsv")
        spec = ParallelTextDataSpec.model_validate({"drop_remainder": False, "batch_size": 4, **settings})
        return prepare(spec, PathsSpec(cache_dir=str(tmp_path / "cache")), seed, processor)

    return run
