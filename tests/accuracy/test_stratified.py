"""Areas and accuracies from points: the paper's own example, the laws, and whether intervals hold what they promise."""

import numpy as np
import pytest

from mapgen.accuracy.stratified import allocation, estimate

PAPER = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]], float)
PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000], float)
HECTARES = PIXELS.sum() * 900 / 1e4
"""Olofsson et al. 2014, tables 8 and 9: deforestation, forest gain, forest, non-forest, pixels of 30 m."""


def test_the_example_of_the_paper_comes_out_as_printed():
    found = estimate(PAPER, PIXELS)
    assert (found.shares.value * HECTARES).round().tolist() == [21158, 11686, 285770, 581386]
    assert (found.shares.half * HECTARES).round().tolist() == pytest.approx([6158, 3756, 15510, 16282], abs=1)
    assert found.overall.value.round(3) == 0.947
    assert found.overall.half.round(3) == 0.018
    assert found.user.value.round(2).tolist() == [0.88, 0.73, 0.93, 0.96]
    assert found.user.half.round(2).tolist() == [0.07, 0.10, 0.04, 0.02]
    assert found.producer.value.round(2).tolist() == [0.75, 0.85, 0.93, 0.96]
    assert found.producer.half.round(2).tolist() == [0.21, 0.25, 0.03, 0.02]


def test_a_map_that_is_right_everywhere_is_known_exactly():
    found = estimate(np.diag([60.0, 50, 90]), np.array([5.0, 1, 20]))
    assert not any(figure.error.any() for figure in (found.shares, found.overall, found.user, found.producer))
    np.testing.assert_allclose(found.shares.value, np.array([5, 1, 20]) / 26)


def test_strata_that_are_alike_may_be_taken_as_one():
    rates = np.array([[60, 20, 20], [60, 20, 20], [5, 5, 90]], float)
    apart = estimate(rates, np.array([3.0, 3, 10]))
    together = estimate(np.array([[120, 40, 40], [0, 0, 0], [5, 5, 90]], float), np.array([6.0, 0, 10]))
    np.testing.assert_allclose(apart.shares.value, together.shares.value)
    np.testing.assert_allclose(apart.shares.error, together.shares.error, rtol=0.01)


def test_a_class_that_the_map_lacks_has_an_area_and_no_accuracy_of_a_user():
    found = estimate(np.array([[90, 10.0], [0, 0]]), np.array([4.0, 0]))
    assert found.shares.value.tolist() == pytest.approx([0.9, 0.1])
    assert np.isnan(found.user.value[1])
    assert found.producer.value[1] == 0


def test_the_interval_holds_the_truth_in_95_of_100_draws():
    rates = np.array([[0.85, 0.1, 0.05], [0.1, 0.8, 0.1], [0.02, 0.08, 0.9]])
    weights, sizes = np.array([0.1, 0.3, 0.6]), (60, 100, 240)
    truth = weights @ rates
    rng, held = np.random.default_rng(0), np.zeros(3)
    for _ in range(1000):
        counts = np.array([rng.multinomial(n, r) for n, r in zip(sizes, rates, strict=True)], float)
        found = estimate(counts, weights).shares
        held += np.abs(found.value - truth) <= found.half
    assert ((held / 1000 >= 0.93) & (held / 1000 <= 0.97)).all(), held


def test_points_go_where_they_tell_most_and_every_class_gets_its_least():
    pixels = np.array([900_000.0, 90_000, 10_000])
    even = allocation(pixels, 400, 50, np.full(3, 0.8))
    assert even.sum() == 400
    assert even.min() >= 50
    assert even.argmax() == 0
    unsure = allocation(pixels, 400, 50, np.array([0.99, 0.5, 0.8]))
    assert unsure[1] > even[1], "a class that is less sure gets more"


@pytest.mark.parametrize("seed", range(20))
def test_no_class_gets_more_points_than_pixels_and_none_is_lost(seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 60, 6).astype(float)
    count = int(rng.integers(12, 200))
    got = allocation(pixels, count, 10, rng.uniform(0.5, 0.95, 6))
    assert (got <= pixels).all()
    assert got.sum() == min(count, pixels.sum())
