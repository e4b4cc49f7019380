"""Counts and scores against brute force; windows against the whole image."""

import numpy as np
import pytest
import torch
from torch import nn

from mapgen.dataset.dataset import IGNORE
from mapgen.training.measure import block_counts, confusion, intervals, measure, predict, scores
from mapgen.training.samples import Piece


def pair(seed=0, size=(30, 40), classes=4):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, size).astype(np.uint8)
    truth[rng.random(size) < 0.2] = IGNORE
    return truth, rng.integers(0, classes, size).astype(np.uint8)


def test_confusion_counts_drawn_pixels_one_by_one():
    truth, predicted = pair()
    expected = np.zeros((4, 4), int)
    for t, p in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
        if t != IGNORE:
            expected[t, p] += 1
    np.testing.assert_array_equal(confusion(truth, predicted, 4), expected)


def test_confusion_adds_up_over_blocks():
    truth, predicted = pair()
    blocks = [confusion(truth[r : r + 10], predicted[r : r + 10], 4) for r in (0, 10, 20)]
    np.testing.assert_array_equal(sum(blocks), confusion(truth, predicted, 4))


def test_scores_are_those_of_sets_of_pixels():
    truth, predicted = pair(classes=3)
    found = scores(confusion(truth, predicted, 4))
    drawn = truth != IGNORE
    for k in range(3):
        t, p = (truth == k) & drawn, (predicted == k) & drawn
        assert found["iou"][k] == pytest.approx((t & p).sum() / (t | p).sum())
        assert found["f1"][k] == pytest.approx(2 * (t & p).sum() / (t.sum() + p.sum()))
    assert np.isnan(found["iou"][3])
    assert found["miou"] == pytest.approx(np.mean(found["iou"][:3]))
    assert found["accuracy"] == pytest.approx((truth == predicted)[drawn].mean())


def test_blocks_cover_the_ground_once_and_skip_what_is_not_drawn():
    truth, predicted = pair()
    truth[:16, :16] = IGNORE
    blocks = block_counts(truth, predicted, 4, 16)
    assert blocks.shape == (2 * 3 - 1, 4, 4)
    np.testing.assert_array_equal(blocks.sum(0), confusion(truth, predicted, 4))
    assert block_counts(np.full((5, 5), IGNORE, np.uint8), np.zeros((5, 5), np.uint8), 4, 2).shape == (0, 4, 4)


def test_intervals_hold_the_score_and_vanish_where_blocks_are_alike():
    truth, predicted = pair(size=(64, 64))
    blocks = block_counts(truth, predicted, 4, 16)
    whole, found = scores(blocks.sum(0)), intervals(blocks, draws=200)
    assert found["miou"].shape == (2,)
    assert found["iou"].shape == (4, 2)
    assert found["miou"][0] < whole["miou"] < found["miou"][1]
    assert (found["iou"][:, 0] < np.array(whole["iou"])).all()
    alike = intervals(np.stack([blocks[0]] * 5), draws=20)
    np.testing.assert_allclose(alike["miou"], scores(blocks[0])["miou"])


def test_windows_agree_with_the_whole_image_when_the_halo_covers_what_a_pixel_sees():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1)).eval()
    image = np.random.default_rng(0).integers(0, 255, (3, 130, 75)).astype(np.uint8)
    mean, std = torch.tensor([100.0, 110, 120]), torch.tensor([50.0, 60, 70])
    cut = predict(network, image, mean, std, window=64, halo=16, stride=1)
    whole = predict(network, image, mean, std, window=1024, halo=0, stride=1)
    np.testing.assert_array_equal(cut, whole)


def test_pieces_are_measured_by_name():
    class Red(nn.Module):
        def __init__(self):
            super().__init__()
            self.anchor = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return torch.cat([-x[:, :1], x[:, :1]], dim=1) + self.anchor

    truth = np.array([[0, 1], [IGNORE, 1]], np.uint8)
    image = np.array([[[0, 200], [200, 0]]], np.uint8)
    counts = measure(Red(), [Piece("a", image, truth)], 2, torch.tensor([100.0]), torch.tensor([50.0]))
    np.testing.assert_array_equal(counts["a"], [[1, 0], [1, 1]])
