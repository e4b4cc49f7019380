"""Locks: of two runs that write one output the second ends at once, and says which process is at work on it.

A lock is a small file beside the output, under a hidden name, that the system holds for the process (`flock`) and that
says who that is. The hold ends with the process, however it ends, so a file that nobody holds is left over and no
obstacle. Where the system holds nothing (some network folders) or not between machines, what the file says decides:
whether the process is there, if on this machine, or when it last gave a sign of life.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from mapgen.errors import OutputError, option
from mapgen.files.unfinished import Held, begun_locks, hidden_beside, take

SUFFIX = ".lock"

FORMAT = 1

SIGN_SECONDS = 30.0
"""How often a run gives a sign of life: it touches its locks."""

SILENT_SECONDS = 300.0
"""After so long without one a process on another machine counts as gone; clocks may differ by minutes."""

_TRIES = 50
"""Of two that come at the same moment each may find the file of the other removed under its hands."""

_mine: ContextVar[frozenset[Path]] = ContextVar("locks", default=frozenset())


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a lock."""

    output: str
    pid: int
    started: str
    """When the process began, in the system's own count: another process of that number began at another time."""
    host: str
    boot: str
    """Which start of which machine it was; empty where the system does not tell."""
    since: str

    def __str__(self) -> str:
        here = self.host == _host()
        return f"process {self.pid} on {'this machine' if here else self.host} since {self.since}"


def lock_path(output: Path, *, inside: bool = False) -> Path:
    """Where the lock of an output lies: beside it, under a name that is never too long; or inside, of a folder."""
    return hidden_beside(output / "all" if inside else output, SUFFIX)


@contextmanager
def lock(output: Path, *, inside: bool = False) -> Iterator[None]:
    """Nobody else may write `output` while the block runs; what is locked already in this context stays so.

    `inside`: it is a folder that files are put into, one by one. Raises `OutputError` where another run is at work on
    it, and `OSError` where the lock cannot be made.
    """
    path = lock_path(output, inside=inside)
    if path in _mine.get():
        yield
        return
    handle = _taken(path, output)
    token = _mine.set(_mine.get() | {path})
    begun_locks.add(path)
    _signs_of_life()
    try:
        yield
    finally:
        _mine.reset(token)
        path.unlink(missing_ok=True)  # while it is held: whoever opens it now finds it gone and tries again
        begun_locks.discard(path)
        os.close(handle)


def _taken(path: Path, output: Path) -> int:
    """An open handle of the lock, which is ours."""
    for _ in range(_TRIES):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
        except FileExistsError:
            _clear(path, output)
            continue
        try:
            if take(handle) is not Held.OTHERS and _is(path, handle):
                os.write(handle, _said(output))
                return handle
            os.close(handle)
        except BaseException:
            path.unlink(missing_ok=True)
            os.close(handle)
            raise
        time.sleep(0.01)
    raise OutputError(output, "is being written by other runs", "try again")


def _clear(path: Path, output: Path) -> None:
    """Remove the lock at `path` if nobody holds it. Raises `OutputError` where somebody does, or might."""
    at_work = held_by(path, remove=True)
    if at_work is not None:
        problem = f"is being written by {at_work}"
        raise OutputError(output, problem, f"wait until it is done, or choose another name with {option('output')}")


def held_by(path: Path, *, remove: bool = False) -> str | None:
    """Who holds the lock at `path`, in words; None where nobody does or it is gone. `remove`: what nobody holds."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except PermissionError:
        return f"another user (if not, remove {path})"
    try:
        held = take(handle)
        owner = _owner(handle)
        if held is Held.OTHERS:
            return str(owner or "another process")
        silent = time.time() - os.fstat(handle).st_mtime
        if _may_be_at_work(owner, silent, known=held is Held.OURS):
            heard = f"last heard of {max(0, silent):.0f} s ago; after {SILENT_SECONDS:.0f} s it counts as gone"
            return f"{owner or 'another process'}, {heard}" if owner is None or _elsewhere(owner) else str(owner)
        if remove and _is(path, handle):
            try:
                path.unlink(missing_ok=True)
            except PermissionError:
                return f"no process now, but another user left the lock {path}, which must be removed first"
        return None
    finally:
        os.close(handle)


def _may_be_at_work(owner: Owner | None, silent: float, *, known: bool) -> bool:
    """Whether a process may still be at work whose lock is not seen as held.

    `known`: the system knows such holds, at least among the processes of one machine.
    """
    if owner is None:  # just made, or never finished
        return not known and silent < SILENT_SECONDS
    if known and (owner.boot == _boot() if owner.boot else owner.host == _host()):
        return False
    if _elsewhere(owner):
        return silent < SILENT_SECONDS
    return owner.boot == _boot() and _runs(owner)


def _elsewhere(owner: Owner) -> bool:
    return owner.host != _host()


def _runs(owner: Owner) -> bool:
    """Whether the process is there, on this machine."""
    if os.name == "posix":
        try:
            os.kill(owner.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # it is another user's
            pass
    return owner.started == _started(owner.pid)


def described(path: Path) -> Owner | None:
    """What a file says, if it is a lock that says something."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return _owner(handle)
    finally:
        os.close(handle)


def _owner(handle: int) -> Owner | None:
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        said: dict[str, Any] = json.loads(os.read(handle, 1 << 16))
        if said.pop("mapgen_lock") != FORMAT:
            return None
        return Owner(**{**said, "pid": int(said["pid"])})
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _said(output: Path) -> bytes:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    owner = Owner(output.name, os.getpid(), _started(os.getpid()), _host(), _boot(), since)
    return json.dumps({"mapgen_lock": FORMAT} | asdict(owner)).encode() + b"\n"


def _is(path: Path, handle: int) -> bool:
    """Whether the open file is still the one at `path`."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


@cache
def _host() -> str:
    return socket.gethostname()


@cache
def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _started(pid: int) -> str:
    """When a process began, as the system counts; empty where it does not tell. See proc(5), stat, field 22."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


@cache
def _signs_of_life() -> None:
    """Begin to touch what this process has locked, from a thread of its own, which ends with the process."""

    def touch() -> None:
        while True:
            time.sleep(SIGN_SECONDS)
            for path in list(begun_locks):
                with suppress(OSError):
                    os.utime(path)

    threading.Thread(target=touch, name="mapgen-locks", daemon=True).start()
