"""SIGINT and SIGTERM: the run unwinds; where it cannot within its time, or is told twice, it ends all the same."""

from __future__ import annotations

import os
import select
import signal
import threading
from types import FrameType
from typing import NoReturn

from mapgen.cli.console import console
from mapgen.errors import Interrupted
from mapgen.files.unfinished import remedy, remove_unfinished

PATIENCE = 1.5
"""Seconds that a run has to unwind: a read that hangs or a long call into a library must not outlast two."""

_said = threading.Lock()
_settled = threading.Event()
_first: dict[str, int] = {}
"""The signal that ends the run, once there is one; `setdefault` lets one thread decide."""


def settle() -> None:
    """The signal was the way to end the command, which it does well: the watcher leaves it the time that it takes."""
    _settled.set()


def listen(patience: float = PATIENCE) -> None:
    """From now on SIGINT and SIGTERM raise `Interrupted` in the main thread, and a watcher sees that the run ends.

    Python runs its handlers between two steps of the main thread, which may be minutes away in a call into a library;
    so a thread of its own hears of the signal through a pipe. A SIGINT that the caller has ignored (nohup, `&` in a
    script) stays so.
    """
    heard, said = os.pipe()
    os.set_blocking(said, False)
    signal.set_wakeup_fd(said, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(heard, patience), name="mapgen-signals", daemon=True).start()
    signal.signal(signal.SIGTERM, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)  # typer would turn a KeyboardInterrupt into a silent exit


def say(error: Interrupted) -> None:
    """The one line of an interruption, once, whoever comes first."""
    if _said.acquire(blocking=False):
        console.error(error)


def interruption(signum: int) -> Interrupted:
    """What a signal means for the run: the first that was heard of, for whoever asks.

    Two that come at once are handled in one order by the system and in another by Python, and the exit code is to be
    that of the line.
    """
    signum = _first.setdefault("number", signum)
    return Interrupted(signal.Signals(signum).name, "stopped", remedy(), exit_code=128 + signum)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):  # a second one is the watcher's, not to stop the cleaning up
        if signal.getsignal(number) is _stop:
            signal.signal(number, _seen)
    raise interruption(signum)


def _seen(signum: int, frame: FrameType | None) -> None:
    """Nothing: the watcher has heard it too."""


def _watch(heard: int, patience: float) -> None:
    """Wait for a signal, then for the end of the process; bring it about after `patience`, or at a second signal."""
    number = 0
    while number not in (signal.SIGINT, signal.SIGTERM):
        number = os.read(heard, 1)[0]
    forced = True
    try:
        text = interruption(number)
        number = _first["number"]
        again, _, _ = select.select([heard], [], [], patience)
        forced = bool(again) or not _settled.is_set()
        if forced:
            say(text)
            remove_unfinished()
    finally:
        if forced:
            os._exit(128 + number)
