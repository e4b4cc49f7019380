"""Faithfulness: whether what an explanation calls important is what the score depends on.

Cells are taken away from the picture from the most to the least important, and the score ought to fall at once
(deletion); or put into the base in that order, and it ought to rise at once (insertion; Petsiuk et al. 2018). Both are
told beside the same for random orders, since the score falls under any of them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from mapgen.arrays import Array, Floats
from mapgen.explain.probe import Score
from mapgen.explain.trying import shuffled

CELL, STEPS, ORDERS = 16, 10, 10
"""Pixels of a side of a cell, parts in which cells are taken away, and random orders to compare with."""


@dataclass(frozen=True, slots=True)
class Chance:
    """Mean scores on the way, of random orders: (`ORDERS`,) each."""

    deletion: Floats
    insertion: Floats


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Mean scores on the way, those of random orders, and the share of these that the explanation beats."""

    deletion: float
    insertion: float
    deletion_by_chance: float
    insertion_by_chance: float
    deletion_beats: float
    insertion_beats: float

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return {name: round(value, 4) for name, value in dataclasses.asdict(self).items()}


def cells_of(height: int, width: int, side: int = CELL) -> Array:
    """The number (H, W) of the cell of each pixel, from 0, row by row."""
    rows, cols = np.arange(height) // side, np.arange(width) // side
    return np.asarray(rows[:, None] * (cols[-1] + 1) + cols[None])


def chance(score: Score, picture: Array, base: Array, seed: int) -> Chance:
    """What random orders come to."""
    cells = cells_of(*picture.shape[1:])
    rng = np.random.default_rng(seed)
    both = [_both(score, picture, base, cells, rng.permutation(cells.max() + 1)) for _ in range(ORDERS)]
    deletion, insertion = np.array(both).T
    return Chance(deletion, insertion)


def faithfulness(score: Score, picture: Array, base: Array, found: Floats, random: Chance) -> Faithfulness:
    """How faithful the attributions `found` (H, W) are."""
    cells = cells_of(*picture.shape[1:])
    weight = np.bincount(cells.ravel(), found.ravel())
    deletion, insertion = _both(score, picture, base, cells, np.argsort(-weight, kind="stable"))
    return Faithfulness(
        deletion, insertion, float(random.deletion.mean()), float(random.insertion.mean()),
        float((random.deletion > deletion).mean()), float((random.insertion < insertion).mean()),
    )  # fmt: skip


def _both(score: Score, picture: Array, base: Array, cells: Array, order: Any) -> tuple[float, float]:
    """Mean scores while the cells go, and while they come, in this order."""
    gone = score(shuffled(picture, base, cells, order, STEPS))
    come = score(shuffled(base, picture, cells, order, STEPS))
    return float(gone.mean()), float(come.mean())
