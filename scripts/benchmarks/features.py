"""Features of a data set's images: images a second, memory, and what a kill half-way costs.

``gatework features`` runs twice with a cache of its own in a temporary folder, which must have room for the features twice: once to its
end, once killed with all its processes in the midst of a batch and then gone on with. ``--set data=NAME`` says of which images.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.extraction import Extraction
from benchmarks.own_memory import OwnMemory
from framework.errors import GateworkError, InputError

DATA = "data=flickr8k"
"""Where nothing else is said."""

_MEBIBYTE = 2**20
_PAUSE, _SHORT_PAUSE = 0.05, 0.002
"""Seconds between two looks at a process: while its memory is measured, and while the moment to kill it is waited for."""

_IDLE = """
import json, sys
from framework.data.features.extractor import EXTRACTORS
from framework.spec.features import parse_features
spec = parse_features(json.loads(sys.argv[1]))
extract = EXTRACTORS.named(spec.kind).make(spec)
print("ready", flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Undisturbed:
    """What computing all features took.

    Attributes:
        images: their number.
        seconds: from the command's start to its end.
        rate: images a second once the first batch was done.
        memory: bytes that the command and its processes had of their own at most, each at its own time.
    """

    images: int
    seconds: float
    rate: float
    memory: int


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One row.

    ``extractor MiB`` is a process that has made the extractor and waits; ``above it MiB`` what all processes of the command together
    have more at most. Pages of mapped files are not counted. ``computed twice`` are images of the killed run, and ``differing`` those
    whose features are not, to the bit, the undisturbed run's.
    """
    words = list(arguments.overrides)
    if not any(word.startswith(("data=", "recipe=")) for word in words):
        words.insert(0, DATA)
    with tempfile.TemporaryDirectory(prefix="gatework-features-") as name:
        whole, killed = (Extraction(words, Path(name) / one) for one in ("whole", "killed"))
        found, spec = undisturbed(whole), _features(words)
        idle = idle_memory(spec)
        at, twice = kill_half_way(killed, found, spec.batch_size)
        row: dict[str, Any] = {"features": spec.kind, "images": found.images, "seconds": found.seconds, "images a second": found.rate}
        row |= {"extractor MiB": round(idle / _MEBIBYTE), "above it MiB": round((found.memory - idle) / _MEBIBYTE)}
        row |= {"killed after images": at, "computed twice": twice, "a batch": spec.batch_size}
        return [{**row, "differing": killed.differing(whole)}]


def undisturbed(extraction: Extraction) -> Undisturbed:
    """Computes all features, and watches it.

    Raises:
        InputError: they cannot be computed, or are there already as a file.
    """
    memory, seen = 0, list[tuple[float, int]]()
    started = time.perf_counter()
    with extraction.running() as process:
        held = OwnMemory(process.pid)
        while process.poll() is None:
            memory = held.peak()
            there = extraction.images
            if there > (seen[-1][1] if seen else 0):
                seen.append((time.perf_counter(), there))
            time.sleep(_PAUSE)
    seconds = time.perf_counter() - started
    extraction.check(process)
    images = extraction.images
    if not images:
        raise InputError("nothing was computed; expected data whose features are computed from images, such as data=scenes")
    rate = images / seconds
    if len(seen) > 1:
        (first, some), (last, most) = seen[0], seen[-1]
        rate = (most - some) / (last - first)
    return Undisturbed(images, seconds, rate, memory)


def idle_memory(spec: Any) -> int:
    """Bytes of its own of a process that has made an extractor, and waits."""
    command = [sys.executable, "-c", _IDLE, json.dumps(spec.model_dump(mode="json"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise GateworkError("the extractor could not be made alone; what was wrong stands before this")
        return OwnMemory(process.pid).now()


def kill_half_way(extraction: Extraction, whole: Undisturbed, batch: int) -> tuple[int, int]:
    """Kills the command when half of its images are kept, in the midst of the next batch, and runs it again to its end.

    Args:
        extraction: with nothing computed yet.
        whole: what it takes without a kill.
        batch: images of a batch.

    Returns:
        Images that were kept when it was killed, and images that were computed twice.

    Raises:
        GateworkError: it ended before it was killed.
    """
    with extraction.running(counted=True) as process:
        while process.poll() is None and 2 * extraction.images < whole.images:
            time.sleep(_SHORT_PAUSE)
        time.sleep(batch / whole.rate / 2)
    kept = extraction.images
    if process.returncode != -signal.SIGKILL:
        extraction.check(process)
    if process.returncode == 0 or kept >= whole.images:
        raise GateworkError(f"{whole.images} images were done before the command could be killed half-way; give more, or smaller batches")
    extraction.finish(counted=True)
    return kept, extraction.computed - extraction.images


def _features(words: Sequence[str]) -> Any:
    from framework.config.compose import compose
    from framework.spec.features import parse_features

    return parse_features(compose(words, recipe_needed=False).mapping["data"]["features"])
