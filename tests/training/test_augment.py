"""Geometry moves image and label together; light moves no pixel."""

import numpy as np
import pytest
import torch

from mapgen.dataset.dataset import IGNORE
from mapgen.training.augment import Geometry, Light, draw_matrix, reach, relight, warp

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
    np.testing.assert_allclose(crop.numpy(), image[:, 12:28, 22:38], atol=1e-3)
    np.testing.assert_array_equal(target.numpy(), label[12:28, 22:38])


def test_image_and_label_stay_aligned():
    image, label = coordinates(120, 160)
    rng = np.random.default_rng(5)
    compared = 0
    for _ in range(40):
        matrix = draw_matrix(rng, ALL)
        low = reach(matrix, 32) + 1  # bilinear weights mirror within half a pixel of the edge
        centre = rng.uniform(low, np.array(label.shape) - low)
        crop, target = warp(image, label, tuple(centre), matrix, 32)
        rows, cols = crop.numpy()
        sure = (np.abs((rows + 0.5) % 8 - 4) < 3.9) & (np.abs((cols + 0.5) % 8 - 4) < 3.9)  # off the cells' borders
        np.testing.assert_array_equal(target.numpy()[sure], cell(np.round(rows), np.round(cols))[sure])
        compared += sure.sum()
    assert compared > 30_000


def test_a_crop_lies_where_its_matrix_says():
    image, label = coordinates(200, 200)
    rng = np.random.default_rng(6)
    for _ in range(10):
        matrix = draw_matrix(rng, ALL)
        crop, _ = warp(image, label, (90.0, 110.0), matrix, 20)
        offset = np.array([3 + 0.5 - 10, 14 + 0.5 - 10])
        np.testing.assert_allclose(crop[:, 3, 14].numpy(), np.array([90, 110]) + matrix @ offset - 0.5, atol=2e-3)


def test_beyond_the_edges_nothing_is_labelled():
    image, label = coordinates(20, 20)
    crop, target = warp(image, label, (10.0, 10.0), np.eye(2), 40)
    outside = np.ones((40, 40), bool)
    outside[10:30, 10:30] = False
    assert (target.numpy()[outside] == IGNORE).all()
    assert (target.numpy()[~outside] != IGNORE).all()
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


def test_no_light_leaves_the_image_alone():
    image = torch.rand(5, 8, 9) * 255
    torch.testing.assert_close(relight(image, np.random.default_rng(0), Light()), image)


@pytest.mark.parametrize(("bands", "full"), [(1, 255.0), (3, 255.0), (4, 65535.0)])
def test_light_keeps_range_and_shape_and_changes_values(bands, full):
    strong = Light(0.3, 0.5, 0.5, 0.2, 0.9, 0.5, 0.1, 1.0)
    image = torch.rand(bands, 12, 10) * full
    lit = relight(image, np.random.default_rng(1), strong, full)
    assert lit.shape == image.shape
    assert lit.dtype == torch.float32
    assert lit.min() >= 0
    assert lit.max() <= full
    assert (lit - image).abs().mean() > 0.01 * full


def test_light_moves_no_pixel():
    image = torch.full((3, 21, 21), 100.0)
    image[:, 10, 10] = 200.0
    for seed in range(20):
        lit = relight(image, np.random.default_rng(seed), Light(0.1, 0.2, 0.2, 0.05, 0.3, 0.2, 0.0, 1.0))
        peak = divmod(int(lit.mean(0).argmax()), 21)
        assert max(abs(peak[0] - 10), abs(peak[1] - 10)) <= 1  # softening may spread it over its neighbours
