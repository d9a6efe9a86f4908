"""What the docstrings below a spec's fields say, for JSON Schemas."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache

from pydantic import BaseModel


@cache
def field_docs(spec: type[BaseModel]) -> dict[str, str]:
    """Docstrings by field, those of base classes included.

    pydantic can collect them too, but does so whenever a class is made: a tenth of a second at each start, for texts that
    only a schema shows.

    Args:
        spec: a model whose source can be read; one without source has no docstrings.
    """
    docs: dict[str, str] = {}
    for base in reversed(spec.__mro__):
        if base is not BaseModel and issubclass(base, BaseModel):
            docs.update(_own_docs(base))
    return {name: text for name, text in docs.items() if name in spec.model_fields}


def _own_docs(spec: type[BaseModel]) -> dict[str, str]:
    try:
        source = inspect.getsource(spec)
    except (OSError, TypeError):  # made in a console
        return {}
    definition = ast.parse(textwrap.dedent(source)).body[0]
    assert isinstance(definition, ast.ClassDef)
    docs = {}
    for field, doc in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = doc.value.value if isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant) else None
            if isinstance(text, str):
                docs[field.target.id] = inspect.cleandoc(text)
    return docs
