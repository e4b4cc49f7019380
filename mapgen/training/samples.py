"""Samples: random crops of labelled pieces of ground, rare classes seen as often as common ones.

A sample is a pure function of (seed, step, place in the batch): a resumed run sees what the unbroken one would have.
No torch is loaded until a batch of tensors is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Bytes as Label
from mapgen.dataset.dataset import IGNORE
from mapgen.dataset.dataset import Piece as Piece
from mapgen.errors import InputError
from mapgen.training.augment import Crop, Geometry, Light, draw_matrix, reach, relight, warp

if TYPE_CHECKING:
    from torch import Tensor

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
    unlabelled: float = 0.5
    """The share of samples from unlabelled ground, where there is any."""


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
    """Where crops may be centred: pixels of each piece with one of these labels, thinned, by label."""

    def __init__(self, pieces: Sequence[Piece], labels: Sequence[int]) -> None:
        self._positions: list[list[NDArray[np.int32]]] = [[] for _ in labels]
        for piece in pieces:
            step = min(THINNING, *piece.label.shape)
            thin = piece.label[step // 2 :: step, step // 2 :: step]
            for k, label in enumerate(labels):
                self._positions[k].append(np.argwhere(thin == label).astype(np.int32) * step + step // 2)
        counts = np.array([[len(p) for p in row] for row in self._positions], dtype=float)
        shares = counts * np.array([p.weight for p in pieces])
        self.present = np.flatnonzero(shares.sum(1))
        if not len(self.present):
            raise InputError("training ground", "no pixel has a label", "check the class ids and the ignore value")
        self._classes = _cumulative(shares.sum(1))
        self._pieces = {int(k): _cumulative(shares[k]) for k in self.present}

    def draw(self, rng: np.random.Generator, balance: float) -> tuple[int, int, int]:
        """(piece, row, col) of a drawn pixel."""
        k = int(rng.choice(self.present)) if rng.random() < balance else _picked(self._classes, rng)
        piece = _picked(self._pieces[k], rng)
        row, col = self._positions[k][piece][rng.integers(len(self._positions[k][piece]))]
        return piece, int(row), int(col)


def _cumulative(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = (shares / shares.sum()).cumsum()
    return sums / sums[-1]


def _picked(sums: NDArray[np.float64], rng: np.random.Generator) -> int:
    """The place that a random share falls on."""
    return int(sums.searchsorted(rng.random(), side="right"))


class Sampler:
    """Batches of crops from `pieces`, the same for the same (seed, step).

    Where there are `unlabelled` pieces, a share of the crops of each run of batches is taken from these. Law: their
    targets are `IGNORE` everywhere.
    """

    def __init__(
        self, pieces: Sequence[Piece], classes: int, sampling: Sampling, seed: int = 0, unlabelled: Sequence[Piece] = ()
    ) -> None:  # fmt: skip
        self.pieces, self.classes, self.sampling, self.seed = tuple(pieces), classes, sampling, seed
        self.unlabelled = tuple(unlabelled)
        self._places = Places(pieces, range(classes))
        self._others = Places(unlabelled, (IGNORE,)) if unlabelled and sampling.unlabelled else None

    def batch(self, step: int, count: int, size: int) -> tuple[Tensor, Tensor]:
        """The batch of this step: images (count, C, size, size) float32, targets (count, size, size) int64."""
        import torch

        images = np.empty((count, len(self.pieces[0].image), size, size), np.float32)
        targets = np.empty((count, size, size), np.uint8)
        self.fill(step, images, targets)
        return torch.from_numpy(images), torch.from_numpy(targets).long()

    def fill(self, step: int, images: Crop, targets: Label) -> None:
        """Write the batch of this step into arrays: images (N, C, size, size), targets (N, size, size)."""
        for i, (image, target) in enumerate(zip(images, targets, strict=True)):
            rng = np.random.default_rng((self.seed, step, i))
            if self._others is not None and self._is_other(step * len(images) + i):
                self._sample(rng, self.unlabelled, self._others, image, target)
                target.fill(IGNORE)
            else:
                self._sample(rng, self.pieces, self._places, image, target)

    def _is_other(self, number: int) -> bool:
        """Whether crop `number` of the run is one of unlabelled ground: they are evenly spread over the run."""
        share = self.sampling.unlabelled
        return math.floor((number + 1) * share) > math.floor(number * share)

    def _sample(
        self, rng: np.random.Generator, pieces: Sequence[Piece], places: Places, image: Crop, target: Label
    ) -> None:
        """Write one crop into an image (C, size, size) and a target (size, size)."""
        number, row, col = places.draw(rng, self.sampling.balance)
        piece, size = pieces[number], len(target)
        matrix = draw_matrix(rng, self.sampling.geometry)
        jitter = rng.uniform(-size / 3, size / 3, 2)  # else the middle of every crop would be the picked class
        low = reach(matrix, size)
        high = np.array(piece.label.shape) - low
        # inside the piece where it is large enough, in its middle where it is not
        centre = np.where(low < high, np.clip((row + jitter[0], col + jitter[1]), low, high), (low + high) / 2)
        warp(piece.image, piece.label, (float(centre[0]), float(centre[1])), matrix, size, image, target)
        relight(image, rng, self.sampling.light, self.sampling.full)
