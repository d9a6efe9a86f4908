"""Make a run of a model that was trained elsewhere: a recipe's model with the weights of a file.

gatework import model.keras --recipe text_generation
gatework import weights.pt --recipe mine backend=torch --layer gru=rnn --layer logits=fc
FILE is .keras, .h5 or .weights.h5 of Keras 3 or tf-keras, .pt or .pth of torch (a state dict), or .safetensors; nothing in it is unpickled.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from framework.cli.composing import add_config_arguments, load
from framework.cli.next_steps import use_lines
from framework.errors import EXIT_DONE, InputError

if TYPE_CHECKING:
    from framework.engine.model.importing import Imported


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a model or its weights")
    add_config_arguments(parser)
    parser.add_argument("--recipe", metavar="NAME", help="recipe whose model and data it is; recipe=NAME says the same")
    parser.add_argument(
        "--layer", action="append", default=[], metavar="OURS=THEIRS", help="the file's layer for one of the recipe's, where names differ"
    )
    parser.add_argument("--name", help="name of the new run; made from the file's when not given")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.engine.model.importing import import_model

    layers = dict(_pair(word) for word in arguments.layer)
    recipe = [f"recipe={arguments.recipe}"] if arguments.recipe else []
    loaded = load([*recipe, *arguments.overrides], arguments.config_dir)
    composed = loaded.composed
    imported = import_model(
        arguments.file,
        loaded.experiment,
        name=arguments.name,
        layers=layers,
        composed=composed.composed_yaml,
        overrides=composed.overrides,
        locate=composed.locate,
    )
    if arguments.json:
        print(json.dumps(_as_json(imported), indent=2))
    else:
        print("\n".join(_lines(imported, arguments.file)))
    return EXIT_DONE


def _pair(word: str) -> tuple[str, str]:
    ours, equals, theirs = word.partition("=")
    if not (ours and equals and theirs):
        raise InputError(f"--layer is '{word}'; expected a layer of the recipe and one of the file, such as --layer gru=rnn")
    return ours, theirs


def _as_json(imported: Imported) -> dict[str, object]:
    layers = [{"name": one.name, "kind": one.kind, "found": one.found, "shapes": one.shapes} for one in imported.layers]
    compared = {"difference": imported.difference, "not_compared": imported.not_run}
    return {"run": str(imported.folder.path), "format": imported.format, "layers": layers, **compared}


def _lines(imported: Imported, file: Path) -> list[str]:
    rows = [("layer", "kind", "in the file", "weights")]
    rows += [(one.name, one.kind, one.found, ", ".join(f"{name} {shape}" for name, shape in one.shapes.items())) for one in imported.layers]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows]
    if imported.difference is None:
        lines.append(f"outputs not compared: {imported.not_run}")
    else:
        lines.append(f"outputs differ by at most {imported.difference:.1e} of the largest from those of the model in {file}")
    return [*lines, f"imported {imported.folder.path}", *use_lines(imported.folder)]
