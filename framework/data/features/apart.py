"""An extractor in a process of its own: what it needs, such as another backend, is never loaded into the one that trains."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from framework.errors import GateworkError, InputError, TrainingError
from framework.spec.features import PixelFeaturesSpec, parse_features

_SHAPE = struct.Struct("<4q")
_FAILED = -1
_TOLD = 2_000

_AT_ONCE = 16
"""Images that a network sees at once, however many are given: its first layers hold a hundred times an image's own memory."""


class ApartExtractor:
    """Computes features in a process that ends with this object, or with this process.

    Args:
        spec: kind and settings.
    """

    def __init__(self, spec: PixelFeaturesSpec) -> None:
        self._spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None

    def __enter__(self) -> ApartExtractor:
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(self._spec.model_dump(mode="json"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        return self

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See :class:`framework.data.features.extractor.Extractor`.

        Raises:
            InputError: it cannot be made, for lack of a package or of weights.
            TrainingError: it has failed or was killed.
        """
        assert self._process is not None and self._process.stdin is not None and self._process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended; what it said before that is still to be read
                _send(self._process.stdin, images)
            return _received(self._process.stdout, np.dtype("<f4"))
        except EOFError as error:
            raise self._why(str(error)) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            assert self._process.stdin is not None and self._process.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            if error is not None:
                self._process.kill()
            self._process.wait()
            self._process.stdout.close()
        if self._said is not None:
            self._said.close()

    def _why(self, message: str) -> GateworkError:
        if message:
            return InputError(message)
        assert self._process is not None and self._said is not None
        code = self._process.wait()
        self._said.seek(0)
        said = self._said.read().decode("utf-8", "replace")[-_TOLD:].strip()
        return TrainingError(f"the process that computes '{self._spec.kind}' features ended with code {code}: {said or 'it said nothing'}")


def _send(stream: IO[bytes], array: NDArray[Any]) -> None:
    stream.write(_SHAPE.pack(*array.shape, *[0] * (4 - array.ndim)))
    stream.write(np.ascontiguousarray(array).tobytes())
    stream.flush()


def _received(stream: IO[bytes], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array; EOFError where the other process has ended, or with the words of why it gives none."""
    sizes = _SHAPE.unpack(_whole(stream, _SHAPE.size))
    if sizes[0] == _FAILED:
        raise EOFError(_whole(stream, sizes[1]).decode("utf-8"))
    shape = [size for size in sizes if size]
    return np.frombuffer(_whole(stream, int(np.prod(shape)) * dtype.itemsize), dtype).reshape(shape)


def _whole(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError("")
    return content


def _serve(given: IO[bytes], answers: IO[bytes], settings: str) -> None:
    """The other process: makes the extractor, and computes until there are no more images."""
    from framework.data.features.extractor import EXTRACTORS

    try:
        spec = parse_features(json.loads(settings))
        assert isinstance(spec, PixelFeaturesSpec)
        extract = EXTRACTORS.named(spec.kind).make(spec)
    except GateworkError as error:
        message = str(error).encode("utf-8")
        answers.write(_SHAPE.pack(_FAILED, len(message), 0, 0) + message)
        answers.flush()
        return
    while True:
        try:
            images = _received(given, np.dtype(np.uint8))
        except EOFError:
            return
        parts = [extract(images[start : start + _AT_ONCE]) for start in range(0, len(images), _AT_ONCE)]
        _send(answers, np.asarray(np.concatenate(parts), "<f4"))


if __name__ == "__main__":
    # What libraries print must not get between the arrays.
    answering = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _serve(sys.stdin.buffer, answering, sys.argv[1])
