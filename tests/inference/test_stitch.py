"""Laws of stitching."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapgen.grid import Window
from mapgen.inference.decide import argmax, decide
from mapgen.inference.stitch import STITCH, blend, strips
from mapgen.plan import Step, plan_windows
from mapgen.raster.patch import Patch

grids = st.tuples(st.integers(1, 90), st.integers(1, 90))
lattices = st.tuples(st.integers(1, 3), st.integers(0, 3), st.sampled_from([1, 4, 8])).map(
    lambda t: ((t[0] + 2 * t[1]) * t[2], t[1] * t[2], t[2])
)


def patches_of(scores, plan, within=None, by="keep", empty=()):
    """Windows of an array (K, H, W) as an engine without any context would give them."""
    whole = Window(0, 0, *scores.shape[1:])
    for number, step in enumerate(plan.steps(within, by)):
        rows, cols = step.read.slices(whole)
        values = None if number in empty else scores[:, rows, cols].copy()
        yield Patch(step, values, np.full((step.read.height, step.read.width), number not in empty))


def assembled(patches, shape):
    out = np.full(shape, np.nan, np.float64)
    for patch in patches:
        rows, cols = patch.step.keep.slices(Window(0, 0, *shape[1:]))
        assert np.isnan(out[:, rows, cols]).all(), "a pixel was written twice"
        if patch.values is not None:
            out[:, rows, cols] = patch.values
    return out


@pytest.mark.parametrize("name", STITCH)
@settings(max_examples=60, deadline=None)
@given(grids, lattices, st.integers(0, 2**32 - 1))
def test_windows_that_agree_give_back_the_whole(name, shape, lattice, seed):
    scores = np.random.default_rng(seed).random((3, *shape), np.float32)
    plan = plan_windows(*shape, *lattice)
    result = assembled(STITCH[name](patches_of(scores, plan), plan), scores.shape)
    np.testing.assert_allclose(result, scores, atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(grids, lattices, st.integers(0, 2**32 - 1))
def test_blend_is_the_weighted_mean_of_all_windows_that_see_a_pixel(shape, lattice, seed):
    rng = np.random.default_rng(seed)
    plan = plan_windows(*shape, *lattice)
    steps = list(plan.steps())
    values = [rng.random((2, s.read.height, s.read.width), np.float32) for s in steps]
    patches = (Patch(s, v.copy(), np.ones(v.shape[1:], bool)) for s, v in zip(steps, values, strict=True))
    got = assembled(blend(patches, plan), (2, *shape))
    total, weights = np.zeros((2, *shape)), np.zeros(shape)
    for step, value in zip(steps, values, strict=True):
        weight = np.outer(ramp(plan.rows, step.row), ramp(plan.cols, step.col))
        rows, cols = step.read.slices(Window(0, 0, *shape))
        total[:, rows, cols] += value * weight
        weights[rows, cols] += weight
    np.testing.assert_allclose(weights, 1, atol=1e-9)
    np.testing.assert_allclose(got, total, atol=1e-5)


def ramp(spans, at):
    """The weights of one span, by the distance of each pixel's centre from the borders of its keep."""
    span, weights = spans[at], []
    for pixel in range(span.start, span.end):
        weight = 1.0
        for border, side, other in ((span.first, 1, at - 1), (span.last, -1, at + 1)):
            if not 0 <= other < len(spans):
                continue
            margin = span.first - span.start if side == 1 else span.end - span.last
            reach = min(margin, (span.last - span.first) // 2, (spans[other].last - spans[other].first) // 2)
            inside = side * (pixel + 0.5 - border)
            weight *= np.clip(0.5 + inside / (2 * reach), 0, 1) if reach else float(inside > 0)
        weights.append(weight)
    return np.array(weights)


@settings(max_examples=60, deadline=None)
@given(grids, lattices, st.data())
def test_blending_a_part_equals_that_part_of_the_whole(shape, lattice, data):
    plan = plan_windows(*shape, *lattice)
    rng = np.random.default_rng(1)
    values = {(s.row, s.col): rng.random((2, s.read.height, s.read.width), np.float32) for s in plan.steps()}

    def run(within=None):
        steps = plan.steps(within, "read")
        parts = ((s, values[s.row, s.col].copy()) for s in steps)
        return blend((Patch(s, v, np.ones(v.shape[1:], bool)) for s, v in parts), plan)

    row, col = data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))
    within = Window(row, col, data.draw(st.integers(1, shape[0] - row)), data.draw(st.integers(1, shape[1] - col)))
    place = (slice(None), *within.slices(Window(0, 0, *shape)))
    np.testing.assert_array_equal(assembled(run(within), (2, *shape))[place], assembled(run(), (2, *shape))[place])


@pytest.mark.parametrize("name", STITCH)
def test_empty_windows_leave_their_neighbours_alone(name):
    scores = np.random.default_rng(5).random((2, 40, 40), np.float32)
    plan = plan_windows(40, 40, 16, 4, 4)
    result = assembled(STITCH[name](patches_of(scores, plan, empty={0, 6, 7}), plan), scores.shape)
    # The pixels that only full windows see are untouched by the missing ones.
    seen = np.ones((40, 40), bool)
    for number, step in enumerate(plan.steps()):
        if number in {0, 6, 7}:
            seen[step.read.slices(Window(0, 0, 40, 40))] = False
    np.testing.assert_allclose(result[:, seen], scores[:, seen], atol=1e-6)


@settings(max_examples=80, deadline=None)
@given(grids, lattices, st.sampled_from([1, 7, 16]), st.integers(0, 2**32 - 1))
def test_strips_put_every_pixel_in_its_place(shape, lattice, block, seed):
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 5, shape, np.uint8)
    plan = plan_windows(*shape, *lattice)
    kept = []
    for step in plan.steps():
        if rng.random() < 0.2:
            mask[step.keep.slices(Window(0, 0, *shape))] = 255
            kept.append(Patch(Step(step.keep, step.keep), None, np.zeros((step.keep.height, step.keep.width), bool)))
        else:
            values = mask[step.keep.slices(Window(0, 0, *shape))]
            kept.append(Patch(Step(step.keep, step.keep), values, np.ones(values.shape, bool)))
    row = 0
    for top, strip in strips(kept, *shape, block, 255):
        assert top == row
        assert top % block == 0
        assert strip.shape[0] == min(block, shape[0] - top)
        np.testing.assert_array_equal(strip, mask[top : top + len(strip)])
        row += len(strip)
    assert row == shape[0]


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_argmax_is_numpys(channels, seed):
    scores = np.random.default_rng(seed).integers(0, 4, (channels, 5, 7)).astype(np.float32)  # with many ties
    np.testing.assert_array_equal(argmax(scores), scores.argmax(axis=0))


def test_invalid_pixels_and_scores_that_are_not_numbers_become_nodata():
    step = Step(Window(0, 0, 1, 4), Window(0, 0, 1, 4))
    scores = np.array([[[0.9, 0.1, np.nan, 0.9]], [[0.1, 0.9, 0.5, 0.1]]], np.float32)
    valid = np.array([[True, True, True, False]])
    (patch,) = decide([Patch(step, scores, valid)], (3, 7))
    assert patch.values.tolist() == [[3, 7, 255, 255]]
