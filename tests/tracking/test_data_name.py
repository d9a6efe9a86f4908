from __future__ import annotations

from typing import Any

import pytest

from framework.tracking.settings import data_name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"kind": "text", "path": "a/my.txt", "corpus": "python_source"}, "my.txt"),
        ({"kind": "text", "path": ["a/b.txt", "c.txt"]}, "b.txt, c.txt"),
        ({"kind": "text", "path": None, "corpus": "python_source", "download": None}, "python_source"),
        ({"kind": "text", "download": {"filename": "text_generation/shakespeare.txt"}}, "shakespeare.txt"),
        ({"kind": "parallel_text", "path": None, "source_path": "d/train.de", "target_path": "d/train.en"}, "train.de, train.en"),
        ({"kind": "phrases"}, "phrases"),
        ({}, "data"),
    ],
)
def test_data_is_called_by_what_is_read(data: dict[str, Any], name: str) -> None:
    assert data_name({"data": data}) == name
