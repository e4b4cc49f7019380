"""Figures against their definitions as sets of pixels, and the laws of confusion matrices."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapgen.accuracy.confusion import Matches, Tally, confusion
from mapgen.accuracy.report import Block, Rated, Report

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))


def pair(seed, size=(20, 30), classes=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(-1, classes, size)
    return truth, np.where(rng.random(size) < 0.6, truth, rng.integers(-1, classes, size))


@given(seed=st.integers(0, 1000), size=SIZES)
def test_confusion_counts_pixels_one_by_one(seed, size):
    truth, mapped = pair(seed, size)
    expected = np.zeros((4, 4), int)
    for t, m in zip(truth.ravel().tolist(), mapped.ravel().tolist(), strict=True):
        if t >= 0 and m >= 0:
            expected[t, m] += 1
    np.testing.assert_array_equal(confusion(truth, mapped, 4), expected)


@given(seed=st.integers(0, 1000), size=SIZES, cut=st.integers(0, 12))
def test_confusion_matrices_and_their_tallies_add_up_over_blocks(seed, size, cut):
    truth, mapped = pair(seed, size)
    whole = confusion(truth, mapped, 4)
    parts = [confusion(truth[at], mapped[at], 4) for at in (np.s_[:cut], np.s_[cut:])]
    np.testing.assert_array_equal(parts[0] + parts[1], whole)
    summed = Tally.of(parts[0]) + Tally.of(parts[1])
    for name in ("iou", "f1", "precision", "recall", "miou", "accuracy", "kappa"):
        np.testing.assert_array_equal(getattr(summed, name), getattr(Tally.of(whole), name))


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_those_of_sets_of_pixels(seed):
    truth, mapped = pair(seed)
    counted = (truth >= 0) & (mapped >= 0)
    found = Tally.of(confusion(truth, mapped, 4))
    ious = []
    for k in range(4):
        t, m = (truth == k) & counted, (mapped == k) & counted
        both = (t & m).sum()
        ious.append(both / (t | m).sum())
        assert found.iou[k] == pytest.approx(ious[-1])
        assert found.precision[k] == pytest.approx(both / m.sum())
        assert found.recall[k] == pytest.approx(both / t.sum())
        assert found.f1[k] == pytest.approx(2 * both / (t.sum() + m.sum()))
        assert found.f1[k] == pytest.approx(2 * ious[-1] / (1 + ious[-1]))
    assert found.miou == pytest.approx(np.mean(ious))
    assert found.accuracy == pytest.approx((truth == mapped)[counted].mean())


def test_kappa_is_that_of_the_worked_example_of_the_textbooks():
    # 100 cases: 20 agreed yes, 15 agreed no is the usual 50-case table: p = 0.7, e = 0.5, kappa = 0.4.
    assert Tally.of(np.array([[20, 5], [10, 15]])).kappa == pytest.approx(0.4)


def test_kappa_is_one_for_a_perfect_map_and_zero_for_one_that_is_no_better_than_chance():
    assert Tally.of(np.diag([3, 5])).kappa == 1
    assert Tally.of(np.array([[4, 4], [4, 4]])).kappa == 0


def test_a_class_that_neither_side_has_is_unknown_and_no_part_of_the_mean():
    found = Tally.of(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    assert math.isnan(found.iou[2])
    assert math.isnan(found.f1[2])
    assert found.miou == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_a_class_that_only_one_side_has_scores_zero_and_is_part_of_the_mean():
    only_mapped = Tally.of(np.array([[3, 1], [0, 0]]))
    assert only_mapped.iou.tolist() == [0.75, 0]
    assert only_mapped.miou == 0.375


def test_matches_without_things_on_both_sides_are_unknown_and_on_one_side_zero():
    none, five = np.zeros(1, int), np.full(1, 5)
    assert math.isnan(Matches(none, none, none, none).f1[0])
    assert Matches(five, none, none, none).f1[0] == 0
    assert Matches(none, none, five, none).f1[0] == 0
    assert Matches(five, five, five, five).f1[0] == 1


def test_a_report_is_plain_json_with_null_for_what_is_unknown():
    classes = (Rated(1, "road", "#000000"), Rated(None, "pool", "#ffffff", known=False))
    block = Block(0, 256, 10, 20, 200, 7)
    report = Report(
        classes, np.array([[8, 0], [2, 0]]), {"miou": (0.1, 0.9), "iou": [(0.5, 0.9), (math.nan, math.nan)]},
        worst=(block,),
    )  # fmt: skip
    record = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert record["miou"] == pytest.approx(0.4)
    assert record["miou_95"] == [0.1, 0.9]
    assert [c["iou_95"] for c in record["classes"]] == [[0.5, 0.9], None]
    assert record["classes"][1]["precision"] is None
    assert record["classes"][1]["known"] is False
    assert record["confusion"] == [[8, 0], [2, 0]]
    assert record["worst"] == [{"row": 0, "col": 256, "height": 10, "width": 20, "pixels": 200, "wrong": 7}]
