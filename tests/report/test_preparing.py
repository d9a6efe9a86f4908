from __future__ import annotations

import io

from rich.console import Console

from framework.data.watched import tell
from framework.report.preparing import preparation_progress


def said(terminal: bool) -> str:
    written = io.StringIO()
    with preparation_progress(Console(file=written, force_terminal=terminal, width=100)):
        for done in (0, 5, 6, 10):
            tell(done, 10, "patches features", "images")
        for done in (0, 1):
            tell(done, 1, "tokens", "lines")
    return written.getvalue()


def test_some_lines_are_written_without_a_terminal() -> None:
    lines = said(terminal=False).splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "patches features: 5 of 10 images",
        "patches features: 6 of 10 images",
        "patches features: 10 of 10 images",
        "tokens: 1 of 1 lines",
    ]


def test_a_bar_is_shown_on_a_terminal() -> None:
    assert "patches features" in said(terminal=True) and "10/10 images" in said(terminal=True)


def test_nobody_need_watch() -> None:
    tell(1, 2, "patches features", "images")
