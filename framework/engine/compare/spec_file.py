"""A JSON file that holds one spec: written as text, read back with every problem told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from framework.engine.run.files import read_json
from framework.errors import SpecError
from framework.secrets import conceal
from framework.spec.problems import ProblemCollector

Model = TypeVar("Model", bound=BaseModel)


def spec_text(spec: BaseModel) -> str:
    """A spec as JSON text, without passwords."""
    return json.dumps(conceal(spec.model_dump(mode="json")), indent=1, ensure_ascii=False) + "\n"


def read_spec(path: Path, model: type[Model], what: str) -> Model:
    """The spec in a file.

    Args:
        path: the file.
        model: what it should hold.
        what: that in words, for the message.

    Raises:
        RunError: the file is no JSON.
        SpecError: it holds something else, or was written by another version.
    """
    collector = ProblemCollector()
    spec = collector.parse(model, read_json(path), "")
    if spec is None:
        raise SpecError(collector.problems, f"{path} is no {what}")
    return spec
