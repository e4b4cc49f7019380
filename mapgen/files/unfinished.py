"""What a run has begun and not finished: hidden folders that go when it ends, and where it could go on from.

A process that must end now has no time to unwind its stack: whatever ends it asks here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path

PREFIX = ".mapgen-"
"""How the names of all begin that lies beside an output for a while."""

begun_locks: set[Path] = set()
"""The locks of this process."""

_folders: set[Path] = set()
_stuck: set[Path] = set()
_journals: dict[int, Callable[[], str]] = {}
_again: list[Callable[[], str]] = []


def hidden_beside(output: Path, suffix: str) -> Path:
    """The hidden name of what goes with an output, in the same folder, by whatever links it is reached; never too long.

    Law: the same for one output always, and another for every other.
    """
    mark = hashlib.sha256(os.fsencode(output.name)).hexdigest()[:16]
    return Path(os.path.realpath(output.parent), f"{PREFIX}{mark}{suffix}")


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """The folder, removed with all in it when the block ends, however it ends."""
    remove_stuck()
    _folders.add(folder)
    with hold(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _folders.discard(folder)
            if folder.exists():
                _stuck.add(folder)


def remove_stuck() -> None:
    """Remove folders that could not be removed when their time came: a process that may open no more files cannot look
    into one until it has closed others."""
    for folder in list(_stuck):
        shutil.rmtree(folder, ignore_errors=True)
        _stuck.discard(folder)


@contextmanager
def hold(path: Path) -> Iterator[bool]:
    """Hold a file or folder as at work on it, while the block runs; whether nobody else did.

    The system lets go of it however the process ends. Where it knows no such holds, nobody holds anything.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        yield True
        return
    try:
        yield take(handle) is not Held.OTHERS
    finally:
        os.close(handle)


class Held(Enum):
    """Who holds an open file."""

    OURS = auto()
    OTHERS = auto()
    UNKNOWN = auto()
    """The system knows no such holds, or not there: some network folders."""


def take(handle: int) -> Held:
    """Hold the file or folder behind an open handle until that is closed, if nobody else does."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Held.OTHERS
    except (ImportError, OSError):
        return Held.UNKNOWN
    return Held.OURS


@contextmanager
def resumable(say: Callable[[], str]) -> Iterator[None]:
    """While the block runs, what `say` returns tells how far a run that ends now would go on from; empty: nowhere."""
    key = id(say)
    _journals[key] = say
    try:
        yield
    finally:
        del _journals[key]


@contextmanager
def run_again(how: Callable[[], str]) -> Iterator[None]:
    """While the block runs, what `how` returns is added to the advice to run the same command again; empty: nothing."""
    _again.append(how)
    try:
        yield
    finally:
        _again.remove(how)


def remedy() -> str:
    """What to do after a run that ended early, as an imperative."""
    begun = [text for say in list(_journals.values()) if (text := say())]
    again = " ".join(["run the same command again", *(text for how in list(_again) if (text := how()))])
    if begun:
        return f"{again}: it goes on {begun[-1]}"
    return f"the unfinished output was removed; {again}" if _folders else again


def remove_unfinished() -> None:
    """Remove all folders that are under way, and the locks, from any thread; nothing else is touched."""
    for folder in list(_folders):
        shutil.rmtree(folder, ignore_errors=True)
    for path in list(begun_locks):
        with suppress(OSError):
            path.unlink()
