"""Laws of resampling, on its own and as the way back to the scene's grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mapgen.grid import Window
from mapgen.inference.rescale import rescale
from mapgen.inference.stitch import STITCH
from mapgen.plan import plan_windows
from mapgen.raster.patch import Patch
from mapgen.raster.resample import apply_cols, apply_rows, taps

sizes = st.integers(1, 120)


@given(sizes, sizes)
def test_weights_of_every_pixel_sum_to_one(old, new):
    t = taps(0, new, old, new)
    np.testing.assert_allclose(t.weight.sum(axis=1), 1, rtol=1e-6)
    assert (t.weight >= 0).all()


@given(sizes, sizes)
def test_a_constant_stays_constant(old, new):
    values = np.full((1, old, 3), 7, np.float32)
    t = taps(0, new, old, new)
    np.testing.assert_allclose(apply_rows(values[:, t.first : t.first + t.length], t), 7, rtol=1e-6)


@given(sizes, st.integers(1, 6))
def test_coarsening_by_a_whole_factor_is_the_mean_of_the_blocks(new, factor):
    values = np.random.default_rng(new).random((1, 2, new * factor), np.float32)
    t = taps(0, new, new * factor, new)
    np.testing.assert_allclose(apply_cols(values, t), values.reshape(1, 2, new, factor).mean(axis=3), rtol=1e-5)


@given(sizes, sizes)
def test_coarsening_keeps_the_total_light(old, new):
    old, new = max(old, new), min(old, new)
    values = np.random.default_rng(old).random((1, old, 1))
    t = taps(0, new, old, new)
    assert apply_rows(values, t).mean() == pytest.approx(values.mean(), rel=1e-4)


@given(st.integers(2, 120), st.integers(1, 5))
def test_refining_a_ramp_gives_the_ramp(old, factor):
    values = np.arange(old, dtype=np.float32)[None, :, None]
    t = taps(0, old * factor, old, old * factor)
    wanted = np.clip((np.arange(old * factor) + 0.5) / factor - 0.5, 0, old - 1)
    np.testing.assert_allclose(apply_rows(values, t)[0, :, 0], wanted, atol=1e-4)


@given(sizes, sizes, st.data())
def test_a_part_is_resampled_as_in_the_whole(old, new, data):
    start = data.draw(st.integers(0, new - 1))
    stop = data.draw(st.integers(start + 1, new))
    values = np.random.default_rng(old).random((1, old, 2), np.float32)
    whole, part = taps(0, new, old, new), taps(start, stop, old, new)
    wanted = apply_rows(values[:, whole.first : whole.first + whole.length], whole)[:, start:stop]
    np.testing.assert_array_equal(apply_rows(values[:, part.first : part.first + part.length], part), wanted)


@pytest.mark.parametrize("name", STITCH)
@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.floats(0.3, 4), st.sampled_from([5, 16, 64]), st.data())
def test_windows_brought_back_equal_the_whole_array_brought_back(name, height, width, factor, block, data):
    new = (max(1, round(height * factor)), max(1, round(width * factor * 0.9)))
    row, col = data.draw(st.integers(0, new[0] - 1)), data.draw(st.integers(0, new[1] - 1))
    within = Window(row, col, data.draw(st.integers(1, new[0] - row)), data.draw(st.integers(1, new[1] - col)))
    scores = np.random.default_rng(height * 61 + width).random((2, height, width), np.float32)
    plan = plan_windows(height, width, 24, 4, 4)
    whole = Window(0, 0, height, width)
    patches = (
        Patch(s, scores[(slice(None), *s.read.slices(whole))].copy(), np.ones((s.read.height, s.read.width), bool))
        for s in plan.steps()
    )
    out = np.full((2, *new), np.nan)
    for patch in rescale(
        STITCH[name](patches, plan), (height, width), new, within, lambda w: np.ones((w.height, w.width), bool), block
    ):
        assert patch.values is not None
        place = (slice(None), *patch.step.keep.slices(Window(0, 0, *new)))
        assert np.isnan(out[place]).all()
        out[place] = patch.values
    down, across = taps(0, new[0], height, new[0]), taps(0, new[1], width, new[1])
    part = scores[:, down.first : down.first + down.length, across.first : across.first + across.length]
    wanted = apply_rows(apply_cols(part, across), down)
    place = (slice(None), *within.slices(Window(0, 0, *new)))
    np.testing.assert_allclose(out[place], wanted[place], atol=1e-5)
    assert np.isnan(out).sum() == 2 * (new[0] * new[1] - within.area)
