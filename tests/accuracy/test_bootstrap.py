"""Block counts, bootstrap intervals and the worst blocks, in one pass over strips."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapgen.accuracy.bootstrap import FEWEST, BlockCounter, Lattice
from mapgen.accuracy.confusion import Tally, confusion


def pair(seed, height, width, classes=3):
    """Codebook of both sides; the share of wrong pixels differs from place to place."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(-1, classes, (height, width)).astype(np.int16)
    risk = np.kron(rng.random((height // 8 + 1, width // 8 + 1)), np.ones((8, 8)))[:height, :width]
    other = rng.integers(-1, classes, (height, width)).astype(np.int16)
    return truth, np.where(rng.random((height, width)) < risk, other, truth)


def counted(truth, mapped, lattice, cuts=(), **options):
    counter = BlockCounter(lattice, **options)
    edges = [0, *sorted(cuts), len(truth)]
    for top, bottom in pairwise(edges):
        if bottom > top:
            counter.add(top, 0, mapped[top:bottom], truth[top:bottom])
    counter.finish()
    return counter


@settings(max_examples=20)
@given(seed=st.integers(0, 500), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_counts_intervals_and_worst_blocks_do_not_depend_on_the_strips(seed, cuts):
    truth, mapped = pair(seed, 40, 33)
    lattice = Lattice(40, 33, 7, 9)
    whole, parts = (counted(truth, mapped, lattice, c, seed=3, worst=4) for c in ((), cuts))
    np.testing.assert_array_equal(whole.counts, confusion(truth, mapped, 3))
    np.testing.assert_array_equal(parts.counts, whole.counts)
    assert parts.worst() == whole.worst()
    assert parts.blocks == whole.blocks
    for name, interval in whole.intervals().items():
        np.testing.assert_allclose(parts.intervals()[name], interval)


def test_a_part_of_the_grid_is_resampled_like_the_same_blocks_of_the_whole():
    truth, mapped = pair(5, 64, 64)
    empty = truth.copy()
    empty[:, :16] = -1
    lattice = Lattice(64, 64, 8, 8)
    whole = counted(empty, mapped, lattice)
    part = BlockCounter(lattice)
    part.add(0, 16, mapped[:, 16:], truth[:, 16:])
    part.finish()
    np.testing.assert_array_equal(part.counts, whole.counts)
    np.testing.assert_allclose(part.intervals()["iou"], whole.intervals()["iou"])


def test_intervals_are_those_of_drawing_blocks_with_replacement():
    truth, mapped = pair(1, 160, 160)
    lattice = Lattice(160, 160, 8, 8)
    found = counted(truth, mapped, lattice).intervals()
    blocks = np.stack(
        [
            confusion(truth[r : r + 8, c : c + 8], mapped[r : r + 8, c : c + 8], 3)
            for r in range(0, 160, 8) for c in range(0, 160, 8)
        ]
    )  # fmt: skip
    rng = np.random.default_rng(0)
    draws = [Tally.of(blocks[rng.integers(len(blocks), size=len(blocks))].sum(0)) for _ in range(1000)]
    for name in ("miou", "accuracy", "iou"):
        low, high = np.quantile([getattr(d, name) for d in draws], [0.025, 0.975], axis=0)
        width = high - low
        assert (np.abs(found[name][..., 0] - low) < 0.15 * width).all(), name
        assert (np.abs(found[name][..., 1] - high) < 0.15 * width).all(), name


def test_intervals_hold_the_figure_and_depend_on_the_seed_alone():
    truth, mapped = pair(2, 80, 80)
    lattice = Lattice(80, 80, 8, 8)
    one, same, other = (counted(truth, mapped, lattice, seed=s).intervals() for s in (0, 0, 1))
    figure = Tally.of(confusion(truth, mapped, 3))
    assert one["miou"][0] < figure.miou < one["miou"][1]
    assert one["accuracy"][0] < figure.accuracy < one["accuracy"][1]
    np.testing.assert_array_equal(one["iou"], same["iou"])
    assert (one["iou"] != other["iou"]).any()


def test_a_handful_of_blocks_gives_no_interval():
    truth, mapped = pair(3, 8, 8 * (FEWEST - 1))
    assert counted(truth, mapped, Lattice(8, truth.shape[1], 8, 8)).intervals() == {}


def test_a_class_that_neither_side_has_has_no_interval():
    truth, mapped = pair(4, 40, 40)
    counter = counted(truth, mapped, Lattice(40, 40, 8, 8))
    counter.grow(4)
    assert np.isnan(counter.intervals()["iou"][3]).all()


def test_the_worst_blocks_have_the_most_wrong_pixels():
    truth, mapped = pair(6, 50, 45)
    found = counted(truth, mapped, Lattice(50, 45, 8, 8), worst=5).worst()
    wrong = (truth != mapped) & (truth >= 0) & (mapped >= 0)
    expected = sorted(int(wrong[r : r + 8, c : c + 8].sum()) for r in range(0, 50, 8) for c in range(0, 45, 8))
    assert [b.wrong for b in found] == expected[: -len(found) - 1 : -1]
    for b in found:
        place = np.s_[b.row : b.row + b.height, b.col : b.col + b.width]
        assert wrong[place].shape == (b.height, b.width)
        assert wrong[place].sum() == b.wrong
        assert ((truth >= 0) & (mapped >= 0))[place].sum() == b.pixels


def test_blocks_without_an_error_are_not_among_the_worst():
    truth = np.zeros((16, 16), np.int16)
    assert counted(truth, truth, Lattice(16, 16, 8, 8), worst=3).worst() == ()


@pytest.mark.parametrize("width", [700, 2100])
def test_wide_maps_are_resampled_in_parts_with_the_same_result_as_at_once(width, monkeypatch):
    truth, mapped = pair(7, 8, width)
    lattice = Lattice(8, width, 4, 4)
    expected = counted(truth, mapped, lattice).intervals()["iou"]
    monkeypatch.setattr("mapgen.accuracy.bootstrap._TOGETHER", 10_000)
    np.testing.assert_allclose(counted(truth, mapped, lattice).intervals()["iou"], expected)
