"""An error tells the same after it has travelled between processes, and after it was copied."""

from __future__ import annotations

import ast
import copy
import importlib
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from framework.data.vocabulary import UnknownTokens, Vocabulary
from framework.errors import GateworkError, Origin, Problem, SpecError

PACKAGE = Path(__file__).parents[1] / "framework"

PROBLEMS = [Problem("model.layers.gru.units", "value not accepted", "-3", "a whole number", "units", Origin("a.yaml", 7), "try 3")] * 2

MADE: dict[type[GateworkError], Callable[[], GateworkError]] = {
    SpecError: lambda: SpecError(PROBLEMS, "2 problems in the recipe"),
    UnknownTokens: lambda: UnknownTokens(["x", "y"], Vocabulary.of("ab"), ["my.txt, line 3"]),
}
"""Errors that take more than a message."""


def classes() -> list[tuple[str, str]]:
    """Module and name of every class in the sources that derives from GateworkError."""
    bases: dict[tuple[str, str], list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(["framework", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases[module, node.name] = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
    found = {"GateworkError"}
    while more := {name for (_, name), parents in bases.items() if found.intersection(parents)} - found:
        found |= more
    return [key for key in bases if key[1] in found]


def all_of_them() -> Iterator[object]:
    for module, name in classes():
        heavy = [getattr(pytest.mark, backend) for backend in ("torch", "tensorflow") if f".{backend}." in module]
        yield pytest.param(module, name, id=name, marks=heavy)


def test_the_search_finds_all_that_are_loaded() -> None:
    found = {name for _, name in classes()}
    assert {"GateworkError", "SpecError", "CheckpointError", "DecodingError", "ArgumentError"} <= found

    def below(kind: type[GateworkError]) -> set[str]:
        return {kind.__name__}.union(*(below(one) for one in kind.__subclasses__() if one.__module__.startswith("framework")))

    assert below(GateworkError) <= found


def made(module: str, name: str) -> GateworkError:
    kind = getattr(importlib.import_module(module), name)
    error: GateworkError = MADE.get(kind, lambda: kind("what is wrong,\nin two lines"))()
    error.add_note("seen while testing")
    return error


@pytest.mark.parametrize(("module", "name"), list(all_of_them()))
@pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy"])
def test_an_error_survives(module: str, name: str, way: str) -> None:
    error = made(module, name)
    ways: dict[str, Callable[[GateworkError], object]] = {
        "pickle": lambda one: pickle.loads(pickle.dumps(one)),
        "copy": copy.copy,
        "deepcopy": copy.deepcopy,
    }
    again = ways[way](error)
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args
    assert vars(again) == vars(error)
    assert again.exit_code == error.exit_code


def fail() -> None:
    raise SpecError(PROBLEMS)


def test_an_error_of_another_process_is_shown_as_it_was() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool, pytest.raises(SpecError) as caught:
        pool.submit(fail).result()
    assert str(caught.value) == str(SpecError(PROBLEMS))
    assert caught.value.problems == tuple(PROBLEMS)
