"""How sure a network is of what it saw: a sign of ground that its model does not know.

A probability of the class that was chosen is what the network itself expects to be right. Where a run has probabilities
anyway, those are averaged as they pass; where the network gives classes alone, which is faster, a few pieces of what it
saw are kept and shown to it again at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from mapgen.arrays import Array
from mapgen.inference.job import Job
from mapgen.model.engine import Engine
from mapgen.raster.patch import Patch, padded

LOW = 0.65
"""Mean probability below which a map is a guess: the network expects to be wrong at more than every third pixel. Of
the built-in model: 0.68 to 0.90 in parts of cities of its kind, 0.60 to 0.63 over houses and fields elsewhere."""

SIDE = 192
"""Pixels of the side of a piece."""

MARGIN = 16
"""Pixels along the borders of a piece that do not count: the network saw no ground beyond them."""

PIECES, FEWEST = 16, 4
"""The most and the fewest pieces."""

SHARE = 0.1
"""Of the pixels that a network sees in a run, at most, beyond the fewest pieces."""

WORTH = 500_000
"""Pixels of a run below which no piece is kept: it would cost more than it tells."""

STEP = 4
"""Every so many rows and columns of probabilities that pass by are looked at."""


class Sureness:
    """Averages the probability of the chosen class over a run, or over a sample of it."""

    def __init__(self, job: Job) -> None:
        card = job.model.card
        self._asked = job.output == "classes" and (card.graph is None or card.graph.head != "ids")
        self._asked &= card.fixed_window is None and sum(s.read.area for s in job.steps) >= WORTH
        rows, cols = (-(-SIDE // n) * n for n in (card.stride, card.stride))
        self._shape = rows, cols
        self._each = max(1, -(-FEWEST // max(1, len(job.steps))))
        self._every = self._seen = self._pixels = 0
        self._pieces: list[tuple[Array, Array]] = []
        self._total, self._count = 0.0, 0

    def look(self, patch: Patch) -> None:
        """Keep pieces of the pixels (C, H, W) of a window, of fewer windows the more there are."""
        if not self._asked or patch.values is None:
            return
        self._pixels += patch.valid.size
        self._seen += 1
        if (self._seen - 1) % 2**self._every:
            return
        for number in range(self._each):
            piece = self._cut(patch.values, patch.valid, number)
            if piece[1].mean() > 0.5:
                self._pieces.append(piece)
        while len(self._pieces) > PIECES:
            self._pieces = self._pieces[::2]
            self._every += 1

    def _cut(self, pixels: Array, valid: Array, number: int) -> tuple[Array, Array]:
        """A piece of a window; pieces of one window, and of windows in a row, lie apart."""
        place = []
        for size, side, turn in zip(valid.shape, self._shape, (0.7548776662, 0.5698402910), strict=True):
            share = (0.5 + turn * (number + self._seen - 1)) % 1.0  # a sequence that fills a square evenly
            start = int(share * max(0, size - side))
            place.append(slice(start, start + side))
        return pixels[:, *place].copy(), valid[*place].copy()

    def passed(self, patches: Iterable[Patch]) -> Iterator[Patch]:
        """The patches themselves; their probabilities (K, H, W) are taken in."""
        for patch in patches:
            if patch.values is not None and patch.values.ndim == 3:
                kept = patch.kept
                self._take(patch.values[:, *kept][:, ::STEP, ::STEP], patch.valid[kept][::STEP, ::STEP])
            yield patch

    def _take(self, probabilities: Array, valid: Array) -> None:
        best = probabilities.max(axis=0)[valid]
        best = best[np.isfinite(best)]
        self._total += float(best.sum(dtype=np.float64))
        self._count += best.size

    def mean(self, engine: Callable[[], Engine]) -> float | None:
        """The mean probability of the chosen class; `engine` gives probabilities, and is opened only for pieces.

        None where nothing was looked at.
        """
        wanted = max(FEWEST, int(SHARE * self._pixels / (self._shape[0] * self._shape[1])))
        pieces = self._pieces[:: max(1, -(-len(self._pieces) // wanted))]
        self._pieces = []
        if pieces:
            batches = [(valid, padded(pixels, self._shape[0])[None]) for pixels, valid in pieces]
            for valid, found in engine().stream(batches):
                assert found is not None
                inner = tuple(slice(MARGIN, size - MARGIN) for size in valid.shape)
                self._take(found[0][:, *inner], valid[inner])
        return round(self._total / self._count, 4) if self._count else None


def doubt(mean: float | None, name: str, domain: str) -> str | None:
    """What to warn of where a network is as unsure as that."""
    if mean is None or mean >= LOW:
        return None
    knows = f" ({domain})" if domain else ""
    return (
        f"may be ground that {name} does not know{knows}: it expects to be right at {mean:.0%} of the pixels; "
        "treat the map as a guess"
    )
