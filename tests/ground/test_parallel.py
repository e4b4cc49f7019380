"""Working ahead of the use."""

import threading

import pytest

from mapgen.parallel import ahead


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_items_come_in_their_order(count, depth):
    assert list(ahead(range(count), depth)) == list(range(count))


def test_the_next_item_is_made_while_one_is_used_and_no_more_than_that():
    made = []
    reached = threading.Semaphore(0)

    def items():
        for number in range(10):
            made.append(number)
            reached.release()
            yield number

    stream = ahead(items(), depth=1)
    assert next(stream) == 0
    reached.acquire()
    assert reached.acquire(timeout=30), "nothing was made ahead"
    assert len(made) <= 2
    stream.close()


def test_an_error_is_raised_where_its_item_would_come():
    def items():
        yield 1
        yield 2
        raise KeyError("three")

    stream = ahead(items(), 2)
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(KeyError, match="three"):
        next(stream)


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    stream = ahead(iter(range(100)))
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_threads_are_those_that_the_process_may_use(monkeypatch):
    import os

    from mapgen import parallel

    monkeypatch.setattr(parallel, "_quota", lambda groups: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(3)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert (parallel.processors(), parallel.threads(None), parallel.threads(5)) == (3, 3, 5)
    monkeypatch.setattr(parallel, "_quota", lambda groups: 2)
    assert parallel.processors() == 2


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "junk\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_a_containers_share_of_time_counts_as_processors(tmp_path, files, wanted):
    from mapgen.parallel import _quota

    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _quota(tmp_path) == wanted
