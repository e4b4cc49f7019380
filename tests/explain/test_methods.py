"""Methods of explanation: laws that they keep on networks that can be seen through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch

from mapgen.arrays import Array, Floats
from mapgen.errors import UsageError
from mapgen.explain.faithful import CELL, cells_of, chance, faithfulness
from mapgen.explain.gradients import Differentiable, cam, gradient, integrated
from mapgen.explain.probe import Probe, Question
from mapgen.explain.segments import kernel_shap, lime, slic
from mapgen.explain.trying import bands, occlusion, shapley

SIDE = 8


class Small(torch.nn.Module):
    """A network of layers that takes raw pixels, as `Raw` does; its encoder gives the picture and its features."""

    deepest = -1

    def __init__(self, *layers: torch.nn.Module) -> None:
        super().__init__()
        self.net = torch.nn.Module()
        self.net.encoder = Encoder(layers[:-1])
        self.last = layers[-1]

    def scores(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.last(self.net.encoder(pixels)[self.deepest])


class Encoder(torch.nn.Module):
    def __init__(self, layers: tuple[torch.nn.Module, ...]) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        return [pixels, self.layers(pixels)]


class ByNetwork:
    """The network as an engine that gives probabilities."""

    def __init__(self, net: Small) -> None:
        self.net = net

    def stream(self, batches: Iterable[tuple[Any, Array | None]]) -> Iterable[tuple[Any, Array | None]]:
        for tag, pixels in batches:
            assert pixels is not None
            with torch.no_grad():
                yield tag, self.net.scores(torch.from_numpy(pixels)).softmax(1).numpy()


def linear() -> Small:
    torch.manual_seed(1)
    return Small(torch.nn.Identity(), torch.nn.Conv2d(3, 4, 1))


def curved() -> Small:
    torch.manual_seed(2)
    return Small(torch.nn.Conv2d(3, 6, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(6, 4, 3, padding=1))


def asked(side: int = SIDE, lattice: int = 4) -> Question:
    region = np.zeros((side, side), bool)
    region[2:5, 1:6] = True
    return Question(region, 2, lattice)


def pictures(side: int = SIDE, seed: int = 1) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, side, side)).astype(np.float32), np.full((3, side, side), 0.25, np.float32)


def test_all_methods_agree_where_the_network_is_linear() -> None:
    net, (picture, base) = linear(), pictures()
    smooth, probe = Differentiable(net, asked()), Probe(ByNetwork(net), asked(), 3)
    found = gradient(smooth, picture, base)
    assert np.allclose(integrated(smooth, picture, base, 3)[0], found, atol=1e-5)
    assert np.allclose(occlusion(probe, picture, base, 1, 1), found.sum(0), atol=1e-5)
    assert np.allclose(bands(probe, picture, base), found.sum((1, 2)), atol=1e-5)


def test_only_what_is_asked_about_has_a_part_where_pixels_do_not_see_each_other() -> None:
    net, (picture, base) = linear(), pictures()
    found = gradient(Differentiable(net, asked()), picture, base).sum(0)
    assert not found[~asked().region].any()
    assert found[asked().region].all()


@pytest.mark.parametrize("net", [linear(), curved()])
def test_engines_and_torch_ask_for_the_same_score(net: Small) -> None:
    picture, base = pictures(7)
    question = asked(7, lattice=4)
    both = np.stack([picture, base])
    smooth = Differentiable(net, question)
    assert np.allclose(smooth(smooth.tensor(both)).numpy(), Probe(ByNetwork(net), question)(both), atol=1e-5)


def test_integrated_gradients_add_up_to_the_whole() -> None:
    net, (picture, base) = curved(), pictures()
    smooth = Differentiable(net, asked())
    parts, missed = integrated(smooth, picture, base)
    ends = smooth(smooth.tensor(np.stack([picture, base]))).numpy()
    assert missed <= 0.01
    assert parts.sum() == pytest.approx(ends[0] - ends[1], rel=0.01)


def test_shapley_values_of_bands_add_up_and_a_band_without_effect_has_none() -> None:
    picture, base = pictures()

    def score(some: Iterable[Array]) -> Floats:
        return np.array([np.tanh(p[0].sum(dtype=float)) * p[1].mean(dtype=float) for p in some])

    found = bands(score, picture, base)
    whole = score([picture, base])
    assert found.sum() == pytest.approx(whole[0] - whole[1], abs=1e-6)
    assert found[2] == 0


def test_bands_that_mean_the_same_have_the_same_part() -> None:
    picture, base = pictures()
    picture[1] = picture[0]
    found = bands(lambda some: np.array([float(np.prod(p.mean((1, 2)) + 2)) for p in some]), picture, base)
    assert found[0] == pytest.approx(found[1])


def test_shapley_values_are_those_of_the_glove_game() -> None:
    """One left glove, two right ones; a pair is worth 1 (Shapley 1953 gives 2/3 and 1/6 each)."""
    values = np.array([float(n & 1 and bool(n & 6)) for n in range(8)])
    assert shapley(values, 3) == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_occlusion_moves_with_what_it_looks_at() -> None:
    picture, base = np.zeros((1, 64, 64), np.float32), np.zeros((1, 64, 64), np.float32)
    picture[0, 16:24, 16:24] = 1

    def found(shift: int) -> Floats:
        moved = np.roll(picture, (shift, shift), (1, 2))
        return occlusion(lambda some: np.array([float(p.sum()) for p in some]), moved, base, 16, 8)

    assert np.allclose(np.roll(found(0), (16, 16), (0, 1)), found(16))
    assert found(0)[16:24, 16:24].min() > 0
    assert not found(0)[40:].any()


def test_grad_cam_shows_where_the_features_are_that_speak_for_the_class() -> None:
    net = Small(torch.nn.AvgPool2d(2), torch.nn.Upsample(scale_factor=2))
    net.net.encoder.layers = torch.nn.Sequential(torch.nn.AvgPool2d(2))
    picture = np.zeros((3, SIDE, SIDE), np.float32)
    picture[0, :4, :4] = 1
    picture[1, 4:, 4:] = 1
    question = Question(np.ones((SIDE, SIDE), bool), 0, 4)
    found = cam(Differentiable(net, question), picture)
    assert found[:3, :3].min() > 0
    assert not found[5:, 5:].any()
    assert found.min() == 0


def test_grad_cam_looks_at_the_stage_that_is_named() -> None:
    class Two(Encoder):
        def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
            half = torch.nn.functional.avg_pool2d(pixels, 2)
            return [pixels, half, torch.nn.functional.avg_pool2d(half, 2), half * 2]

    net, (picture, _) = Small(torch.nn.Identity(), torch.nn.Upsample(scale_factor=4)), pictures()
    net.net.encoder, net.deepest = Two(()), 2
    smooth = Differentiable(net, Question(np.ones((SIDE, SIDE), bool), 0, 4))
    assert not np.allclose(cam(smooth, picture, 1), cam(smooth, picture, 2))
    with pytest.raises(UsageError, match="no use of stage 3"):
        cam(smooth, picture, 3)
    with pytest.raises(UsageError, match="no stage 4"):
        cam(smooth, picture, 4)


def test_what_matters_beats_chance_and_its_opposite_never_does() -> None:
    side = 4 * CELL
    picture, base = np.ones((1, side, side), np.float32), np.zeros((1, side, side), np.float32)
    weight = np.arange(16.0)[cells_of(side, side)] ** 2

    def score(some: Iterable[Array]) -> Floats:
        return np.array([float((p[0] * weight).sum()) for p in some])

    random = chance(score, picture, base, 0)
    good = faithfulness(score, picture, base, weight, random)
    bad = faithfulness(score, picture, base, -weight, random)
    assert (good.deletion_beats, good.insertion_beats) == (1, 1)
    assert (bad.deletion_beats, bad.insertion_beats) == (0, 0)


def quarters() -> tuple[Array, Array, Array]:
    """A picture of four squares of different colours, a black base, and the square of each pixel."""
    labels = np.kron([[0, 1], [2, 3]], np.ones((8, 8), int))
    picture = np.stack([labels + 1.0, 5.0 - labels]).astype(np.float32)
    return picture, np.zeros_like(picture), labels


def test_segments_are_numbered_from_0_and_follow_colours() -> None:
    picture, _, labels = quarters()
    found = slic(picture, 4)
    assert sorted(np.unique(found)) == [0, 1, 2, 3]
    assert np.array_equal(found, labels)
    assert len(np.unique(slic(pictures(40)[0], 16))) <= 16


def test_segments_of_the_smallest_pictures() -> None:
    assert slic(np.ones((3, 1, 1), np.float32), 16).tolist() == [[0]]
    assert slic(np.ones((3, 1, 5), np.float32), 64).shape == (1, 5)


def test_lime_and_shap_find_the_parts_of_a_linear_score() -> None:
    picture, base, labels = quarters()
    weight = np.array([1.0, -2.0, 0.0, 4.0])[labels]

    def score(some: Iterable[Array]) -> Floats:
        return np.array([float((p[0] * weight).sum()) for p in some])

    parts = np.bincount(labels.ravel(), (picture[0] * weight).ravel())
    values, agree = kernel_shap(score, picture, base, labels, 0, 128)
    assert np.allclose(values, parts, atol=1e-3 * np.abs(parts).max())
    assert agree > 0.999
    slopes, fit = lime(score, picture, base, labels, 0)
    assert np.allclose(slopes, parts, atol=0.05 * np.abs(parts).max())
    assert fit > 0.99


def test_shap_sums_to_the_whole_and_says_where_it_is_chance() -> None:
    rng = np.random.default_rng(3)
    picture, base = np.ones((1, 32, 32), np.float32), np.zeros((1, 32, 32), np.float32)
    labels = cells_of(32, 32, 8)

    def curved_score(some: Iterable[Array]) -> Floats:
        return np.array([float(np.tanh(p[:, :16].mean() * 3) + p[:, :, :8].mean() ** 2) for p in some])

    values, agree = kernel_shap(curved_score, picture, base, labels, 0)
    whole = curved_score([picture, base])
    assert values.sum() == pytest.approx(whole[0] - whole[1], abs=1e-6)
    assert agree > 0.9
    noise, doubtful = kernel_shap(lambda some: np.array([rng.normal() for _ in some]), picture, base, labels, 0)
    assert np.isfinite(noise).all()
    assert doubtful < 0.9
