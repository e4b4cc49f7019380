"""Laws of plans."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapgen.errors import UsageError
from mapgen.grid import Window
from mapgen.plan import plan_windows

sizes = st.integers(1, 260)
lattices = st.tuples(st.integers(1, 4), st.integers(0, 3), st.sampled_from([1, 8, 32])).map(
    lambda t: ((t[0] + 2 * t[1]) * t[2], t[1] * t[2], t[2])
)


def covered(steps, height, width):
    count = np.zeros((height, width), int)
    for step in steps:
        count[step.keep.slices(Window(0, 0, height, width))] += 1
    return count


@given(sizes, sizes, lattices)
def test_kept_windows_partition_the_grid(height, width, lattice):
    plan = plan_windows(height, width, *lattice)
    assert (covered(plan.steps(), height, width) == 1).all()


@given(sizes, sizes, lattices)
def test_windows_lie_on_the_lattice_of_the_stride_and_inside_the_grid(height, width, lattice):
    window, _, stride = lattice
    for step in plan_windows(height, width, *lattice).steps():
        assert step.read.row % stride == 0
        assert step.read.col % stride == 0
        assert 0 < step.read.height <= window
        assert 0 < step.read.width <= window
        assert Window(0, 0, height, width).contains(step.read)
        assert step.read.contains(step.keep)


@given(sizes, lattices)
def test_borders_between_keeps_have_a_halo_on_both_sides(size, lattice):
    halo = lattice[1]
    spans = plan_windows(size, 1, *lattice).rows
    for before, after in pairwise(spans):
        assert before.last == after.first
        assert before.end - before.last >= halo
        assert after.first - after.start >= halo


@given(sizes, lattices)
def test_only_the_last_window_of_an_axis_is_shorter(size, lattice):
    spans = plan_windows(size, 1, *lattice).rows
    assert all(s.end - s.start == lattice[0] for s in spans[:-1])


@given(st.integers(1, 300), st.integers(1, 300), lattices, st.data())
def test_steps_within_a_window_cover_it_and_touch_nothing_needless(height, width, lattice, data):
    row, col = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    within = Window(row, col, data.draw(st.integers(1, height - row)), data.draw(st.integers(1, width - col)))
    steps = list(plan_windows(height, width, *lattice).steps(within))
    assert (covered(steps, height, width)[within.slices(Window(0, 0, height, width))] == 1).all()
    assert all((step.keep & within).area for step in steps)


@pytest.mark.parametrize(
    ("window", "halo", "remedy"),
    [(100, 0, "use 96"), (128, 20, "use 32"), (128, 64, "use at most 32"), (0, 0, "use 32")],
)
def test_a_window_off_the_lattice_is_refused_with_the_nearest_that_is_not(window, halo, remedy):
    with pytest.raises(UsageError, match=remedy):
        plan_windows(500, 500, window, halo, 32)
