"""Several inputs at once: processes that run the same command and are told which input is next.

A process that helps (a worker) parses the very arguments that this one was given, so that it has the same options; the
inputs it gets over a pipe, one after the other, and what it would say or show it sends back. Here everything is said in
the order of the inputs. Processes and not threads, since what is done beside the network holds Python's lock.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mapgen.cli.console import console
from mapgen.cli.course import Outcome
from mapgen.cli.progress import Progress, ProgressBar
from mapgen.errors import ResourceError, option
from mapgen.parallel import ending, start

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

Attempt = Callable[[str, Path, Progress], Outcome]

arguments: list[str] = []
"""Those of the command that runs."""

entry: Callable[..., None] | None = None
"""What a worker begins with, from its pipe, the arguments, the inputs and how many workers there are."""

_served: _Worker | None = None

PATIENCE = 0.8
"""Seconds that a worker has to unwind when the run ends early: less than the process that waits for it."""


def served() -> list[str]:
    """In a worker, all inputs of the run; empty in any other process."""
    return [] if _served is None else _served.names


def serve(attempt: Attempt) -> None:
    """In a worker, do what this process is told until there is no more."""
    assert _served is not None
    _served.serve(attempt)


class _Worker:
    """This process as a worker."""

    def __init__(self, pipe: Connection, names: list[str]) -> None:
        self.pipe, self.names = pipe, names
        self.said: list[tuple[str, ...]] = []
        self.shown = 0.0

    def serve(self, attempt: Attempt) -> None:
        """Attempt each input that comes, and send its outcome with all that was said of it."""
        self.send("ready", None)
        while (task := self.pipe.recv()) is not None:
            source, target = task
            self.send("done", attempt(source, target, self.progress))

    def progress(self, done: int, total: int) -> None:
        """How far an input is, no more often than anybody sees."""
        if time.monotonic() - self.shown > 0.2 or not done:
            self.shown = time.monotonic()
            self.pipe.send(("progress", (done, total), []))

    def hear(self, *said: str) -> None:
        """What the console would say."""
        self.said.append(said)

    def send(self, what: str, value: object) -> None:
        said, self.said = self.said, []
        self.pipe.send((what, value, said))


def begin(pipe: Connection, names: list[str], count: int) -> None:
    """Make this process a worker, one of `count`; `names` are all inputs of the run."""
    global _served
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # that of a terminal is for all; who started this one passes it on
    from multiprocessing import parent_process

    from mapgen.inference.memory import share_machine

    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), name="mapgen-parent", daemon=True).start()
    share_machine(count)
    _served = _Worker(pipe, names)
    console.relay = _served.hear


def end(code: int) -> None:
    """Tell that the command has ended, with this exit code."""
    assert _served is not None
    _served.send("ended", code)


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


class _Helper:
    """A worker as seen from here."""

    def __init__(self, names: list[str], count: int, unit: str) -> None:
        from multiprocessing import get_context

        context = get_context("spawn")  # GDAL's handles and OpenVINO's threads outlive no fork
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=entry, args=(theirs, arguments, names, count), daemon=True)
        start(self.process)
        theirs.close()
        self.unit = unit
        self.ready = False
        self.at: int | None = None
        self.bar: ProgressBar | None = None
        self.said: list[tuple[str, ...]] = []

    def give(self, number: int, source: str, target: Path) -> None:
        """Have it work on an input."""
        self.at = number
        self.bar = ProgressBar(source, self.unit)
        self.pipe.send((source, target))

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def outcomes(pairs: Sequence[tuple[str, Path]], names: list[str], count: int, unit: str = "") -> Generator[Outcome]:
    """What becomes of each input, in order, `count` of them at work at once.

    What a worker says of an input is said before its outcome comes. A worker that is lost costs the input that it was
    at; one that cannot begin ends the run as it would have ended.
    """
    helpers = [_Helper(names, count, unit) for _ in range(count)]
    waiting = list(range(len(pairs)))[::-1]
    known: dict[int, tuple[Outcome, list[tuple[str, ...]]]] = {}
    try:
        for number in range(len(pairs)):
            while number not in known:
                _listen(helpers, pairs, waiting, known, names, count)
            outcome, said = known.pop(number)
            console.replay(said)
            yield outcome
    finally:
        _end(helpers)


def _listen(
    helpers: list[_Helper],
    pairs: Sequence[tuple[str, Path]],
    waiting: list[int],
    known: dict[int, tuple[Outcome, list[tuple[str, ...]]]],
    names: list[str],
    count: int,
) -> None:
    """Hear what one or more workers have to say, and give those that are free an input."""
    from multiprocessing.connection import wait

    for pipe in wait([one.pipe for one in helpers]):
        at = next(i for i, one in enumerate(helpers) if one.pipe is pipe)
        helper = helpers[at]
        try:
            what, value, said = helper.pipe.recv()
        except (EOFError, OSError):
            helper.close()
            helper.pipe.close()
            if not helper.ready:
                raise _lost(option("jobs"), helper) from None
            if helper.at is not None:
                known[helper.at] = (Outcome("failed", 0.0, error=_lost(pairs[helper.at][0], helper)), helper.said)
            helpers[at : at + 1] = [_Helper(names, count, helper.unit)] if waiting else []
            continue
        helper.said += said
        if what == "progress" and helper.bar is not None:
            helper.bar(*value)
            continue
        if what == "ended":  # before it has been told to: what kept it from beginning was said
            console.replay(helper.said)
            raise typer.Exit(value)
        if what == "done" and helper.at is not None:
            helper.close()
            known[helper.at] = (value, helper.said)
        helper.at, helper.said, helper.ready = None, [], True  # what was said before it was ready was said here too
        if waiting:
            number = waiting.pop()
            helper.give(number, *pairs[number])


def _lost(source: str, helper: _Helper) -> ResourceError:
    how = ending(helper.process)
    remedy = f"if the memory ran out, use fewer {option('jobs')} or a smaller {option('max_memory')}"
    return ResourceError(source, f"the process that worked on it was ended {how}", remedy)


def _end(helpers: list[_Helper]) -> None:
    """Let workers that wait go, and end those that are at work; each removes what it has not finished."""
    for helper in helpers:
        helper.close()
        if helper.at is None and helper.process.is_alive():
            _tell(helper, None)
        else:
            helper.process.terminate()
    end = time.monotonic() + 2 * PATIENCE
    for helper in helpers:
        helper.process.join(max(0.0, end - time.monotonic()))
        if helper.process.is_alive():
            helper.process.kill()
            helper.process.join()
        helper.pipe.close()


def _tell(helper: _Helper, task: Any) -> None:
    try:
        helper.pipe.send(task)
    except OSError:
        helper.process.terminate()
