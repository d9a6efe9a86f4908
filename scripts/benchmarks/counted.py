"""``gatework features`` that writes down each image before it is computed, so that it can be counted what a kill costs.

python -m benchmarks.counted FILE data=scenes ...
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

LINE_BYTES = 65
"""Of an image in the file: the SHA-256 of its pixels, and the line's end."""


def run(file: str, words: Sequence[str]) -> int:
    """Runs the command; its exit code.

    Args:
        file: gets a line for each image; what it has already stays.
        words: the command's.
    """
    from framework.cli.main import main
    from framework.data.features import compute

    made = compute.extractor_of

    @contextmanager
    def counted(spec: Any) -> Iterator[Any]:
        with made(spec) as extract, open(file, "ab", buffering=0) as lines:

            def call(images: Any) -> Any:
                lines.write(b"".join(sha256(image.tobytes()).hexdigest().encode() + b"\n" for image in images))
                return extract(images)

            yield call

    compute.extractor_of = counted
    return main(["features", *words])


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1], sys.argv[2:]))
