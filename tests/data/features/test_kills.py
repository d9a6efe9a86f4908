"""Features that a command computes are the same, and hardly more work, however often all of its processes are killed."""

from __future__ import annotations

import importlib
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
BATCH, KILLS = 8, 6
WORDS = ["data=scenes", "data.max_images=1200", f"data.features.batch_size={BATCH}"]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Modules of ``scripts/benchmarks``, which run the command and count what it computes."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def kill(extraction: Any, moment: float) -> bool:
    """Runs the command and kills it, a time after it has added a first image; whether it was not done before."""
    before = extraction.images
    with extraction.running(counted=True) as process:
        while process.poll() is None and extraction.images == before:
            time.sleep(0.002)
        time.sleep(moment)
    return bool(process.returncode < 0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by their group")
def test_killed_at_random_moments_a_command_gives_what_an_undisturbed_one_does(benchmarks: Any, tmp_path: Path) -> None:
    whole, killed = (benchmarks("extraction").Extraction(WORDS, tmp_path / name) for name in ("whole", "killed"))
    found = benchmarks("features").undisturbed(whole)
    assert found.images == 1200
    moments, kills = random.Random(0), 0
    while kills < KILLS:
        wasted = killed.computed - killed.images
        if not kill(killed, moments.uniform(0.0, found.images / found.rate / KILLS)) or killed.images == found.images:
            break  # the machine is faster than it was
        kills += 1
        print(f"kill {kills}: {killed.images} images kept, {killed.computed} computed")
        assert wasted <= killed.computed - killed.images <= wasted + BATCH, "no more than a batch for each kill"
    assert kills > KILLS // 2
    wasted = killed.computed - killed.images
    killed.finish(counted=True)
    assert killed.images == found.images and killed.computed == found.images + wasted
    assert killed.differing(whole) == 0
