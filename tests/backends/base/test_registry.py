from __future__ import annotations

import subprocess
import sys

import pytest

from framework.backends.base.registry import load_backend
from framework.errors import BackendUnavailable


def test_an_unknown_backend_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BackendUnavailable, match=r"no backend 'tensorflw', only torch and tensorflow; did you mean 'tensorflow'\?"):
        load_backend("tensorflw")


@pytest.mark.parametrize(("name", "library"), [("torch", "torch"), ("torch", "pytorch_lightning"), ("tensorflow", "tensorflow")])
def test_a_missing_library_says_how_to_get_it(name: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Missing:
        def find_spec(self, wanted: str, path: object = None, target: object = None) -> None:
            if wanted.partition(".")[0] == library:
                raise ModuleNotFoundError(f"No module named '{wanted}'", name=wanted)

    for loaded in list(sys.modules):
        if loaded.startswith(f"framework.backends.{name}") or loaded.partition(".")[0] == library:
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(BackendUnavailable, match=rf"needs the library '{library}.*pip install 'gatework\[{name}\]'"):
        load_backend(name)


def test_looking_at_the_registry_imports_no_backend() -> None:
    code = (
        "import sys, framework.backends.base.registry, framework.backends.torch\n"
        "assert not {'torch', 'pytorch_lightning', 'tensorflow', 'keras'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.torch
def test_torch_loads() -> None:
    backend = load_backend("torch")
    assert backend.name == "torch"
    assert set(backend.versions()) == {"torch", "pytorch-lightning"}
