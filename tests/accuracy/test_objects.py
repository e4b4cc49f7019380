"""Objects matched one to one, against flood fill and every pair, whole and in strips."""

import numpy as np
import pytest
from brute import counting, patchy, regions, strips
from hypothesis import given
from hypothesis import strategies as st

from mapgen.accuracy.objects import ObjectMatcher


def matched(truth, mapped, cuts=(), chosen=(0, 2)):
    matcher = ObjectMatcher(chosen, truth.shape[1], 3)
    for m, t in strips(cuts, mapped, truth):
        matcher.add(m, t)
    return matcher.finish(), matcher


def iou(one, other):
    return len(one & other) / len(one | other)


@given(
    seed=st.integers(0, 2000), cuts=st.lists(st.integers(0, 30), max_size=12), size=st.sampled_from([(30, 12), (9, 31)])
)
def test_objects_are_counted_and_matched_like_by_looking_at_every_pair(seed, cuts, size):
    truth, mapped = patchy(seed, *size)
    found, _ = matched(truth, mapped, [c for c in cuts if c < size[0]])
    mapped, truth = counting(mapped, truth)
    for k in (0, 2):
        on_map, in_truth = regions(mapped, k), regions(truth, k)
        pairs = [(i, j) for i, a in enumerate(on_map) for j, b in enumerate(in_truth) if iou(a, b) >= 0.5]
        assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)  # nobody has two partners
        assert (found.mapped[k], found.truth[k]) == (len(on_map), len(in_truth))
        assert found.mapped_matched[k] == found.truth_matched[k] == len(pairs)
    assert found.mapped[1] == 0  # not asked for


@pytest.mark.parametrize("rows", [1, 2, 7, 64])
def test_spirals_and_combs_are_one_object_however_they_are_cut(rows):
    comb = np.ones((41, 41), np.int16)
    comb[::2, :] = 0
    comb[:, 0] = 0
    spiral = np.ones((41, 41), np.int16)
    r, c, dr, dc, low, high = 0, 0, 0, 1, 0, 40
    for turn in range(38):
        length = high - low
        for _ in range(length):
            spiral[r, c] = 0
            r, c = r + dr, c + dc
        dr, dc = dc, -dr
        if turn % 2 == 1 and turn > 1:
            high -= 2
        if high <= low:
            break
    for shape in (comb, spiral):
        found, _ = matched(shape, shape, range(0, 41, rows), chosen=(0,))
        assert found.f1[0] == 1
        assert found.mapped[0] == len(regions(shape, 0))


def test_exactly_half_is_enough():
    truth, mapped = np.full((2, 3, 8), 1, np.int16)
    truth[1, 1:7] = 0
    mapped[1, 1:4] = 0
    assert matched(truth, mapped)[0].mapped_matched[0] == 1
    mapped[1, 3] = 1
    assert matched(truth, mapped)[0].mapped_matched[0] == 0


def test_only_objects_of_the_same_class_are_partners():
    truth = np.full((5, 5), 1, np.int16)
    mapped = truth.copy()
    truth[1:4, 1:4], mapped[1:4, 1:4] = 0, 2
    found, _ = matched(truth, mapped)
    assert (found.truth[0], found.mapped[2]) == (1, 1)
    assert found.mapped_matched.sum() == 0


def test_what_is_remembered_follows_the_width_and_not_the_height():
    truth, mapped = patchy(3, 3000, 30)
    matcher = ObjectMatcher((0, 1, 2), 30, 3)
    most = 0
    for m, t in strips(range(0, 3000, 50), mapped, truth):
        matcher.add(m, t)
        most = max(most, matcher._pairs.shape[1], *(len(side.areas) for side in matcher._sides))
    assert matcher.finish().truth.sum() > 1000
    assert most < 60


def test_a_road_through_the_whole_map_does_not_keep_what_it_has_passed():
    rng = np.random.default_rng(0)
    mapped = np.zeros((3000, 20), np.int16)  # one object without an end
    truth = np.where(rng.random(mapped.shape) < 0.3, 1, 0).astype(np.int16)
    matcher = ObjectMatcher((0, 1), 20, 2)
    most = 0
    for m, t in strips(range(0, 3000, 50), mapped, truth):
        matcher.add(m, t)
        most = max(most, matcher._pairs.shape[1])
    assert most <= 20
