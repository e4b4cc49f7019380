"""Threads and processes: how many, and working ahead in order, an error raised where its item would come."""

from __future__ import annotations

import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

T = TypeVar("T")
Made = TypeVar("Made")

Progress = Callable[[int, int], None]
"""Told how much is done, of how much; first of all what was done before."""

_CGROUPS = Path("/sys/fs/cgroup")
_jobs = 1
_MOST = 8
"""Threads that are taken unasked: beyond them, what works in Python in between is what takes the time."""


def processors() -> int:
    """How many processors this process may use, 1 or more.

    Those that it may run on (`taskset`, a batch system), and no more than the time that its container is given.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    return max(1, min(allowed, _quota(_CGROUPS) or allowed))


def threads(wanted: int | None) -> int:
    """The number of threads that was asked for, else as many as there are processors, up to 8; its share of them."""
    return max(1, (wanted or min(_MOST, processors())) // _jobs)


def share(jobs: int) -> None:
    """From now on this process is one of `jobs` that work side by side, and takes its share of threads and memory."""
    global _jobs
    _jobs = jobs


def jobs() -> int:
    """How many processes like this one work side by side."""
    return _jobs


def _quota(groups: Path) -> int | None:
    """Processors' worth of time that the control group of this container allows, rounded up; None without a limit.

    See https://docs.kernel.org/admin-guide/cgroup-v2.html (`cpu.max`), and for version 1 the CFS bandwidth control.
    """
    try:
        quota, period = (groups / "cpu.max").read_text("ascii").split()
    except (OSError, ValueError):
        try:
            quota, period = ((groups / "cpu" / f"cpu.cfs_{k}_us").read_text("ascii") for k in ("quota", "period"))
        except (OSError, ValueError):
            return None
    try:
        return -(-int(quota) // int(period)) if int(quota) > 0 else None
    except (ValueError, ZeroDivisionError):  # "max"
        return None


def ahead(items: Iterable[T], depth: int = 1) -> Iterator[T]:
    """The same items in the same order, made by one background thread up to `depth` ahead of their use.

    An error in making an item is raised where the item would come. The thread ends with the iteration, at the latest
    when the iterator is closed.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1, thread_name_prefix="mapgen-ahead") as pool:
        waiting = deque(pool.submit(next, iterator, end) for _ in range(depth))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(pool.submit(next, iterator, end))
                yield item  # type: ignore[misc]
        finally:
            for future in waiting:
                future.cancel()


def in_order(
    work: Callable[[T], Made], items: Iterable[T], threads: int, waiting: int | None = None
) -> Iterator[tuple[T, Made]]:
    """Each item with what `work` makes of it, in order; up to `waiting` (twice the threads) are made ahead.

    Law: what comes does not depend on `threads`. Whoever stops early does not wait for what has not begun.
    """
    limit = 2 * threads if waiting is None else waiting
    pool, made = ThreadPoolExecutor(threads), deque[tuple[T, Future[Made]]]()
    try:
        for item in items:
            made.append((item, pool.submit(work, item)))
            if len(made) >= limit:
                first, future = made.popleft()
                yield first, future.result()
        while made:
            first, future = made.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def without_script() -> Iterator[None]:
    """A process that is started within the block does not run again the script that this one began with."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def start(process: BaseProcess) -> None:
    """Start a process that does not run again the script that this one began with, as `multiprocessing` would.

    It never hears of Ctrl-C, which a terminal tells to all: who started it ends it.
    """
    masked = hasattr(signal, "pthread_sigmask")  # Windows has no masks
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masked else set()
    try:
        with without_script():
            process.start()
    finally:
        if masked:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ending(process: BaseProcess) -> str:
    """How a process ended that was not to: `by SIGKILL`, or `with exit code 3`."""
    process.join(1)
    code = process.exitcode
    return f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
