"""Paired comparisons: whether one model is better than another, or was only lucky with its ground or its seed.

Two models are judged on the same blocks of ground, and each resample takes the same blocks for both (see
`mapgen.accuracy.bootstrap`), so that what makes a block easy or hard cancels out. Where each was trained several times,
a resample also draws among these runs, the same places in the row for both (a bootstrap of two levels: Davison and
Hinkley 1997, Bootstrap Methods and their Application, section 3.8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mapgen.accuracy.bootstrap import DRAWS, FEWEST, Resamples, interval
from mapgen.accuracy.confusion import Tally
from mapgen.arrays import Floats
from mapgen.arrays import Longs as Counts

Verdict = Literal["first", "better", "worse", "not told apart"]

FIGURES = ("miou", "accuracy", "iou")
"""The figures that are compared; `iou` has one for each class."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One model on the ground that judges, in one of its runs: its tallies and their resamples.

    `tallies` (3, K) are the sums of hit, truth and mapped over all blocks, `resampled` (D, 3, K) those of D resamples.
    """

    tallies: Counts
    resampled: Floats
    blocks: int

    @classmethod
    def of(cls, counts: Counts, seed: int = 0, draws: int = DRAWS) -> Judged:
        """From the confusion counts (B, K, K) of blocks, which are the same blocks in the same order for all models."""
        tally = Tally.of(counts)
        tallies = np.stack((tally.hit, tally.truth, tally.mapped), 1)
        resamples = Resamples(seed, draws)
        resamples.add(0, tallies)
        return cls(tallies.sum(0), resamples.sums, len(counts))


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """How far a model is from the first: each figure's difference, and its interval (..., 2), NaN where there is none.

    `verdict` goes by the interval of mIoU.
    """

    value: dict[str, Floats]
    interval: dict[str, Floats]
    verdict: Verdict


class Rating:
    """A model's figures over all its runs: their mean, and the mean of each resample."""

    def __init__(self, runs: Sequence[Judged], seed: int = 0) -> None:
        draws = len(runs[0].resampled)
        self.blocks = min(run.blocks for run in runs)
        drawn = np.random.default_rng((seed, _RUNS)).integers(len(runs), size=(len(runs), draws))
        self.value: dict[str, Floats] = {}
        self.runs: dict[str, Floats] = {}
        """Each figure by run (R, ...)."""
        self._resampled: dict[str, Floats] = {}
        for name in FIGURES:
            self.runs[name] = np.stack([getattr(Tally(*run.tallies), name) for run in runs])
            self.value[name] = _mean(self.runs[name])
            each = np.stack([getattr(Tally(*np.moveaxis(run.resampled, 1, 0)), name) for run in runs])
            self._resampled[name] = _mean(each[drawn, np.arange(draws)])

    def intervals(self) -> dict[str, Floats]:
        """95 % intervals (..., 2) of each figure; none where fewer than FEWEST blocks count."""
        return {name: interval(v) for name, v in self._resampled.items()} if self.blocks >= FEWEST else {}

    def minus(self, first: Rating) -> Difference:
        """The difference to another model that was judged on the same blocks in as many runs.

        Laws: to itself it is 0 with the interval [0, 0]; turned round it has the other sign.
        """
        value = {name: v - first.value[name] for name, v in self.value.items()}
        if min(self.blocks, first.blocks) < FEWEST:
            unknown = {name: np.full((*v.shape, 2), np.nan) for name, v in value.items()}
            return Difference(value, unknown, "first" if self is first else "not told apart")
        spread = {name: interval(v - first._resampled[name]) for name, v in self._resampled.items()}
        low, high = spread["miou"]
        verdict: Verdict = "better" if low > 0 else "worse" if high < 0 else "not told apart"
        return Difference(value, spread, "first" if self is first else verdict)


_RUNS = 1 << 32
"""Told to the generator that draws runs, so that its numbers are none of those that draw blocks."""


def _mean(values: Floats) -> Floats:
    """The mean over the first axis of what is not NaN; NaN where nothing is known."""
    known = np.isfinite(values)
    count = known.sum(0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(0) / np.maximum(count, 1), np.nan)
