"""Compute what a model sees of a data set's images, and keep it; train does the same when it is needed.

gatework features recipe=captioning
gatework features data=captions data.captions_path=captions.csv data.images_path=photos
gatework features data=scenes

What is there already is not computed again, also after a kill. It lies below paths.cache_dir, for all runs on both backends.
"""

from __future__ import annotations

import argparse

from framework.cli.composing import add_config_arguments
from framework.config.compose import Composed, compose
from framework.errors import EXIT_DONE, InputError, SpecError
from framework.spec.data import DataSpec
from framework.spec.experiment import PathsSpec
from framework.spec.features import FeaturesSpec
from framework.spec.kinds import DATA_KINDS
from framework.spec.problems import ProblemCollector
from framework.spec.validate import parse_kind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    add_config_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    spec, paths = _sections(compose(arguments.overrides, arguments.config_dir, recipe_needed=False))
    features = getattr(spec, "features", None)
    if not isinstance(features, FeaturesSpec):
        raise InputError(f"data of kind '{spec.kind}' has no features to compute; data=captions and data=scenes have")
    from rich.console import Console

    from framework.data.download import cache_folder
    from framework.data.prepare import prepare
    from framework.data.prepared import PreparedData
    from framework.report.preparing import preparation_progress

    with preparation_progress(Console()):
        data: PreparedData = prepare(spec, paths, 0)
    images = int(data.figures.get("images", 0))
    shape = f"{data.sizes['places']:,} places of {data.sizes['features']:,} numbers"
    random = ", of random weights" if features.random else ""
    print(f"{features.kind} features of {images:,} images: {shape}{random}")
    if features.kind != "file":
        print(f"kept below {cache_folder(paths) / 'features'}")
    return EXIT_DONE


def _sections(composed: Composed) -> tuple[DataSpec, PathsSpec]:
    """The data and the paths, whatever else the config lacks.

    Raises:
        SpecError: with every problem of them.
    """
    collector = ProblemCollector(composed.locate, composed.problems, composed.written)
    if composed.mapping.get("data") is None:
        collector.add("data", "is missing", expected="recipe=NAME or data=NAME, such as data=scenes")
    else:
        data = parse_kind(collector, DATA_KINDS, composed.mapping["data"], "data")
        paths = collector.parse(PathsSpec, composed.mapping.get("paths") or {}, "paths")
        if data is not None:
            data.check(collector)
        if data is not None and paths is not None and not collector.problems:
            return data, paths
    raise SpecError(collector.problems)
