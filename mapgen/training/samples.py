"""Samples: random crops of labelled pieces of ground, rare classes seen as often as common ones.

A sample is a pure function of (seed, step, place in the batch): a resumed run sees what the unbroken one would have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mapgen.dataset.dataset import IGNORE
from mapgen.dataset.dataset import Piece as Piece
from mapgen.errors import InputError
from mapgen.training.augment import Geometry, Light, draw_matrix, reach, relight, warp

THINNING = 8
"""Every so many rows and columns a pixel stands for its neighbourhood when crops are placed by class."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How samples are drawn."""

    balance: float = 0.5
    """The share of samples placed on a class picked evenly; the others are placed evenly on the drawn ground."""
    geometry: Geometry = field(default_factory=Geometry)
    light: Light = field(default_factory=Light)
    full: float = 255.0
    """The top of the pixel values' range."""


def statistics(pieces: Sequence[Piece]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each band over the drawn pixels of all pieces."""
    count, total, square = 0, np.zeros(()), np.zeros(())
    for piece in pieces:
        for rows in range(0, len(piece.label), 256):  # in strips, so that no float copy of a whole piece exists
            drawn = piece.label[rows : rows + 256] != IGNORE
            values = piece.image[:, rows : rows + 256][:, drawn].astype(np.float64)
            count, total, square = count + values.shape[1], total + values.sum(1), square + (values**2).sum(1)
    if not count:
        raise InputError("training ground", "no pixel has a label", "check the class ids and the ignore value")
    mean = total / count
    std = np.sqrt(np.maximum(square / count - mean**2, 1e-6))
    return tuple(float(v) for v in mean), tuple(float(v) for v in std)


class Places:
    """Where crops may be centred: drawn pixels of each piece, thinned, by class."""

    def __init__(self, pieces: Sequence[Piece], classes: int) -> None:
        self._positions: list[list[NDArray[np.int32]]] = [[] for _ in range(classes)]
        for piece in pieces:
            step = min(THINNING, *piece.label.shape)
            thin = piece.label[step // 2 :: step, step // 2 :: step]
            for k in range(classes):
                self._positions[k].append(np.argwhere(thin == k).astype(np.int32) * step + step // 2)
        counts = np.array([[len(p) for p in row] for row in self._positions], dtype=float)
        self._shares = counts * np.array([p.weight for p in pieces])
        self.present = np.flatnonzero(self._shares.sum(1))
        if not len(self.present):
            raise InputError("training ground", "no pixel has a label", "check the class ids and the ignore value")

    def draw(self, rng: np.random.Generator, balance: float) -> tuple[int, int, int]:
        """(piece, row, col) of a drawn pixel."""
        totals = self._shares.sum(1)
        if rng.random() < balance:
            k = int(rng.choice(self.present))
        else:
            k = int(rng.choice(len(totals), p=totals / totals.sum()))
        piece = int(rng.choice(len(self._shares[k]), p=self._shares[k] / totals[k]))
        row, col = self._positions[k][piece][rng.integers(len(self._positions[k][piece]))]
        return piece, int(row), int(col)


class Sampler:
    """Batches of crops from `pieces`, the same for the same (seed, step)."""

    def __init__(self, pieces: Sequence[Piece], classes: int, sampling: Sampling, seed: int = 0) -> None:
        self._pieces, self._sampling, self._seed = list(pieces), sampling, seed
        self._places = Places(pieces, classes)

    def sample(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """One crop: image (C, size, size) float32 and target (size, size) uint8."""
        number, row, col = self._places.draw(rng, self._sampling.balance)
        piece = self._pieces[number]
        matrix = draw_matrix(rng, self._sampling.geometry)
        jitter = rng.uniform(-size / 3, size / 3, 2)  # else the middle of every crop would be the picked class
        low = reach(matrix, size)
        high = np.array(piece.label.shape) - low
        # inside the piece where it is large enough, in its middle where it is not
        centre = np.where(low < high, np.clip((row + jitter[0], col + jitter[1]), low, high), (low + high) / 2)
        image, target = warp(piece.image, piece.label, (float(centre[0]), float(centre[1])), matrix, size)
        return relight(image, rng, self._sampling.light, self._sampling.full), target

    def batch(self, step: int, count: int, size: int) -> tuple[Tensor, Tensor]:
        """The batch of this step: images (count, C, size, size) float32, targets (count, size, size) int64."""
        pairs = [self.sample(np.random.default_rng((self._seed, step, i)), size) for i in range(count)]
        return torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs]).long()
