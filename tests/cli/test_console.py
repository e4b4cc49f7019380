"""What is said on a terminal stands on lines of its own."""

from __future__ import annotations

import io

import pytest

from mapgen.cli.console import ProgressBar, console
from mapgen.errors import InputError


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_an_error_is_not_glued_to_the_line_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr("mapgen.cli.console.console.progressing", False)
    bar = ProgressBar("scene.tif", shown=True)
    bar.last -= 1
    bar(1, 4)
    assert console.progressing
    console.error(InputError("scene.tif", "is damaged", "get it again"))
    shown = stream.getvalue().replace("\r\x1b[K", "\n").splitlines()
    assert shown[-1] == "mapgen: error: scene.tif: is damaged; get it again"
    assert not console.progressing
