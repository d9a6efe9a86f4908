from __future__ import annotations

import subprocess
import sys

import pytest

from framework.backends.base.registry import load_backend
from framework.errors import BackendUnavailable


def test_an_unknown_backend_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BackendUnavailable, match=r"no backend 'tensorflw', only torch and tensorflow; did you mean 'tensorflow'\?"):
        load_backend("tensorflw")


WITHOUT = """
import sys

class Missing:
    def find_spec(self, wanted, path=None, target=None):
        if wanted.partition(".")[0] == sys.argv[2]:
            raise ModuleNotFoundError(f"No module named '{wanted}'", name=wanted)

sys.meta_path.insert(0, Missing())
from framework.backends.base.registry import load_backend
from framework.errors import BackendUnavailable
try:
    load_backend(sys.argv[1])
except BackendUnavailable as error:
    print(error)
"""
"""Tries the backend where a library is missing: in a process of its own, for a half imported backend would stay behind."""


@pytest.mark.parametrize(("name", "library"), [("torch", "torch"), ("torch", "pytorch_lightning"), ("tensorflow", "tensorflow")])
def test_a_missing_library_says_how_to_get_it(name: str, library: str) -> None:
    told = subprocess.run([sys.executable, "-c", WITHOUT, name, library], check=True, capture_output=True, text=True).stdout
    assert f"needs the library '{library}" in told
    assert f"pip install 'gatework[{name}]'" in told


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
