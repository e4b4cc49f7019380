"""Working ahead in threads, in order, an error raised where its item would come: for all who read, make and write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
Made = TypeVar("Made")

Progress = Callable[[int, int], None]
"""Told how much is done, of how much."""


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
