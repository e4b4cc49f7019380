"""Every loss against its formula written out pixel by pixel, and its gradient against differences."""

import math

import numpy as np
import pytest
import torch

from mapgen.dataset.dataset import IGNORE
from mapgen.training import config
from mapgen.training.losses import LOSSES, class_weights, combined, cross_entropy, dice


def case(seed: int = 0, classes: int = 4, ignored: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    scores = torch.tensor(rng.normal(size=(2, classes, 3, 5)) * 2, requires_grad=True)
    target = rng.integers(0, classes, (2, 3, 5))
    target[rng.random(target.shape) < ignored] = IGNORE
    return scores, torch.tensor(target)


def pixels(scores, target):
    """(probabilities, class) of each drawn pixel, as plain floats."""
    for n, i, j in np.ndindex(*target.shape):
        if target[n, i, j] != IGNORE:
            exps = [math.exp(v) for v in scores[n, :, i, j].tolist()]
            yield [e / sum(exps) for e in exps], int(target[n, i, j])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_cross_entropy_is_the_mean_over_drawn_pixels(smoothing):
    scores, target = case()
    values = []
    for p, k in pixels(scores, target):
        q = [smoothing / len(p) + (1 - smoothing) * (c == k) for c in range(len(p))]
        values.append(-sum(qc * math.log(pc) for qc, pc in zip(q, p, strict=True)))
    assert cross_entropy(scores, target, smoothing).item() == pytest.approx(sum(values) / len(values), rel=1e-12)


def test_weighted_cross_entropy_divides_by_the_weights_of_the_pixels():
    scores, target = case()
    weight = [0.5, 1.0, 2.0, 7.0]
    total = sum(-weight[k] * math.log(p[k]) for p, k in pixels(scores, target))
    share = sum(weight[k] for _, k in pixels(scores, target))
    got = cross_entropy(scores, target, weight=torch.tensor(weight, dtype=torch.float64))
    assert got.item() == pytest.approx(total / share, rel=1e-12)


def test_dice_is_the_mean_over_the_classes_that_are_drawn():
    scores, target = case(seed=3)
    target[target == 2] = IGNORE
    drawn = list(pixels(scores, target))
    coefficients = []
    for c in sorted({k for _, k in drawn}):
        both = sum(p[c] for p, k in drawn if k == c)
        total = sum(p[c] for p, _ in drawn) + sum(k == c for _, k in drawn)
        coefficients.append((2 * both + 1) / (total + 1))
    assert len(coefficients) == 3
    assert dice(scores, target).item() == pytest.approx(1 - sum(coefficients) / 3, rel=1e-12)


def test_combined_adds_shares():
    scores, target = case()
    loss = combined({"cross_entropy": 0.25, "dice": 2.0}, smoothing=0.1)
    expected = 0.25 * cross_entropy(scores, target, 0.1) + 2 * dice(scores, target)
    assert loss(scores, target).item() == pytest.approx(expected.item())


def test_combined_passes_class_weights_on():
    scores, target = case()
    weight = torch.tensor([0.5, 1.0, 2.0, 7.0], dtype=torch.float64)
    expected = cross_entropy(scores, target, 0.2, weight) + 0.5 * dice(scores, target)
    assert combined({"cross_entropy": 1.0, "dice": 0.5}, 0.2, weight)(scores, target).item() == expected.item()
    assert expected.item() != combined({"cross_entropy": 1.0, "dice": 0.5}, 0.2)(scores, target).item()


def test_a_configuration_may_name_every_loss_and_no_other():
    assert set(config.LOSSES) == set(LOSSES)


def test_class_weights_are_the_inverse_of_the_logarithm_of_the_share():
    weights = class_weights([900, 90, 10, 0])
    for weight, share in zip(weights, (0.9, 0.09, 0.01, 0.0), strict=True):
        assert weight == pytest.approx(math.log(1.02 + 1.0) / math.log(1.02 + share))
    assert sorted(weights) == list(weights)
    assert 1 <= min(weights) <= max(weights) < 36
    assert class_weights([5, 0]) == (1.0, weights[3])
    assert class_weights([0, 0, 0]) == (1.0, 1.0, 1.0)


def test_combined_names_an_unknown_loss():
    with pytest.raises(ValueError, match="unknown loss 'focal'"):
        combined({"focal": 1.0})


CASES = {
    "cross entropy": lambda s, t: cross_entropy(s, t, 0.1),
    "weighted": lambda s, t: cross_entropy(s, t, 0.1, torch.arange(1.0, 5.0, dtype=s.dtype)),
    "dice": dice,
    "combined": combined({"cross_entropy": 1.0, "dice": 0.7}, 0.1),
}


@pytest.mark.parametrize("loss", CASES.values(), ids=CASES)
def test_gradients_agree_with_differences(loss):
    scores, target = case(seed=1)
    assert torch.autograd.gradcheck(lambda s: loss(s, target), scores)


@pytest.mark.parametrize("loss", CASES.values(), ids=CASES)
def test_ignored_pixels_have_no_say(loss):
    scores, target = case(seed=2, ignored=0.5)
    loss(scores, target).backward()
    ignored = (target == IGNORE)[:, None].expand_as(scores)
    assert (scores.grad[ignored] == 0).all()
    other = scores.detach().clone()
    other[ignored] = 1e3
    assert loss(other, target).item() == pytest.approx(loss(scores, target).item(), rel=1e-12)


@pytest.mark.parametrize("loss", CASES.values(), ids=CASES)
def test_without_drawn_pixels_a_loss_is_zero_and_harmless(loss):
    scores, target = case(ignored=1.1)
    value = loss(scores, target)
    value.backward()
    assert value.item() == 0
    assert (scores.grad == 0).all()
