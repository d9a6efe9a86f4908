"""Print a JSON Schema of the YAML, for editors; --write DIR writes one file for each config group."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from framework.errors import EXIT_DONE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("--write", type=Path, metavar="DIR", help="write one schema file for each config group to DIR")


def run(arguments: argparse.Namespace) -> int:
    """Runs the verb."""
    from framework.config.schema import json_schema, write_schemas

    if arguments.write is None:
        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    else:
        for path in write_schemas(arguments.write):
            print(f"wrote {path}")
    return EXIT_DONE
