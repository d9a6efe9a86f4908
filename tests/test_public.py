"""What `import framework` offers a person at a Python prompt."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

PUBLIC = {"Run", "build", "import_model", "load", "open_run", "train"}


def asked(code: str) -> str:
    """What a Python of its own prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_public_names_are_listed_without_importing_a_backend() -> None:
    heavy = "[name for name in ('torch', 'tensorflow', 'mlflow') if name in sys.modules]"
    code = f"import sys, framework; print(framework.__version__, *sorted(framework.__all__), {heavy}, sorted(dir(framework)))"
    said = asked(code)
    assert said.startswith(f"{version('gatework')} {' '.join(sorted(PUBLIC))} [] ")
    assert all(f"'{name}'" in said for name in {*PUBLIC, "__version__"})


def test_help_shows_them() -> None:
    said = asked("import framework; help(framework)")
    assert all(
        words in said
        for words in ("load(recipe: 'str'", "open_run(name: 'str'", "train(experiment: ", "class Run(", "evaluate(self, split")
    )
