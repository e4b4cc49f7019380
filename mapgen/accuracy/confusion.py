"""How good a class map is: the figures of a confusion matrix, of boundaries and of objects, and the report of them.

Classes are small numbers 0…K-1 here ("codes"); a negative code does not count. Every figure is NaN where it is a
fraction of nothing, such as the IoU of a class that neither the map nor the truth has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Floats
from mapgen.arrays import Longs as Counts


def confusion(truth: NDArray[Any], predicted: NDArray[Any], classes: int) -> Counts:
    """Pixels (K, K) by the class of the truth (row) and of the map (column), where neither code is negative.

    Law: the matrices of disjoint ground add up to that of the whole.
    """
    counted = (truth >= 0) & (predicted >= 0)
    pairs = truth[counted].astype(np.int64) * classes + predicted[counted]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True, slots=True)
class Tally:
    """The sums from which the figures follow, (..., K): pixels of each class in both, in the truth, in the map.

    Leading axes are kept by all figures, so that a thousand resampled tallies are scored at once. Tallies of disjoint
    ground add up.
    """

    hit: NDArray[Any]
    truth: NDArray[Any]
    mapped: NDArray[Any]

    @classmethod
    def of(cls, counts: NDArray[Any]) -> Tally:
        """The tally of a confusion matrix (..., K, K)."""
        return cls(np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(-1), counts.sum(-2))

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.hit + other.hit, self.truth + other.truth, self.mapped + other.mapped)

    @property
    def iou(self) -> Floats:
        """Intersection over union of each class, TP / (TP + FP + FN): the index of Jaccard (1901)."""
        return _ratio(self.hit, self.truth + self.mapped - self.hit)

    @property
    def f1(self) -> Floats:
        """2 TP / (2 TP + FP + FN) of each class: the coefficient of Dice (1945), 2 IoU / (1 + IoU)."""
        return _ratio(2 * self.hit, self.truth + self.mapped)

    @property
    def precision(self) -> Floats:
        """TP / (TP + FP) of each class: what share of it on the map is right (user's accuracy, Congalton 1991)."""
        return _ratio(self.hit, self.mapped)

    @property
    def recall(self) -> Floats:
        """TP / (TP + FN) of each class: what share of it is on the map (producer's accuracy, Congalton 1991)."""
        return _ratio(self.hit, self.truth)

    @property
    def miou(self) -> Floats:
        """The mean IoU over the classes that the map or the truth has (Everingham et al. 2015)."""
        return mean(self.iou)

    @property
    def accuracy(self) -> Floats:
        """The share of all pixels that is right."""
        return _ratio(self.hit.sum(-1), self.truth.sum(-1))

    @property
    def kappa(self) -> Floats:
        """Agreement beyond that of chance, (p - e) / (1 - e) with e = Σ truth · mapped / n² (Cohen 1960)."""
        total = self.truth.sum(-1).astype(np.float64)
        chance = _ratio((self.truth.astype(np.float64) * self.mapped).sum(-1), total * total)
        return _ratio(self.accuracy - chance, 1 - chance)


@dataclass(frozen=True, slots=True)
class Matches:
    """Things on the map and in the truth, (K,), and how many of each have a partner on the other side.

    For boundaries the things are pixels, for objects connected regions, of which two are partners or none.
    """

    mapped: Counts
    mapped_matched: Counts
    truth: Counts
    truth_matched: Counts

    @property
    def precision(self) -> Floats:
        """The share of those on the map that have a partner."""
        return _ratio(self.mapped_matched, self.mapped)

    @property
    def recall(self) -> Floats:
        """The share of those in the truth that have a partner."""
        return _ratio(self.truth_matched, self.truth)

    @property
    def f1(self) -> Floats:
        """The harmonic mean of both; 0 where one side has things and the other none."""
        precision, recall = (np.nan_to_num(v) for v in (self.precision, self.recall))
        absent = (self.mapped == 0) & (self.truth == 0)
        both = precision + recall
        return np.where(absent, np.nan, 2 * precision * recall / np.where(both > 0, both, 1))


def mean(values: Floats) -> Floats:
    """The mean over the last axis of what is not NaN; NaN where all is."""
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0).sum(-1), known.sum(-1))


def _ratio(part: Any, whole: Any) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.asarray(whole) != 0, np.asarray(part, np.float64) / whole, np.nan)


# The report ----------------------------------------------------------------------------------------------------------
