"""Geometry moves image and label together; light moves no pixel."""

import numpy as np
import pytest

from mapgen.dataset.dataset import IGNORE
from mapgen.training.augment import Geometry, Light, _coarser, _soften, draw_matrix, reach, relight, warp

ALL = Geometry(flips=True, angle_deg=20, zoom=(0.6, 1.6), zoom_spread=0.3)


def coordinates(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """An image whose bands are its pixels' rows and columns, and a label of 8-pixel cells of classes 0…4."""
    rows, cols = np.mgrid[0:height, 0:width]
    return np.stack([rows, cols]).astype(np.uint16), cell(rows, cols)


def cell(rows, cols):
    return ((rows // 8 + 2 * (cols // 8)) % 5).astype(np.uint8)


def test_without_changes_a_crop_is_a_plain_cut():
    image, label = coordinates(40, 50)
    crop, target = warp(image, label, (20.0, 30.0), np.eye(2), 16)
    np.testing.assert_allclose(crop, image[:, 12:28, 22:38], atol=1e-3)
    np.testing.assert_array_equal(target, label[12:28, 22:38])


def test_image_and_label_stay_aligned():
    image, label = coordinates(120, 160)
    rng = np.random.default_rng(5)
    compared = 0
    for _ in range(40):
        matrix = draw_matrix(rng, ALL)
        low = reach(matrix, 32) + 1  # bilinear weights mirror within half a pixel of the edge
        centre = rng.uniform(low, np.array(label.shape) - low)
        crop, target = warp(image, label, tuple(centre), matrix, 32)
        rows, cols = crop
        sure = (np.abs((rows + 0.5) % 8 - 4) < 3.9) & (np.abs((cols + 0.5) % 8 - 4) < 3.9)  # off the cells' borders
        np.testing.assert_array_equal(target[sure], cell(np.round(rows), np.round(cols))[sure])
        compared += sure.sum()
    assert compared > 30_000


def test_a_crop_lies_where_its_matrix_says():
    image, label = coordinates(200, 200)
    rng = np.random.default_rng(6)
    for _ in range(10):
        matrix = draw_matrix(rng, ALL)
        crop, _ = warp(image, label, (90.0, 110.0), matrix, 20)
        offset = np.array([3 + 0.5 - 10, 14 + 0.5 - 10])
        np.testing.assert_allclose(crop[:, 3, 14], np.array([90, 110]) + matrix @ offset - 0.5, atol=2e-3)


def test_beyond_the_edges_nothing_is_labelled():
    image, label = coordinates(20, 20)
    crop, target = warp(image, label, (10.0, 10.0), np.eye(2), 40)
    outside = np.ones((40, 40), bool)
    outside[10:30, 10:30] = False
    assert (target[outside] == IGNORE).all()
    assert (target[~outside] != IGNORE).all()
    assert crop.min() >= 0
    assert crop.max() <= 19


def test_matrices_keep_to_their_limits():
    rng = np.random.default_rng(7)
    zooms, turned, mirrored = [], 0, 0
    for _ in range(300):
        matrix = draw_matrix(rng, ALL)
        determinant = np.linalg.det(matrix)
        zooms.append(np.sqrt(abs(determinant)))
        mirrored += determinant < 0
        turned += abs(matrix[0, 0]) < abs(matrix[0, 1])
        np.testing.assert_allclose(matrix @ matrix.T, abs(determinant) * np.eye(2), atol=1e-9)
    assert min(zooms) > 0.6 - 1e-9
    assert max(zooms) < 1.6 + 1e-9
    assert 100 < mirrored < 200
    assert 100 < turned < 200


def test_no_geometry_is_the_identity():
    np.testing.assert_allclose(draw_matrix(np.random.default_rng(0), Geometry(zoom_spread=0)), np.eye(2))


def numbers(*shape, full=255.0, seed=0):
    return (np.random.default_rng(seed).random(shape) * full).astype(np.float32)


def test_no_light_leaves_the_image_alone():
    image = numbers(5, 8, 9)
    np.testing.assert_allclose(relight(image.copy(), np.random.default_rng(0), Light()), image, rtol=1e-5)


@pytest.mark.parametrize(("bands", "full"), [(1, 255.0), (3, 255.0), (4, 65535.0)])
def test_light_keeps_range_and_shape_and_changes_values(bands, full):
    strong = Light(0.3, 0.5, 0.5, 0.2, 0.9, 0.5, 0.1, 1.0)
    image = numbers(bands, 12, 10, full=full)
    lit = relight(image.copy(), np.random.default_rng(1), strong, full)
    assert lit.shape == image.shape
    assert lit.dtype == np.float32
    assert lit.min() >= 0
    assert lit.max() <= full
    assert np.abs(lit - image).mean() > 0.01 * full


def test_light_moves_no_pixel():
    image = np.full((3, 21, 21), 100.0, np.float32)
    image[:, 10, 10] = 200.0
    for seed in range(20):
        lit = relight(image.copy(), np.random.default_rng(seed), Light(0.1, 0.2, 0.2, 0.05, 0.3, 0.2, 0.0, 1.0))
        peak = divmod(int(lit.mean(0).argmax()), 21)
        assert max(abs(peak[0] - 10), abs(peak[1] - 10)) <= 1  # softening may spread it over its neighbours


class Drawn:
    """A generator whose uniform numbers are the highest of their range, and whose chances come true, or as given."""

    def __init__(self, *chances):
        self.chances = list(chances)

    def uniform(self, low, high, size=None):
        return high if size is None else np.full(size, high)

    def random(self):
        return self.chances.pop(0) if self.chances else 0.0

    def integers(self, high):
        return 7


@pytest.mark.parametrize(
    ("light", "expected"),
    [
        (Light(brightness=0.1), lambda x: x + 0.1),
        (Light(contrast=0.2), lambda x: (x - x.mean()) * np.exp(0.2) + x.mean()),
        (Light(gamma=0.3), lambda x: x ** np.exp(0.3)),
        (Light(balance=0.1), lambda x: x * 1.1),
        (Light(saturation=0.4), lambda x: x.mean(0) + (x - x.mean(0)) * 1.4),
        (Light(haze=0.25), lambda x: x * 0.75 + 0.25),
        (Light(0.1, 0.2, 0.3, 0.1, 0.0, 0.2), lambda x: _all(x ** np.exp(0.3))),
    ],
)
def test_each_change_of_light_is_its_formula(light, expected):
    image = numbers(3, 40, 30)
    lit = relight(image.copy(), Drawn(), light)
    np.testing.assert_allclose(lit / 255, expected(image / 255.0).clip(0, 1), atol=1e-3)


def _all(x):
    x = ((x - x.mean()) * np.exp(0.2) + x.mean()) * 1.1 + 0.1
    return x * 0.8 + 0.2


def test_blur_spreads_a_pixel_binomially_and_loses_nothing_of_it():
    image = np.zeros((1, 9, 9), np.float32)
    image[0, 4, 4] = 255
    lit = relight(image, Drawn(0.0, 1.0), Light(softness=0.5))
    np.testing.assert_allclose(lit[0, 3:6, 3:6] / 255, np.outer([1, 2, 1], [1, 2, 1]) / 16, atol=1e-6)
    assert lit.sum() == pytest.approx(255, rel=1e-4)


def test_grain_is_nearly_normal_and_has_no_pattern():
    image = np.full((2, 200, 200), 127.5, np.float32)
    grain = relight(image, Drawn(), Light(noise=0.05)) / 255 - 0.5
    assert abs(grain.mean()) < 1e-3
    assert grain.std() == pytest.approx(0.05, rel=0.02)
    assert np.mean(np.abs(grain) < 0.05) == pytest.approx(0.68, abs=0.02)
    one, other = grain
    for a, b in ((one, other), (one[:, 1:], one[:, :-1]), (one[1:], one[:-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_a_coarser_grid_and_back_keeps_a_plane():
    rows, cols = np.mgrid[0:40, 0:60]
    image = (rows + 2.0 * cols)[None].astype(np.float32)
    coarse = _coarser(image, 40, 60)
    np.testing.assert_array_equal(coarse, image)
    np.testing.assert_allclose(_coarser(image, 20, 30), image.reshape(1, 20, 2, 30, 2).mean((2, 4)))
    soft = image.copy()
    _soften(soft, np.random.default_rng(3), 2.0)
    np.testing.assert_allclose(soft[:, 4:-4, 4:-4], image[:, 4:-4, 4:-4], atol=1.5)
