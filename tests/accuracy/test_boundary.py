"""Boundary F against every pair of boundary pixels, whole and in strips."""

import numpy as np
import pytest
from brute import counting, edge_pixels, near, patchy, strips
from hypothesis import given
from hypothesis import strategies as st

from mapgen.accuracy.boundary import REACH_LIMIT, BoundaryMatcher
from mapgen.errors import UsageError


def matched(truth, mapped, cuts=(), tolerance=2.0, across=1.0, down=1.0):
    matcher = BoundaryMatcher(tolerance, across, down, truth.shape[1], 3)
    for m, t in strips(cuts, mapped, truth):
        matcher.add(m, t)
    return matcher.finish()


@given(
    seed=st.integers(0, 500), cuts=st.lists(st.integers(0, 24), max_size=8),
    tolerance=st.sampled_from([0.5, 1.0, 2.0, 2.9, 6.0]), across=st.sampled_from([1.0, 0.7]),
    down=st.sampled_from([1.0, 1.4]),
)  # fmt: skip
def test_boundaries_are_matched_like_by_looking_at_every_pair_of_pixels(seed, cuts, tolerance, across, down):
    truth, mapped = patchy(seed, 24, 17)
    found = matched(truth, mapped, cuts, tolerance, across, down)
    mapped, truth = counting(mapped, truth)
    for k in range(3):
        on_map, in_truth = edge_pixels(mapped, k), edge_pixels(truth, k)
        assert found.mapped[k] == len(on_map)
        assert found.truth[k] == len(in_truth)
        assert found.mapped_matched[k] == near(on_map, in_truth, tolerance, across, down)
        assert found.truth_matched[k] == near(in_truth, on_map, tolerance, across, down)


def test_a_shift_by_the_tolerance_is_forgiven_and_one_pixel_more_is_not():
    truth = np.zeros((30, 30), np.int16)
    truth[:, 15:] = 1
    for shift, expected in ((2, 1.0), (4, 0.0)):
        mapped = np.zeros_like(truth)
        mapped[:, 15 + shift :] = 1
        assert matched(truth, mapped, tolerance=2).f1[:2].tolist() == [expected, expected]


@pytest.mark.parametrize("pixel", [0.1, 0.1001])  # three tenths are no 0.3; UTM's metre is not quite the ground's
def test_a_tolerance_of_three_pixels_reaches_the_third(pixel):
    truth, mapped = np.zeros((2, 4, 20), np.int16)
    truth[:, 10:] = 1
    mapped[:, 13:] = 1
    assert matched(truth, mapped, tolerance=0.3, across=pixel, down=pixel).f1[0] == 1


def test_the_edge_of_the_ground_that_counts_is_no_boundary():
    truth = np.full((12, 12), -1, np.int16)
    truth[3:9, 3:9] = 0
    found = matched(truth, np.zeros_like(truth))
    assert found.truth.sum() == found.mapped.sum() == 0
    assert np.isnan(found.f1).all()


def test_tolerances_beyond_the_limit_are_refused_with_the_most_that_is_possible():
    BoundaryMatcher(REACH_LIMIT, 1, 1, 10, 1)
    with pytest.raises(UsageError, match="use at most 64"):
        BoundaryMatcher(REACH_LIMIT, 0.5, 1, 10, 1)
