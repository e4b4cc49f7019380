"""Laws of filling and padding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mapgen.raster.patch import filled, padded

masks = hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 12)))


@given(masks)
def test_filling_takes_every_value_from_a_valid_pixel_and_leaves_those_alone(valid):
    if not valid.any():
        valid[0, 0] = True
    pixels = np.where(valid, np.arange(valid.size, dtype=np.float32).reshape(valid.shape), np.nan)[None]
    result = filled(pixels, valid)
    assert result.shape == pixels.shape
    assert np.isin(result, pixels[0][valid]).all()
    np.testing.assert_array_equal(result[0][valid], pixels[0][valid])


def test_filling_mirrors_at_the_border_of_the_valid_pixels():
    pixels = np.array([[[7, 1, 2, 3, 0, 0, 0, 0]]], np.uint8)
    valid = np.array([[False, True, True, True, False, False, False, False]])
    assert filled(pixels, valid).tolist() == [[[2, 1, 2, 3, 2, 1, 3, 3]]]


def test_rows_without_a_valid_pixel_mirror_the_rows_that_have_one():
    pixels = np.array([[[0], [1], [2], [0], [0]]], np.uint8)
    valid = np.array([[False], [True], [True], [False], [False]])
    assert filled(pixels, valid)[0, :, 0].tolist() == [2, 1, 2, 1, 2]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 16))
def test_padding_reflects_up_to_the_next_multiple_of_the_stride(height, width, stride):
    pixels = np.random.default_rng(height * 41 + width).integers(0, 255, (2, height, width), np.uint8)
    result = padded(pixels, stride)
    tall, wide = -(-height // stride) * stride, -(-width // stride) * stride
    assert result.shape == (2, tall, wide)
    mode = "reflect" if min(height, width) > 1 else "edge"
    if min(height, width) > 1 or (height, width) == (1, 1):
        np.testing.assert_array_equal(result, np.pad(pixels, ((0, 0), (0, tall - height), (0, wide - width)), mode))
