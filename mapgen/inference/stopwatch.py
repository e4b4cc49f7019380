"""Where the time of a chain of generators goes: each stage is charged for its own work alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class Stopwatch:
    """Seconds by stage.

    What runs within a stage and belongs to another stage of the same thread counts for that one alone, so where all is
    done in one thread, the seconds of all stages add up to those of the outermost. A stage that waits for another
    thread is charged for the waiting.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock
        self._inner = threading.local()
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge the block to the stage `name`."""
        outer: float = getattr(self._inner, "seconds", 0.0)
        self._inner.seconds = 0.0
        began = self._clock()
        try:
            yield
        finally:
            passed = self._clock() - began
            with self._lock:
                self.seconds[name] = self.seconds.get(name, 0.0) + passed - self._inner.seconds
            self._inner.seconds = outer + passed

    def over(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """The same items; the making of each is charged to the stage `name`."""
        source = iter(items)
        while True:
            with self.stage(name):
                item = next(source, _END)
            if item is _END:
                return
            yield item  # type: ignore[misc]


_END = object()
