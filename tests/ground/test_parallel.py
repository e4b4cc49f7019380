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
