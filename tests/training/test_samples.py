"""Samples: repeatable, balanced, never outside what was drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mapgen.dataset.dataset import EMPTY, IGNORE
from mapgen.errors import InputError
from mapgen.training.augment import Geometry, Light
from mapgen.training.samples import Piece, Places, Sampler, Sampling, statistics

PLAIN = Sampling(balance=1.0)
STRONG = Sampling(0.5, Geometry(True, 20, (0.6, 1.6)), Light(0.1, 0.3, 0.3, 0.1, 0.5, 0.3, 0.03, 0.3))


def piece(name="a", size=(96, 128), classes=3, seed=0, weight=1.0) -> Piece:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, (size[0] // 16, size[1] // 16)).repeat(16, 0).repeat(16, 1).astype(np.uint8)
    image = (label[None] * 60 + rng.integers(0, 30, (3, *size))).astype(np.uint8)
    return Piece(name, image, label, weight)


def test_a_batch_is_a_function_of_seed_and_step():
    one, two = (Sampler([piece()], 3, STRONG, seed=4) for _ in range(2))
    one.batch(0, 3, 32)  # what was drawn before has no say
    for a, b in zip(one.batch(7, 3, 32), two.batch(7, 3, 32), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.batch(7, 3, 32)[0], one.batch(8, 3, 32)[0])
    assert not torch.equal(one.batch(7, 3, 32)[0], Sampler([piece()], 3, STRONG, seed=5).batch(7, 3, 32)[0])


def test_batches_have_their_shapes_and_types():
    images, targets = Sampler([piece()], 3, STRONG).batch(0, 5, 48)
    assert images.shape == (5, 3, 48, 48)
    assert images.dtype == torch.float32
    assert targets.shape == (5, 48, 48)
    assert targets.dtype == torch.int64


def test_rare_classes_are_drawn_as_often_as_common_ones():
    label = np.zeros((160, 160), np.uint8)
    label[:16, :16] = 1
    places = Places([Piece("a", np.zeros((1, 160, 160), np.uint8), label)], range(3))
    rng = np.random.default_rng(0)
    picked = [label[places.draw(rng, 1.0)[1:]] for _ in range(400)]
    assert 150 < sum(picked) < 250
    picked = [label[places.draw(rng, 0.0)[1:]] for _ in range(400)]
    assert sum(picked) < 20


def test_pieces_are_drawn_by_weight():
    places = Places([piece("a", weight=3.0), piece("b", weight=1.0), piece("c", weight=0.0)], range(3))
    rng = np.random.default_rng(0)
    counts = np.bincount([places.draw(rng, 0.5)[0] for _ in range(800)], minlength=3)
    assert 520 < counts[0] < 680
    assert counts[2] == 0


def test_crops_stay_inside_a_piece_that_is_large_enough():
    sampler = Sampler([piece()], 3, PLAIN)
    for step in range(10):
        assert (sampler.batch(step, 4, 64)[1] != IGNORE).all()


def test_a_piece_smaller_than_a_crop_is_seen_whole():
    small = piece(size=(32, 48))
    _, target = Sampler([small], 3, PLAIN).batch(0, 1, 64)
    assert (target != IGNORE).sum() == 32 * 48


def test_undrawn_pixels_stay_undrawn():
    p = piece()
    label = p.label.copy()
    label[:, 40:] = IGNORE
    marked = Piece("a", np.where(label == IGNORE, 255, 0)[None].astype(np.uint8), label)
    images, targets = Sampler([marked], 3, Sampling(geometry=Geometry(True, 20, (0.6, 1.6)))).batch(0, 8, 32)
    sure = (images[:, 0] == 0) | (images[:, 0] == 255)
    assert torch.equal((targets == IGNORE)[sure], (images[:, 0] == 255)[sure])


def test_ground_without_labels_is_refused():
    empty = Piece("a", np.zeros((3, 32, 32), np.uint8), np.full((32, 32), IGNORE, np.uint8))
    with pytest.raises(InputError, match="no pixel has a label"):
        Places([empty], range(3))
    with pytest.raises(InputError, match="no pixel has a label"):
        statistics([empty])


def test_statistics_are_those_of_the_drawn_pixels():
    a, b = piece("a", (304, 64)), piece("b", seed=1)
    b.label[:40] = IGNORE
    drawn = np.concatenate([p.image[:, p.label != IGNORE] for p in (a, b)], axis=1).astype(float)
    mean, std = statistics([a, b])
    np.testing.assert_allclose(mean, drawn.mean(1))
    np.testing.assert_allclose(std, drawn.std(1))


def unlabelled(size=(96, 96)) -> Piece:
    """Ground of values that the labelled pieces do not have, a corner of it without data."""
    label = np.full(size, IGNORE, np.uint8)
    label[:40, :40] = EMPTY
    return Piece("bare", np.full((3, *size), 250, np.uint8), label)


def test_unlabelled_ground_is_shown_as_often_as_asked_and_never_has_a_label():
    ground = piece()
    for share, count in ((0.25, 4), (0.5, 3), (0.7, 1)):
        sampler = Sampler([ground], 3, Sampling(unlabelled=share), 1, [unlabelled()])
        shown = []
        for step in range(40):
            images, targets = sampler.batch(step, count, 32)
            bare = images.amin((1, 2, 3)) >= 249
            assert (targets[bare] == IGNORE).all()
            assert all((t != IGNORE).any() for t in targets[~bare])
            shown.append(int(bare.sum()))
        assert sum(shown) == int(40 * count * share + 1e-9)
        assert max(shown) <= np.ceil(count * share)


def test_labels_that_unlabelled_ground_should_not_have_are_not_shown_either():
    wrong = unlabelled()
    wrong.label[50:, 50:] = 1
    sampler = Sampler([piece()], 3, Sampling(unlabelled=0.5), 1, [wrong])
    for step in range(10):
        images, targets = sampler.batch(step, 2, 32)
        assert (targets[images.amin((1, 2, 3)) >= 249] == IGNORE).all()


def test_crops_of_labelled_ground_are_those_of_a_run_without_unlabelled_ground():
    one = Sampler([piece()], 3, STRONG, 1)
    for other in (
        Sampler([piece()], 3, replace(STRONG, unlabelled=0.0), 1, [unlabelled()]),
        Sampler([piece()], 3, replace(STRONG, unlabelled=0.5), 1),
    ):
        assert all(torch.equal(a, b) for a, b in zip(one.batch(3, 4, 32), other.batch(3, 4, 32), strict=True))
