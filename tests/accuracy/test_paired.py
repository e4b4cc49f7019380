"""Paired comparisons: nothing differs from itself, small true gains are found, and luck is not."""

import numpy as np
import pytest

from mapgen.accuracy.bootstrap import FEWEST
from mapgen.accuracy.paired import Judged, Rating


def counts(wrong, seed=0, blocks=60, classes=4, pixels=2000):
    """Confusion counts (B, K, K): each block has its own mix of classes and difficulty; about a share `wrong` errs."""
    ground = np.random.default_rng(99)
    mix = ground.dirichlet(np.ones(classes), blocks)
    hard = ground.uniform(0.5, 1.5, blocks)
    rng = np.random.default_rng(seed)
    result = np.zeros((blocks, classes, classes), np.int64)
    for block in range(blocks):
        truth = (mix[block] * pixels).astype(int)
        for k in range(classes):
            errs = rng.binomial(truth[k], min(1.0, wrong * hard[block]))
            others = rng.multinomial(errs, [1 / (classes - 1)] * (classes - 1))
            result[block, k] = np.insert(others, k, truth[k] - errs)
    return result


def rating(*runs, seed=0):
    return Rating([Judged.of(one, seed) for one in runs], seed)


def test_a_model_differs_from_itself_by_nothing_at_all():
    one, two = rating(counts(0.3), counts(0.31, 1)), rating(counts(0.3), counts(0.31, 1))
    found = two.minus(one)
    for name in ("miou", "accuracy", "iou"):
        assert not found.value[name].any()
        assert not found.interval[name].any()
    assert found.verdict == "not told apart"
    assert one.minus(one).verdict == "first"


def test_the_other_way_round_the_sign_is_turned():
    one, two = rating(counts(0.30), counts(0.31, 1)), rating(counts(0.27, 2), counts(0.33, 3))
    there, back = two.minus(one), one.minus(two)
    for name in ("miou", "accuracy", "iou"):
        np.testing.assert_allclose(there.value[name], -back.value[name])
        np.testing.assert_allclose(there.interval[name], -back.interval[name][..., ::-1], atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_a_mask_that_is_five_percent_better_wins_on_forty_blocks(seed):
    plain, better = rating(counts(0.30, seed, 40)), rating(counts(0.30 * 0.95, seed + 50, 40))
    assert better.minus(plain).verdict == "better"
    assert plain.minus(better).verdict == "worse"


def test_luck_is_found_out_about_as_rarely_as_it_should_be():
    verdicts = [rating(counts(0.3, 2 * n)).minus(rating(counts(0.3, 2 * n + 1))).verdict for n in range(60)]
    assert verdicts.count("not told apart") >= 52


def test_the_difference_is_known_better_than_each_of_the_two():
    one, two = rating(counts(0.30)), rating(counts(0.28, 1))
    width = np.ptp(two.minus(one).interval["miou"])
    assert width < 0.5 * np.ptp(one.intervals()["miou"])


def test_seeds_that_disagree_widen_the_interval_and_one_seed_cannot():
    steady = rating(counts(0.30, 0), counts(0.30, 1), counts(0.30, 2))
    wild = rating(counts(0.25, 0), counts(0.30, 1), counts(0.35, 2))
    first = rating(counts(0.30, 3), counts(0.30, 4), counts(0.30, 5))
    assert np.ptp(wild.minus(first).interval["miou"]) > 3 * np.ptp(steady.minus(first).interval["miou"])
    np.testing.assert_allclose(wild.value["miou"], wild.runs["miou"].mean())
    np.testing.assert_allclose(rating(counts(0.3)).value["iou"], rating(counts(0.3)).runs["iou"][0])


def test_a_handful_of_blocks_tells_nothing_apart():
    few = FEWEST - 1
    found = rating(counts(0.05, 0, few)).minus(rating(counts(0.5, 1, few)))
    assert found.verdict == "not told apart"
    assert np.isnan(found.interval["miou"]).all()
    assert found.value["miou"] > 0.3
    assert rating(counts(0.05, 0, few)).intervals() == {}


def test_a_class_that_nobody_has_counts_nowhere():
    one, two = (np.pad(counts(wrong, 1), ((0, 0), (0, 1), (0, 1))) for wrong in (0.3, 0.2))
    found = rating(two).minus(rating(one))
    assert np.isnan(found.value["iou"][-1])
    assert np.isnan(found.interval["iou"][-1]).all()
    plain = rating(counts(0.2, 1)).minus(rating(counts(0.3, 1)))
    np.testing.assert_allclose(found.interval["miou"], plain.interval["miou"])


def test_the_bootstrap_follows_from_its_seed():
    one, two = counts(0.30), counts(0.28, 1)
    again = [rating(two, seed=s).minus(rating(one, seed=s)).interval["miou"] for s in (0, 0, 1)]
    np.testing.assert_array_equal(again[0], again[1])
    assert (again[0] != again[2]).any()
