"""Progress: bars on a terminal, elsewhere a plain line now and then."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from mapgen.cli.console import console
from mapgen.errors import one_line
from mapgen.files.vet import public_name

if TYPE_CHECKING:
    from rich.progress import TaskID

Progress = Callable[[int, int], None]
"""Told how much is done, of how much: a bar, or what tells one in another process."""

_LOOKED_BACK = 30.0
"""Seconds over which a rate is taken: what came before says little about what is left."""


def moves(stream: TextIO | None) -> bool:
    """Whether a line on the stream can be drawn again: a terminal, and one that knows how."""
    return stream is not None and stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


class ProgressBar:
    """How far one thing is: a bar on a terminal, else a line every tenth (no two in a second) or 30 s.

    `unit` is what is counted: `px` is told as Mpx/s, any other word as `3 of 40` of it; without one the share is told.
    """

    def __init__(self, name: str, unit: str = "", *, shown: bool | None = None, stream: TextIO | None = None) -> None:
        self.name, self.unit = one_line(public_name(name)), unit
        self.stream = stream if stream is not None else sys.stderr
        self.shown = (console.verbosity >= 0 if shown is None else shown) and self.stream is not None
        self.last, self.tenth = time.monotonic(), 0
        self.past: deque[tuple[float, int]] = deque()
        self.task: TaskID | None = None
        self.moving = self.shown and moves(self.stream)
        if self.moving:
            self._draw(0, None, "", "")

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Say that `done` of `total` are done, where it is time to; `text` goes before rate and time.

        What the first call says was done before, as far as rate and time are concerned.
        """
        if not self.shown or not total:
            return
        if done >= total:
            self.close()
            return
        now = time.monotonic()
        share, facts = self._share(done, total), ", ".join(filter(None, (text, self._pace(now, done, total))))
        if self.moving:
            self._draw(done, total, share, facts)
        elif now - self.last > 30 or (done * 10 // total > self.tenth and now - self.last > 1):
            self.tenth, self.last = done * 10 // total, now
            console.note(f"{self.name}: {', '.join(filter(None, (share, facts)))}")

    def close(self) -> None:
        """Take the bar away: it is done, or will not be."""
        if self.task is not None:
            screen(self.stream).remove(self.task)
            self.task = None

    def _draw(self, done: int, total: int | None, share: str, facts: str) -> None:
        self.task = screen(self.stream).draw(self.task, self.name, (done, total), share, facts)

    def _share(self, done: int, total: int) -> str:
        return f"{done} of {total}" if self.unit not in ("", "px") else f"{done / total:.0%}"

    def _pace(self, now: float, done: int, total: int) -> str:
        """Rate and time left, once there is something to tell them from."""
        self.past.append((now, done))
        while len(self.past) > 2 and self.past[1][0] < now - _LOOKED_BACK:
            self.past.popleft()
        began, before = self.past[0]
        if done <= before or now <= began:
            return ""
        rate = (done - before) / (now - began)
        pace = f"{rate / 1e6:.3g} Mpx/s, " if self.unit == "px" else ""
        return f"{pace}{duration((total - done) / rate)} left"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


class _Screen:
    """The bars at the foot of a terminal. They give way to every line that the console says."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        class Plain(Console):
            """Leaves the cursor where it is seen: nobody would bring it back after a kill -9."""

            def show_cursor(self, show: bool = True) -> bool:
                return False

        name = Column(no_wrap=True, overflow="ellipsis", max_width=32)
        self.stream = stream
        self.console = Plain(file=stream, highlight=False)
        self.bars = Progress(
            TextColumn("{task.description}", markup=False, table_column=name),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[share]}", markup=False, justify="right"),
            TextColumn("{task.fields[facts]}", markup=False, style="dim"),
            console=self.console, auto_refresh=False,
        )  # fmt: skip
        self.live: object = None

    def draw(
        self, task: TaskID | None, name: str, counts: tuple[int, int | None], share: str, facts: str
    ) -> TaskID:  # fmt: skip
        """Show a bar as it stands now, a new one where there is no such task (any more)."""
        done, total = counts
        if task is None or task not in self.bars.task_ids:
            task = self.bars.add_task(name, total=total, share=share, facts=facts)
        self.bars.update(task, completed=done, total=total, share=share, facts=facts)
        self.resume()
        return task

    def remove(self, task: TaskID) -> None:
        """Take a bar away, and the screen with the last."""
        if task in self.bars.task_ids:
            self.bars.remove_task(task)
        if not self.bars.task_ids:
            self.pause()

    def pause(self) -> None:
        """Leave the terminal as if there were no bars."""
        from rich.live import Live

        live, self.live = self.live, None
        if isinstance(live, Live):
            live.stop()

    def resume(self) -> None:
        """Show the bars, if there are any."""
        from rich.live import Live

        if self.live is None and self.bars.task_ids:  # a new one each time: it remembers how high the last was
            live = Live(
                self.bars, console=self.console, transient=True, redirect_stdout=False, redirect_stderr=False,
                refresh_per_second=8,
            )  # fmt: skip
            self.live = live
            live.start(refresh=True)

    def clear(self) -> None:
        """Take all bars away: whoever goes on draws a new one."""
        for task in list(self.bars.task_ids):
            self.bars.remove_task(task)
        self.pause()


def screen(stream: TextIO) -> _Screen:
    """The screen on this stream; there is one at a time."""
    if not isinstance(console.screen, _Screen) or console.screen.stream is not stream:
        console.clear_screen()
        console.screen = _Screen(stream)
    return console.screen
