"""Whatever stands in a config or on the command line: one clear message with file and line, no traceback, little time, little memory."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fuzz.harness import ForkServer, Outcome
from fuzz.yaml_mutations import mutate, overrides, project

BASE = ["recipe=mine", "data.path=my.txt"]
VERBS = (
    *[["check"]] * 6, ["check", "--json"], ["train", "--cfg", "job"], ["train", "--cfg", "job", "--resolve"],
    ["train", "--cfg", "all"], ["explain"],
    ["why", "trainer.max_epochs"], ["why", "model.layers.gru.units"],
)  # fmt: skip
PRELOAD = [
    "framework.cli.check", "framework.cli.explain", "framework.cli.why", "framework.cli.new", "framework.cli.train", "framework.cli.answer",
    "framework.engine.run.planning", "framework.engine.run.prepare", "framework.report.explain", "framework.data.look",
    "framework.config.new",
]  # fmt: skip
SHARDS = 14
EACH = 100


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    warm = [["check", "recipe=text_generation"], ["train", "--cfg", "job", "recipe=text_generation"], ["check", "recipe=x"]]
    with ForkServer(PRELOAD, warm) as server:
        yield server


def untold(outcome: Outcome) -> list[str]:
    """Problems of a config that come without their place: a file and a line, or the word of the command line."""
    _, header, listed = outcome.err.partition(" in the config:\n")
    if not header:
        return []
    problems = re.split(r"\n  (?! )", "\n" + listed)[1:]
    return [problem for problem in problems if not re.search(r"\n      set in: (\S.*\.yaml:\d+|(override|sweep) `|job `)", problem)]


def judge(outcome: Outcome) -> list[str]:
    """What is wrong with how a command ended."""
    found = outcome.faults()
    if outcome.code != 0 and "--json" not in outcome.words and not outcome.err.lstrip().startswith("error: "):
        found.append(f"no error is told: {outcome.err[:200]!r}")
    return found + [f"without its place: {problem[:300]}" for problem in untold(outcome)]


def one(server: ForkServer, folder: Path, draw: random.Random) -> list[str]:
    """One mutated project, or one command line; what is wrong with the answer."""
    folder.mkdir()
    files = project(folder)
    changed = None
    words: Sequence[str] = BASE
    if draw.random() < 0.7:
        changed = files[draw.choice(sorted(files))]
        changed.write_bytes(mutate(changed.read_bytes(), draw))
    else:
        words = [*BASE, *overrides(draw)]
    verb = ["new", "other", "--from", "mine"] if changed and draw.random() < 0.05 else [*draw.choice(VERBS), *words]
    return [f"{' '.join(verb)[:300]!r} {changed or ''}: {fault}" for fault in judge(server.run(verb, folder))]


def run(server: ForkServer, tmp_path: Path, shard: int, count: int) -> list[str]:
    draw = random.Random(f"yaml {shard}")
    return [fault for number in range(count) for fault in one(server, tmp_path / str(number), draw)]


def test_the_unchanged_project_is_valid(server: ForkServer, tmp_path: Path) -> None:
    project(tmp_path)
    for verb in [*map(list, {tuple(verb) for verb in VERBS})]:
        outcome = server.run([*verb, *BASE], tmp_path)
        assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.slow
def test_a_few(server: ForkServer, tmp_path: Path) -> None:
    assert run(server, tmp_path, -1, 20) == []


@pytest.mark.slow
@pytest.mark.parametrize("shard", range(SHARDS))
def test_many(server: ForkServer, tmp_path: Path, shard: int) -> None:
    assert run(server, tmp_path, shard, EACH) == []
