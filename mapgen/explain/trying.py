"""Methods that take pixels away and look what becomes of the score: they ask for nothing but scores.

What is taken away is replaced by `base` (C, H, W), a picture that says nothing: the mean of each band in what the model
learned from. Attributions are in units of the score: a pixel's share of f(picture) - f(base).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import comb

import numpy as np

from mapgen.arrays import Array, Bools, Floats
from mapgen.explain.probe import Score


def occlusion(score: Score, picture: Array, base: Array, side: int = 32, step: int = 16) -> Floats:
    """What each pixel (H, W) adds: the fall of the score where a square of `side` pixels is taken away, spread over it
    and averaged over the squares that cover the pixel (Zeiler and Fergus 2014).

    Law: where the score is linear and constant on squares, it is the pixel's own part.
    """
    height, width = picture.shape[1:]
    corners = list(product(_starts(height, side, step), _starts(width, side, step)))

    def tried() -> Iterator[Array]:
        yield picture
        for row, col in corners:
            one = picture.copy()
            one[:, row : row + side, col : col + side] = base[:, row : row + side, col : col + side]
            yield one

    found = score(tried())
    total, count = np.zeros((height, width)), np.zeros((height, width))
    for (row, col), value in zip(corners, found[1:], strict=True):
        place = slice(row, row + side), slice(col, col + side)
        total[place] += (found[0] - value) / total[place].size
        count[place] += 1
    return np.asarray(total / count)


def _starts(length: int, side: int, step: int) -> list[int]:
    """Where squares begin so that the last ends at the border."""
    last = max(0, length - side)
    return sorted({*range(0, last, step), last})


def bands(score: Score, picture: Array, base: Array) -> Floats:
    """The Shapley value (C,) of each band, exactly: its mean addition to the score over all orders in which the bands
    of `base` are replaced by those of the picture (Shapley 1953).

    2^C scores are asked for. Laws: they sum to f(picture) - f(base); a band without effect has 0; bands that mean the
    same have the same.
    """
    count = len(picture)

    def tried() -> Iterator[Array]:
        for number in range(2**count):
            yield np.where(_members(number, count)[:, None, None], picture, base)

    return shapley(score(tried()), count)


def _members(number: int, count: int) -> Bools:
    """Which of `count` players are in the coalition of this number."""
    return np.array([number >> i & 1 for i in range(count)], bool)


def shapley(values: Floats, count: int) -> Floats:
    """Shapley values (count,) of a game whose coalitions have these values (2^count,), numbered by their bits."""
    found = np.zeros(count)
    numbers = np.arange(2**count)
    sizes = np.array([int(n).bit_count() for n in numbers])
    weights = np.array([1 / (count * comb(count - 1, min(int(s), count - 1))) for s in sizes])
    for player in range(count):
        without = numbers[(numbers >> player & 1) == 0]
        found[player] = (weights[without] * (values[without | 1 << player] - values[without])).sum()
    return found


def shuffled(picture: Array, base: Array, cells: Array, order: Sequence[int], steps: int) -> Iterator[Array]:
    """The picture, and what is left of it as its cells are taken away in this order, in `steps` equal parts.

    `cells` (H, W) numbers them. The last picture is `base`.
    """
    rank = np.empty(len(order), np.int64)
    rank[np.asarray(order)] = np.arange(len(order))
    turns = rank[cells]
    for gone in np.linspace(0, len(order), steps + 1).round():
        yield np.where(turns < gone, base, picture)
