"""What moves on a terminal and what is said elsewhere: on lines of their own, colours where they are wanted."""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mapgen.cli.console import console
from mapgen.cli.progress import ProgressBar
from mapgen.errors import InputError

EXAMPLES = Path(__file__).parents[2] / "examples"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOURS = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-8]|9[0-7]|4[0-8])(?:;\d+)*m")


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(console, "verbosity", 0)
    yield
    console.clear_screen()
    console.screen = None


def half(stream: io.StringIO, unit: str = "px") -> ProgressBar:
    """A bar that is half done after 10 s."""
    bar = ProgressBar("scene.tif", unit, stream=stream)
    bar(0, 40_000_000)
    bar.past[0] = (bar.past[0][0] - 10, 0)
    bar.last -= 10
    bar(20_000_000, 40_000_000)
    if console.screen is not None:
        console.screen.pause()  # draws it as it stands
        console.screen.resume()
    return bar


def shown(stream: io.StringIO) -> str:
    """All that a terminal was sent, without its control codes."""
    return ESCAPES.sub("", stream.getvalue())


def test_a_bar_tells_share_rate_and_time_left() -> None:
    stream = Terminal()
    half(stream)
    console.clear_screen()
    assert re.search(r"scene\.tif [━╺]+ 50% 2 Mpx/s, 10 s left", shown(stream))


def test_an_error_stands_on_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    half(stream)
    console.error(InputError("scene.tif", "is damaged", "get it again"))
    last = stream.getvalue().split("\r")[-1]
    assert ESCAPES.sub("", last) == "mapgen: error: scene.tif: is damaged; get it again\n"
    assert console.screen is not None
    assert not console.screen.bars.task_ids


def test_a_note_stands_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    half(stream)
    before = len(stream.getvalue())
    console.note("model fake")
    after = ESCAPES.sub("", stream.getvalue()[before:])
    assert re.search(r"(^|\r|\n)mapgen: model fake\nscene\.tif ━", after)


def test_several_bars_stand_below_each_other_until_each_is_done() -> None:
    stream = Terminal()
    first, second = ProgressBar("a.tif", stream=stream), ProgressBar("b.tif", "steps", stream=stream)
    first(1, 4)
    second(3, 40)
    assert console.screen is not None
    console.screen.pause()
    first(4, 4)
    second(40, 40)
    assert {"25%", "3 of 40"} <= set(re.findall(r"\d+%|\d+ of \d+", shown(stream)))
    assert console.screen.live is None


def test_elsewhere_a_line_is_said_now_and_then(capfd: pytest.CaptureFixture[str]) -> None:
    half(io.StringIO())
    assert capfd.readouterr().err == "mapgen: scene.tif: 50%, 2 Mpx/s, 10 s left\n"


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_dumb_terminal_is_sent_plain_lines(
    term: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", term)
    stream = Terminal()
    half(stream)
    assert stream.getvalue() == ""
    assert "50%" in capfd.readouterr().err


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    for wanted in (True, False):
        if not wanted:
            monkeypatch.setenv("NO_COLOR", "1")
        stream = Terminal()
        half(stream)
        console.clear_screen()
        assert bool(COLOURS.search(stream.getvalue())) == wanted


def test_nothing_moves_with_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "verbosity", -1)
    stream = Terminal()
    half_done = ProgressBar("scene.tif", stream=stream)
    half_done(1, 2)
    assert stream.getvalue() == ""


def watched(*arguments: object, folder: Path) -> tuple[int, str]:
    """A run of mapgen on a pseudo-terminal: its exit code and all that the terminal was sent."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mapgen", *map(str, arguments)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # so Linux says that the other end is closed
                break
            if not part:
                break
            said += part
    os.close(ours)
    return process.returncode, said.decode()


def test_map_is_seen_at_work_on_a_terminal(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "scene.tif", tmp_path)
    code, said = watched("map", "scene.tif", "-o", "out", "--no-tiles", folder=tmp_path)
    assert code == 0, said
    assert "\x1b[?25l" not in said  # the cursor stays: nobody would bring it back after a kill -9
    text = ESCAPES.sub("", said)
    assert re.search(r"scene ━+ +\d+%", text)
    for line in ("out/scene.mask.tif", "out/scene.gpkg", "out/report.json", "mapgen: next: mapgen view out"):
        assert line in re.split(r"[\r\n]+", text), text
    assert re.split(r"[\r\n]+", text.rstrip())[-1] == "mapgen: next: mapgen view out"
