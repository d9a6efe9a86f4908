"""The program of a logged model: raw input in, predictions out, as its task tells. MLflow runs this file; nothing imports it.

Input and output are data frames with the columns of the task's interface, a row each. Parameters, all optional: ``seed``, and the task's
settings, such as ``length`` for a language model.
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


class ServedModel(PythonModel):
    """A trained model of any task."""

    def load_context(self, context: Any) -> None:
        """Reads the portable model, and Gatework's sources where it is not imported yet."""
        if "framework" not in sys.modules:
            sys.path.insert(0, str(context.artifacts["code"]))
        from framework.engine.model.opening import built
        from framework.engine.run.portable import read_portable
        from framework.tasks.known import task_of

        self._model = built(read_portable(Path(context.artifacts["model"])))
        self._task = task_of(self._model.experiment)
        self._lock = threading.Lock()  # servers answer from several threads

    def predict(self, context: Any, model_input: pandas.DataFrame, params: dict[str, Any] | None = None) -> pandas.DataFrame:
        """A prediction for each row of ``model_input``.

        Raises:
            MlflowException: a row or a parameter cannot be taken; a server answers 400.
        """
        from framework.errors import GateworkError

        settings = {name: value for name, value in (params or {}).items() if value is not None}
        seed = int(settings.pop("seed", 0))
        try:
            with self._lock:
                # What a row lacks of columns that others have, pandas calls NaN.
                given = model_input.astype(object).where(model_input.notna(), None)
                rows = given.to_dict("records")
                return pandas.DataFrame(self._task.predict(self._model, rows, settings, seed))
        except GateworkError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


set_model(ServedModel())
