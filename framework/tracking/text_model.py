"""The program of a logged language model: prompts in, texts out. MLflow runs this file; nothing imports it.

Input: column ``prompt``, a text each, at least one token long. Output: column ``text``, the prompt with what follows it.
Parameters, all optional: ``length`` (tokens to generate), ``temperature``, ``top_k``, ``top_p``, ``seed``.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pandas
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class TextModel(PythonModel):
    """A trained language model."""

    def load_context(self, context: Any) -> None:
        """Reads the portable model, and Gatework's sources where it is not imported yet."""
        if "framework" not in sys.modules:
            sys.path.insert(0, str(context.artifacts["code"]))
        from framework.engine.portable import read_portable
        from framework.engine.text import TextGenerator

        self._generator = TextGenerator(read_portable(Path(context.artifacts["model"])))
        self._lock = threading.Lock()  # servers answer from several threads

    def predict(self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        """One text for each row of ``model_input``, as a data frame.

        Raises:
            MlflowException: a prompt is empty or has unknown characters, or a parameter is out of range; a server answers 400.
        """
        from framework.errors import GateworkError

        given = dict(params or {})
        seed = int(given.pop("seed", 0) or 0)
        try:
            settings = self._generator.settings(**given)
            with self._lock:
                return pandas.DataFrame({"text": self._generator.generate(list(model_input["prompt"]), settings, seed=seed)})
        except GateworkError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


set_model(TextModel())
