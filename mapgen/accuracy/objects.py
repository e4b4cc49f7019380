"""Objects: 4-connected regions of a class on the map and in the truth, matched one to one while strips go by."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mapgen.accuracy.confusion import Matches
from mapgen.arrays import Ints
from mapgen.arrays import Longs as Counts
from mapgen.kernels import kernel
from mapgen.polygons.union_find import join, numbered, root


@dataclass(slots=True)
class _Side:
    """The regions of one raster that may still matter, numbered 1…; entry 0 stands for none."""

    edge: NDArray[np.int16]
    """Codes of the last row (W,), -1 where there is no object."""
    labels: Ints
    """Regions of the last row (W,), 0 where there is none."""
    areas: Counts = field(default_factory=lambda: np.zeros(1, np.int64))
    codes: Counts = field(default_factory=lambda: np.full(1, -1, np.int64))
    ended: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(1, bool))
    """Whether a region has no pixel in the last row, so that it cannot grow any more."""

    def extended(self, strip: NDArray[np.int16]) -> tuple[Ints, Ints]:
        """Take in the next rows; the regions (H, W) of their pixels, and what became of the old numbers."""
        before = len(self.areas)
        parent = np.arange(before + strip.size // 2 + strip.shape[1] + 1, dtype=np.int32)
        labels, number = _label(strip, self.edge, self.labels, parent, before)
        final, count = numbered(parent, number)
        areas, codes = np.zeros(count + 1, np.int64), np.full(count + 1, -1, np.int64)
        ended = np.zeros(count + 1, bool)
        np.add.at(areas, final[:before], self.areas)
        codes[final[:before]], ended[final[:before]] = self.codes, self.ended
        _measure(strip, labels, final, areas, codes)
        self.areas, self.codes, self.ended = areas, codes, ended
        self.edge, self.labels = strip[-1].copy(), labels[-1].copy()
        return labels, final[:before]

    def end(self, last: bool) -> Counts:
        """Mark the regions that have just come to their end (all of them at the `last` row); their codes."""
        now = np.ones(len(self.areas), bool)
        if not last:
            now[self.labels] = False
        now[0] = False
        fresh = now & ~self.ended
        self.ended = now
        return self.codes[fresh]

    def kept(self, wanted: Ints) -> Ints:
        """Forget all regions but those that may grow and the `wanted`; the new numbers by the old."""
        keep = ~self.ended
        keep[wanted] = True
        keep[0] = True
        number = (np.cumsum(keep) - 1).astype(np.int32)
        self.areas, self.codes, self.ended = self.areas[keep], self.codes[keep], self.ended[keep]
        self.labels = number[self.labels]
        return number


class ObjectMatcher:
    """Objects of both sides by class, and those that have a partner: an object of the class with IoU ≥ 0.5.

    An object is a 4-connected region of one class among the pixels that count on both sides. Law: no object has two
    partners. (Two would each have to be half of it exactly, so they would touch and be one region.) So the pairs need
    no assignment, as with the segments of Kirillov et al. (2019).

    Strips are added from the top. A region is forgotten when it has ended and no pair with it can still come to 0.5, so
    memory follows the objects on one row. Law: the result does not depend on how the ground is cut into strips.
    """

    def __init__(self, chosen: tuple[int, ...], width: int, classes: int) -> None:
        self._chosen = np.zeros(classes + 1, bool)
        self._chosen[list(chosen)] = True
        self._sides = tuple(_Side(np.full(width, -1, np.int16), np.zeros(width, np.int32)) for _ in range(2))
        self._pairs: Counts = np.zeros((3, 0), np.int64)
        """Region on the map, region in the truth, pixels in common."""
        self._found: Counts = np.zeros((2, classes), np.int64)
        self._matched: Counts = np.zeros(classes, np.int64)

    def add(self, mapped: NDArray[np.int16], truth: NDArray[np.int16]) -> None:
        """Take in the codes (H, W) of the next rows of both sides."""
        counted = (mapped >= 0) & (truth >= 0)
        strips = [np.where(counted & self._chosen[s], s, np.int16(-1)) for s in (mapped, truth)]
        labels, old = zip(*(side.extended(s) for side, s in zip(self._sides, strips, strict=True)), strict=True)
        fresh = _common(strips[0], strips[1], labels[0], labels[1])
        carried = self._pairs
        carried = np.stack((old[0][carried[0]], old[1][carried[1]], carried[2])) if carried.size else carried
        self._pairs = _summed(np.concatenate((carried, fresh), axis=1), len(self._sides[1].areas))
        self._settle(last=False)

    def finish(self) -> Matches:
        """What all strips came to."""
        self._settle(last=True)
        return Matches(self._found[0], self._matched, self._found[1], self._matched)

    def _settle(self, last: bool) -> None:
        """Decide the pairs that can change no more, and forget all that no longer matters."""
        for found, side in zip(self._found, self._sides, strict=True):
            np.add.at(found, side.end(last), 1)
        one, other = self._sides
        a, b, common = self._pairs
        good = 2 * common >= one.areas[a] + other.areas[b] - common
        over = one.ended[a] & other.ended[b]
        np.add.at(self._matched, one.codes[a[good & over]], 1)
        # Once either has ended, what they share is final and only their union may grow.
        stay = ~over & (good | ~(one.ended[a] | other.ended[b]))
        a, b, common = a[stay], b[stay], common[stay]
        self._pairs = np.stack((one.kept(a)[a], other.kept(b)[b], common))


def _summed(pairs: Counts, size: int) -> Counts:
    """The pairs (3, N), each once with the sum of its pixels; `size` is above every second number."""
    if not pairs.size:
        return pairs
    keys, inverse = np.unique(pairs[0] * size + pairs[1], return_inverse=True)
    common = np.bincount(inverse, weights=pairs[2]).astype(np.int64)
    return np.stack((keys // size, keys % size, common))


@kernel
def _common(one, other, one_labels, other_labels):  # type: ignore[no-untyped-def]
    """Runs of pixels where both have an object of the same class: (3, N) region of each, and length."""
    height, width = one.shape
    count = 0
    for fill in range(2):  # once to count the runs, once to write them
        out = np.empty((3, count if fill else 0), np.int64)
        count = 0
        for r in range(height):
            a, b = 0, 0
            for c in range(width):
                if one[r, c] < 0 or one[r, c] != other[r, c]:
                    a, b = 0, 0
                    continue
                if one_labels[r, c] != a or other_labels[r, c] != b:
                    a, b = one_labels[r, c], other_labels[r, c]
                    if fill:
                        out[0, count], out[1, count], out[2, count] = a, b, 0
                    count += 1
                if fill:
                    out[2, count - 1] += 1
    return out


@kernel
def _label(strip, edge, edge_labels, parent, number):  # type: ignore[no-untyped-def]
    """Provisional regions (H, W) of a strip below a row that is labelled already; and the next free number."""
    height, width = strip.shape
    labels = np.zeros((height, width), np.int32)
    for r in range(height):
        for c in range(width):
            k = strip[r, c]
            if k < 0:
                continue
            label = 0
            if r > 0:
                if strip[r - 1, c] == k:
                    label = root(parent, labels[r - 1, c])
            elif edge[c] == k:
                label = root(parent, edge_labels[c])
            if c > 0 and strip[r, c - 1] == k:
                left = labels[r, c - 1]
                label = root(parent, left) if label == 0 else join(parent, label, left)
            if label == 0:
                label = number
                number += 1
            labels[r, c] = label
    return labels, number


@kernel
def _measure(strip, labels, final, areas, codes):  # type: ignore[no-untyped-def]
    """Give each pixel its final region; add up the areas and note the classes."""
    for r in range(labels.shape[0]):
        for c in range(labels.shape[1]):
            if labels[r, c] > 0:
                n = final[labels[r, c]]
                labels[r, c] = n
                areas[n] += 1
                codes[n] = strip[r, c]
