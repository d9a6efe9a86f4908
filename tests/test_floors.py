"""The floors of the design: a part imports only what lies on a lower floor, and each large library has one home.

Every import in the source counts, those inside functions and under TYPE_CHECKING too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "framework"

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"console", "errors", "file_lock", "files", "plugins", "registry", "secrets", "spec"}),
    frozenset({"config", "data", "decoding", "metrics", "weights"}),
    frozenset({"builder", "tasks", "backends.base"}),
    frozenset({"backends.tensorflow", "backends.torch"}),
    frozenset({"tracking", "report"}),
    frozenset({"engine.processes"}),  # the engine's rooms, in order
    frozenset({"engine.run"}),
    frozenset({"engine.model"}),
    frozenset({"engine.many"}),
    frozenset({"engine.compare"}),
    frozenset({"engine"}),
    frozenset({"framework", "plugin"}),  # what `import framework` offers: the engine, for users of Python
    frozenset({"cli", "tracking.served"}),  # programs: nobody imports them
    frozenset({"__main__"}),
)

# On one floor: what a part may import all the same.
NEIGHBOURS: frozenset[tuple[str, str]] = frozenset(
    {
        ("console", "errors"),  # what cannot be printed is an error
        ("file_lock", "errors"),
        ("errors", "secrets"),  # no message holds a password
        ("spec", "errors"),  # a spec reports its problems
        ("spec", "files"),  # the files of a run are read by their specs
        ("spec", "secrets"),
        ("registry", "errors"),
        ("registry", "plugins"),  # what is missed may be theirs
        ("spec", "registry"),
        ("backends.base", "builder.plan"),  # a backend builds what was planned
        ("backends.base", "builder.step"),  # a backend exports what was derived
        ("tasks", "builder.plan"),  # a task checks what was planned
        ("tasks", "builder.step"),
        ("tasks", "backends.base"),  # a task says what is trained, and is given what was built
    }
)

# Third-party packages that only these parts may import.
HOMES: dict[str, frozenset[str]] = {
    "tensorflow": frozenset({"backends.tensorflow"}),
    "keras": frozenset({"backends.tensorflow"}),
    "safetensors.tensorflow": frozenset({"backends.tensorflow"}),
    "torch": frozenset({"backends.torch"}),
    "pytorch_lightning": frozenset({"backends.torch"}),
    "lightning": frozenset({"backends.torch"}),
    "torchmetrics": frozenset({"backends.torch"}),
    "onnx": frozenset({"backends.base", "backends.torch", "backends.tensorflow"}),
    "onnxruntime": frozenset({"backends.base"}),
    "onnxscript": frozenset({"backends.torch"}),
    "tf2onnx": frozenset({"backends.tensorflow"}),
    "safetensors.torch": frozenset({"backends.torch"}),
    "mlflow": frozenset({"tracking", "tracking.served"}),
    "hydra": frozenset({"config"}),
    "omegaconf": frozenset({"config"}),
    "yaml": frozenset({"config"}),
    "tf_keras": frozenset(),  # an oracle of the tests
}

# The lowest floor holds on to nothing else.
ONLY: dict[str, frozenset[str]] = {
    "console": frozenset(),
    "errors": frozenset(),
    "file_lock": frozenset(),
    "files": frozenset(),
    "plugins": frozenset(),
    "registry": frozenset(),
    "secrets": frozenset(),
    "spec": frozenset({"pydantic", "pydantic_core"}),
}

# Files that MLflow runs by themselves; they need not be quick to import.
PROGRAMS = frozenset({"tracking.served"})

# Slow to import, or from an extra: imported inside the function that needs them.
LAZY = frozenset({"matplotlib", "pooch", "h5py", "sacrebleu", "sentencepiece", "babel", "PIL", "scipy", "pandas", "psutil"})


@dataclass(frozen=True)
class Import:
    """One name imported by one module."""

    file: str
    line: int
    importer: str  # module, without the leading "framework."
    imported: str  # in full
    at_import: bool  # whether it happens as soon as the module is imported

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.imported}"


# --- reading ----------------------------------------------------------------------------------------------------------------------


def read_imports(package: Path, prefix: str) -> list[Import]:
    """All imports of a folder of modules; `prefix` is its import name."""
    return [found for path in sorted(package.rglob("*.py")) for found in imports_of(path, package, prefix)]


def imports_of(path: Path, package: Path, prefix: str) -> Iterator[Import]:
    parts = [prefix, *path.relative_to(package).with_suffix("").parts]
    own_package = parts[:-1]
    if parts[-1] == "__init__":
        parts = own_package
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = set(nodes_that_run_later(tree))
    for node in ast.walk(tree):
        for imported in imported_names(node, own_package):
            yield Import(
                file=str(path.relative_to(package.parent)),
                line=getattr(node, "lineno", 0),
                importer=".".join(parts).removeprefix("framework."),
                imported=imported,
                at_import=node not in lazy,
            )


def nodes_that_run_later(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything in functions and under TYPE_CHECKING."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from ast.walk(node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                yield from ast.walk(statement)


def imported_names(node: ast.AST, own_package: list[str]) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            base = own_package[: len(own_package) - level + 1] if level else []
            yield from (".".join([*base, *([module] if module else []), alias.name]) for alias in names)
        case ast.Call(func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"), args=[first, *_]):
            yield from literal_start(first)


def literal_start(node: ast.expr) -> Iterator[str]:
    """The name given to import_module, as far as it is written out."""
    match node:
        case ast.Constant(value=str(name)) | ast.JoinedStr(values=[ast.Constant(value=str(name)), *_]):
            yield name.rstrip(".")


# --- judging ----------------------------------------------------------------------------------------------------------------------


def lies_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def part_of(module: str) -> str | None:
    """The part that a module belongs to (`builder.plan` to `builder`); None if the design knows none."""
    parts = sorted((part for floor in FLOORS for part in floor if lies_in(module, part)), key=len)
    if parts:
        return parts[-1]
    return "backends.base" if module == "backends" else None


def floor_of(part: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if part in floor)


def breaks_a_floor(found: Import) -> bool:
    if not lies_in(found.imported, "framework"):
        return False
    importer, target = part_of(found.importer), found.imported.removeprefix("framework.")
    imported = part_of(target) or "framework"  # a name of `framework/__init__.py`
    if importer is None or lies_in(found.imported, "framework.recipes"):
        return True
    if importer == imported or any(importer == part and lies_in(target, neighbour) for part, neighbour in NEIGHBOURS):
        return False
    return floor_of(imported) >= floor_of(importer)


def breaks_a_home(found: Import) -> bool:
    part = part_of(found.importer)
    if part in ONLY and not lies_in(found.imported, "framework"):
        package = found.imported.partition(".")[0]
        return package not in ONLY[part] and package not in sys.stdlib_module_names
    return any(lies_in(found.imported, package) and part not in homes for package, homes in HOMES.items())


def should_be_lazy(found: Import) -> bool:
    return found.at_import and found.imported.partition(".")[0] in LAZY and part_of(found.importer) not in PROGRAMS


def modules_in(package: Path, prefix: str) -> set[str]:
    """Import names of all modules of a folder, in full."""
    paths = (path.relative_to(package).with_suffix("") for path in package.rglob("*.py"))
    return {".".join([prefix, *path.parts]).removesuffix(".__init__") for path in paths}


def circles(imports: list[Import], modules: set[str]) -> list[tuple[str, ...]]:
    """Modules that import one another, directly or by way of others, each group in order."""
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for found in imports:
        importer, imported = found.importer, found.imported
        if importer not in modules:
            importer = f"framework.{importer}"
        while imported and imported not in modules:  # a name within a module
            imported = imported.rpartition(".")[0]
        if imported and imported != importer:
            graph[importer].add(imported)
    return sorted({tuple(sorted(group)) for module in graph if len(group := reached(module, graph, back=True)) > 1})


def reached(module: str, graph: dict[str, set[str]], back: bool = False) -> set[str]:
    """The modules that one leads to, itself included; with ``back``, those that lead back to it."""
    seen, left = {module}, [module]
    while left:
        new = graph[left.pop()] - seen
        seen |= new
        left += new
    return {other for other in seen if other == module or module in reached(other, graph)} if back else seen


# --- the tests --------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return read_imports(PACKAGE, "framework")


def test_every_module_belongs_to_a_part(imports: list[Import]) -> None:
    modules = (path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py"))
    homeless = [
        str(module) for module in modules if str(module) != "__init__" and part_of(".".join(module.parts).removesuffix(".__init__")) is None
    ]
    assert not homeless, "put them on a floor in FLOORS"


def test_no_module_imports_itself_by_way_of_others(imports: list[Import]) -> None:
    assert circles(imports, modules_in(PACKAGE, "framework")) == []


@pytest.mark.parametrize(
    "source", ["import framework.b", "def f():\n    from framework.b import g", "if TYPE_CHECKING:\n    from framework.b import g"]
)
def test_a_circle_is_found(tmp_path: Path, source: str) -> None:
    package = tmp_path / "framework"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "a": source,
        "b": "from framework import c",
        "c": "from framework.a import f",
        "d": "import framework.a",
    }.items():
        (package / f"{name}.py").write_text(text)
    found = circles(read_imports(package, "framework"), modules_in(package, "framework"))
    assert found == [("framework.a", "framework.b", "framework.c")]


def test_parts_import_only_from_lower_floors(imports: list[Import]) -> None:
    assert [str(found) for found in imports if breaks_a_floor(found)] == []


def test_libraries_are_imported_only_at_home(imports: list[Import]) -> None:
    assert [str(found) for found in imports if breaks_a_home(found)] == []


def test_slow_libraries_are_imported_where_they_are_used(imports: list[Import]) -> None:
    assert [str(found) for found in imports if should_be_lazy(found)] == []


def test_recipes_use_no_backend_and_no_library_that_has_a_home() -> None:
    imports = read_imports(ROOT / "recipes", "framework.recipes")
    assert [str(found) for found in imports if any(lies_in(found.imported, package) for package in HOMES)] == []


def imported_by(module: str, source: str, folder: Path) -> list[Import]:
    path = folder / "framework" / (module.replace(".", "/") + ".py")
    path.parent.mkdir(parents=True)
    path.write_text(source)
    return read_imports(folder / "framework", "framework")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("builder.graph", "from framework.engine.model.run import Run"),
        ("builder.graph", "import framework.backends.torch.gru"),
        ("builder.graph", "from ..engine import run"),
        ("builder.graph", "def f():\n    from framework.tasks.task import Task"),
        ("builder.graph", "from framework import load"),
        ("builder.graph", "from framework import engine"),
        ("config.compose", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from framework.data.batches import Batch"),
        ("backends.torch.gru", "from framework.backends.tensorflow import gru"),
        ("backends.base.backend", "from framework.builder.graph import order"),
        ("engine.run", "from framework.recipes.text_generation import dataset"),
        ("data.load", "import importlib\nimportlib.import_module(f'framework.backends.{name}')"),
        ("nowhere.file", "from framework.errors import GateworkError"),
    ],
)
def test_floors_are_seen_to_be_broken(module: str, source: str, tmp_path: Path) -> None:
    assert any(breaks_a_floor(found) for found in imported_by(module, source, tmp_path))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("spec.model", "from framework.errors import SpecError"),
        ("builder.graph", "from . import plan\nfrom framework.spec.model import ModelSpec"),
        ("backends.base.backend", "from framework.builder.plan import ModelPlan\nfrom framework.data.batches import Batch"),
        ("engine.run", "from importlib import import_module\nimport_module(f'framework.backends.{name}')"),
        ("cli.train", "import framework"),
        ("__main__", "from framework.cli.main import command"),
        ("__init__", "def load():\n    from framework.engine.load import load"),
    ],
)
def test_floors_are_seen_to_hold(module: str, source: str, tmp_path: Path) -> None:
    assert not any(breaks_a_floor(found) for found in imported_by(module, source, tmp_path))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("engine.run", "def f():\n    import torch.nn"),
        ("tracking.follow", "import pytorch_lightning as pl"),
        ("backends.torch.gru", "from keras import layers"),
        ("weights.file", "from safetensors.torch import load_file"),
        ("cli.main", "from hydra import compose"),
        ("engine.run", "import importlib\nimportlib.import_module('mlflow')"),
        ("spec.model", "import numpy as np"),
    ],
)
def test_libraries_are_seen_away_from_home(module: str, source: str, tmp_path: Path) -> None:
    assert any(breaks_a_home(found) for found in imported_by(module, source, tmp_path))


def test_lazy_imports_are_told_from_others(tmp_path: Path) -> None:
    source = "import pooch\nclass A:\n    import h5py\n    def f(self):\n        import scipy\nimport numpy\n"
    found = imported_by("data.load", source, tmp_path)
    assert sorted(each.imported for each in found if should_be_lazy(each)) == ["h5py", "pooch"]
    assert [each.imported for each in found if not each.at_import] == ["scipy"]
