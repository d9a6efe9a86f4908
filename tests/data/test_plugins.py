from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from framework.errors import DataError
from framework.registry import Registry

ROOT = Path(__file__).parents[2]


def run(code: str, *paths: Path) -> str:
    """What a fresh interpreter prints: plug-ins are loaded once a process."""
    environment = {"PYTHONPATH": ":".join(map(str, [*paths, ROOT])), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(folder: Path, plugins: dict[str, str]) -> Path:
    """A distribution with one module an entry point."""
    entries = "".join(f"{name} = {name}_module\n" for name in plugins)
    (folder / "stranger-1.0.dist-info").mkdir()
    (folder / "stranger-1.0.dist-info" / "entry_points.txt").write_text(f"[gatework.plugins]\n{entries}")
    (folder / "stranger-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    for name, source in plugins.items():
        (folder / f"{name}_module.py").write_text(source)
    return folder


def test_a_strangers_corpus_and_kind_of_data_come_by_entry_point(tmp_path: Path) -> None:
    site = install(
        tmp_path,
        {
            "letters": "from framework.data.corpus import corpus\n"
            "@corpus('letters')\ndef read():\n    yield from ('Dear reader,\\n', 'write back!\\n')\n",
            "pairs": "from typing import Literal\n"
            "from framework.data.prepare import data_kind\nfrom framework.data.processor import TextProcessor\n"
            "from framework.data.text import prepare_text\n"
            "from framework.spec.data import DataSpec, TextDataSpec\n"
            "class PairsSpec(DataSpec):\n    kind: Literal['pairs'] = 'pairs'\n"
            "@data_kind(PairsSpec, TextProcessor)\ndef prepare_pairs(spec, paths, seed):\n"
            "    text = TextDataSpec(corpus='letters', sequence_length=2, batch_size=2)\n    return prepare_text(text, paths, seed)\n",
        },
    )
    code = """
from framework.plugins import load_plugins
from framework.data.prepare import prepare
from framework.spec.data import DATA_KINDS
from framework.spec.experiment import PathsSpec
assert load_plugins() == {}, load_plugins()
data = prepare(DATA_KINDS['pairs'](), PathsSpec(), 0)
print(data.processor.vocabulary.decode(data.train.stream), data.train.steps)
try:
    prepare(DATA_KINDS['pairs'](declared_sizes={'tokens': 5}), PathsSpec(), 0)
except Exception as error:
    print(error)
"""
    out = run(code, site)
    assert out.startswith("Dear reader,\nwrite back!\n 4\n")
    assert "data.declared_sizes.tokens: the data's size 'tokens' is 15, but 5 by the config" in out


def test_a_broken_plugin_is_named_where_its_name_is_missed_and_stops_nothing_else(tmp_path: Path) -> None:
    site = install(
        tmp_path,
        {"broken": "import no_such_module\n", "fine": "from framework.data.corpus import corpus\n@corpus('fine')\ndef read(): ...\n"},
    )
    code = """
from framework.data.corpus import CORPORA
CORPORA.named('fine')
CORPORA.named('python_source')
try:
    CORPORA.named('fin')
except Exception as error:
    print(error)
"""
    assert run(code, site) == (
        "data.corpus: unknown corpus 'fin'\n"
        "    expected: one of dates, fine, python_documentation, python_source\n"
        "    did you mean: fine\n"
        "    hint: plug-in 'broken' cannot be imported: ModuleNotFoundError: No module named 'no_such_module'\n"
    )


def test_data_and_its_plugins_load_nothing_heavy_and_only_when_asked() -> None:
    code = """
import sys
import framework.data.prepare
assert not any('recipes' in name for name in sys.modules), 'loaded too early'
from framework.data.corpus import CORPORA
from framework.plugins import load_plugins
assert load_plugins() == {}, load_plugins()
assert sorted(CORPORA) == ['dates', 'python_documentation', 'python_source']
heavy = 'torch tensorflow keras pytorch_lightning mlflow hydra omegaconf yaml matplotlib pooch requests babel sentencepiece'.split()
print([name for name in heavy if name in sys.modules])
"""
    assert run(code) == "[]\n"


def test_two_things_of_one_name_are_refused_and_one_twice_is_not() -> None:
    registry: Registry[object] = Registry("data.corpus", "corpus")
    registry.add("a", run)
    registry.add("a", run)
    with pytest.raises(DataError, match=r"two plug-ins register the corpus 'a': .*run and .*install"):
        registry.add("a", install)
    assert registry.get("a") is run
