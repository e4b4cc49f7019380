"""Accuracy and areas from points that were labelled, stratified by the classes of the map: Olofsson et al. 2014.

P. Olofsson et al., Good practices for estimating area and assessing accuracy of land change, Remote Sensing of
Environment 148 (2014), 42-57: equations 1 to 11. The area of a class is not what the map shows of it but what the
points say of every class of the map, weighed by how much of the map that is; so its errors are corrected for, and what
is left of them is in the interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapgen.arrays import Floats

NORMAL = 1.96
"""Standard errors to either side that hold 95 % of a normal distribution."""

FEWEST = 2
"""Points that a class of the map needs: of a single one no spread can be told."""


@dataclass(frozen=True, slots=True)
class Estimated:
    """Figures and their standard errors, the same shape; NaN where there is nothing to estimate from."""

    value: Floats
    error: Floats

    @property
    def half(self) -> Floats:
        """Half the width of the 95 % interval: what stands behind ±."""
        return NORMAL * self.error


@dataclass(frozen=True, slots=True)
class Estimates:
    """What points say of a map of K classes."""

    shares: Estimated
    """(K,) share of the ground that each class really has."""
    overall: Estimated
    """() share of the ground that is right."""
    user: Estimated
    """(K,) of what the map shows as the class, the share that is it."""
    producer: Estimated
    """(K,) of what is the class, the share that the map shows as it."""


def estimate(counts: Floats, weights: Floats) -> Estimates:
    """Estimates from `counts` (K, K), points by the class of the map (row) and of the truth (column).

    `weights` (K,) is how much ground of each class the map shows, in any unit; a class with some needs `FEWEST` points
    in its row. Laws: where the map is always right all errors are 0; strata that are alike may be taken as one.
    """
    total = counts.sum(1)
    share = weights / weights.sum()
    mapped = weights > 0
    assert (total[mapped] >= FEWEST).all(), "each class of the map needs points"
    rates = np.where(mapped[:, None], counts / np.maximum(total, 1)[:, None], 0.0)
    spread = np.where(mapped[:, None], rates * (1 - rates) / np.maximum(total - 1, 1)[:, None], 0.0)
    area = share @ rates
    user, user_spread = np.diagonal(rates), np.diagonal(spread)
    return Estimates(
        Estimated(area, np.sqrt(share**2 @ spread)),
        Estimated(np.asarray(share @ user), np.sqrt(np.asarray(share**2 @ user_spread))),
        Estimated(np.where(mapped, user, np.nan), np.where(mapped, np.sqrt(user_spread), np.nan)),
        _producer(share, rates, spread, area),
    )


def _producer(share: Floats, rates: Floats, spread: Floats, area: Floats) -> Estimated:
    """Equations 3 and 7. The N of the paper are shares here: they cancel out."""
    own, own_spread = share * np.diagonal(rates), np.diagonal(spread)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.where(area > 0, own / area, np.nan)
        others = share**2 @ spread - share**2 * own_spread
        variance = (share**2 * (1 - value) ** 2 * own_spread + value**2 * others) / area**2
    return Estimated(value, np.sqrt(variance))


def allocation(pixels: Floats, count: int, least: int, expected: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """How many of `count` points each class of the map gets, (K,): those with pixels at least `least`, the rest by
    what tells most.

    That is Neyman's allocation, by size times spread, √(U (1 - U)), of the share `expected` (K,) to be right (Cochran
    1977, 5.25): where the map is sure of itself few points tell much. No class gets more points than it has pixels;
    the sum is `count` unless the map has no more pixels.
    """
    there = pixels > 0
    least = min(least, count // max(1, int(there.sum())))
    given = np.where(there, np.minimum(least, pixels), 0).astype(np.int64)
    want = pixels * np.sqrt(expected * (1 - expected))
    for _ in range(len(pixels) + 1):  # what one class cannot take goes to the others
        room, left = pixels - given, count - int(given.sum())
        pull = np.where(room > 0, want, 0.0)
        if left <= 0 or not pull.any():
            break
        given += np.minimum(_rounded(left * pull / pull.sum(), left), room).astype(np.int64)
    return given


def _rounded(parts: Floats, total: int) -> Floats:
    """Whole numbers that sum to `total`, the largest remainders rounded up."""
    whole = np.floor(parts)
    rest = total - int(whole.sum())
    whole[np.argsort(whole - parts, kind="stable")[:rest]] += 1
    return whole
