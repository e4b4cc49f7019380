"""Segments: a place in parts that belong together, and what each of them adds to the score.

Far fewer than pixels, they can be taken away in many combinations. Attributions are in units of the score, one for each
segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from mapgen.arrays import Array, Bools, Floats, Longs
from mapgen.explain.probe import Score

LIME_SEGMENTS, SHAP_SEGMENTS = 64, 16
"""How many segments there are about. Of 94 the values of two seeds correlated by 0.07, of 16 by 0.98."""

SAMPLES = 512
"""Pictures that are asked about, besides the whole and the empty one."""

_ROUNDS = 8
_KERNEL = 0.25
_RIDGE = 1.0


def slic(picture: Array, count: int) -> Longs:
    """The number (H, W), from 0, of the segment of each pixel: about `count` of like colour and roundish.

    Simple linear iterative clustering (Achanta et al. 2012) without its last step, so that a segment may lie in parts.
    """
    _, height, width = picture.shape
    rows = min(height, max(1, round((count * height / width) ** 0.5)))
    cols = min(width, max(1, round(count / rows)))
    spread = np.maximum(picture.std((1, 2), keepdims=True), 1e-6)
    y, x = np.indices((height, width))
    step = max(height / rows, width / cols)
    points = np.concatenate([picture / spread, [y / step, x / step]]).astype(np.float64)
    home = np.minimum(y * rows // height, rows - 1), np.minimum(x * cols // width, cols - 1)
    labels = np.asarray(home[0] * cols + home[1])
    for _ in range(_ROUNDS):
        labels = _nearest(points, _centres(points, labels, rows * cols), home, rows, cols)
    return np.unique(labels, return_inverse=True)[1].reshape(height, width).astype(np.int64)


def _centres(points: Floats, labels: Array, count: int) -> Floats:
    """Means (D, count) of the points (D, H, W) of each segment; infinitely far where it has none."""
    sizes = np.bincount(labels.ravel(), minlength=count)
    sums = np.stack([np.bincount(labels.ravel(), plane.ravel(), count) for plane in points])
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), np.inf)


def _nearest(points: Floats, centres: Floats, home: tuple[Array, Array], rows: int, cols: int) -> Array:
    """The nearest of the centres that began in a pixel's own cell or in one of the eight around it."""
    best, found = np.full(points.shape[1:], np.inf), np.zeros(points.shape[1:], np.int64)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            there = (home[0] + down).clip(0, rows - 1) * cols + (home[1] + right).clip(0, cols - 1)
            distance = ((points - centres[:, there]) ** 2).sum(0)
            nearer = distance < best
            best, found = np.where(nearer, distance, best), np.where(nearer, there, found)
    return found


def lime(
    score: Score, picture: Array, base: Array, labels: Longs, seed: int, samples: int = SAMPLES
) -> tuple[Floats, float]:
    """What each segment adds by the linear model that fits the score best near the picture, and its R².

    Half of the segments are taken away at random, again and again; pictures with more of them left weigh more, by the
    kernel and the distance of Ribeiro et al. (2016), and the slopes are held down by a ridge.
    """
    count = int(labels.max()) + 1
    kept = np.random.default_rng(seed).random((samples, count)) < 0.5
    kept[0] = True
    values = score(_without(picture, base, labels, kept))
    weights = np.exp(-(((1 - np.sqrt(kept.mean(1))) / _KERNEL) ** 2))
    mean, middle = np.average(kept, 0, weights), np.average(values, weights=weights)
    x: Floats = kept - mean
    y = values - middle
    slopes = np.linalg.solve((x * weights[:, None]).T @ x + _RIDGE * np.eye(count), (x * weights[:, None]).T @ y)
    whole = float((weights * y**2).sum())
    rest = float((weights * (y - x @ slopes) ** 2).sum())
    return np.asarray(slopes), 1 - rest / whole if whole > 0 else 1.0


def kernel_shap(
    score: Score, picture: Array, base: Array, labels: Longs, seed: int, samples: int = SAMPLES
) -> tuple[Floats, float]:
    """Shapley values of the segments from samples, and how two halves of these, drawn apart, correlate.

    KernelSHAP (Lundberg and Lee 2017) with paired samples (Covert and Lee 2021). Law: they sum to f(picture) - f(base).
    """
    count = int(labels.max()) + 1
    first, last = score([base, picture])
    if count == 1:
        return np.array([last - first]), 1.0
    halves = []
    for number in range(2):
        kept = _coalitions(count, samples // 4, np.random.default_rng((seed, number)))
        halves.append((kept, score(_without(picture, base, labels, kept)) - first))
    whole = float(last - first)
    one, two = (_solved(kept.astype(np.float64), values, whole) for kept, values in halves)
    kept, values = np.concatenate([k for k, _ in halves]), np.concatenate([v for _, v in halves])
    return _solved(kept.astype(np.float64), values, whole), _correlation(one, two)


def _coalitions(count: int, pairs: int, rng: np.random.Generator) -> Bools:
    """Pairs of a random set of players and of all others, (2 · pairs, count); sizes by the kernel of Shapley."""
    sizes = np.arange(1, count)
    likely = 1 / (sizes * (count - sizes))
    drawn = rng.choice(sizes, pairs, p=likely / likely.sum())
    some = rng.permuted(np.tile(np.arange(count), (pairs, 1)), axis=1) < drawn[:, None]
    return np.stack([some, ~some], 1).reshape(2 * pairs, count)


def _solved(kept: Floats, values: Floats, whole: float) -> Floats:
    """The values of players that fit those of coalitions best and sum to the whole (Covert and Lee 2021, eq. 7)."""
    size = kept.shape[1]
    moments = kept.T @ kept / len(kept) + 1e-9 * np.eye(size)
    right, ones = kept.T @ values / len(kept), np.ones(size)
    a, b = np.linalg.solve(moments, right), np.linalg.solve(moments, ones)
    return np.asarray(a - b * (a.sum() - whole) / b.sum())


def _correlation(one: Floats, two: Floats) -> float:
    return float(np.corrcoef(one, two)[0, 1]) if one.std() > 0 and two.std() > 0 else 1.0


def _without(picture: Array, base: Array, labels: Longs, kept: Iterable[Bools]) -> Iterator[Array]:
    """The picture with those segments only that are kept."""
    for some in kept:
        yield np.where(some[labels], picture, base)
