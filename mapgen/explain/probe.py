"""What is explained, as a number, and how an engine is asked for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mapgen.arrays import Array, Bools, Floats, Longs
from mapgen.inference.infer import Runner
from mapgen.raster.patch import padded

Score = Callable[[Iterable[Array]], Floats]
"""The score (N,) of each of N pictures (C, H, W)."""

_LEAST = 1e-30
"""Probabilities below it count as this: their logarithm must be a number."""


@dataclass(frozen=True, slots=True)
class Question:
    """Why is `region` (H, W) of the class of the output `channel`, and not of the others?

    The score is the mean over the region of the score of the class less the mean of the scores of all classes: the
    centred log-ratio of the probabilities (Aitchison 1982). So it is the same whether an engine gives scores or
    probabilities, and linear in the scores.
    """

    region: Bools
    channel: int
    lattice: int | tuple[int, ...]
    """What the network wants the sides of pictures to be multiples of."""

    @property
    def places(self) -> Longs:
        """For each pixel that the network sees (H', W'), the number of the one of the picture, padded by reflection."""
        numbers = np.arange(self.region.size).reshape(1, *self.region.shape)
        return np.asarray(padded(numbers, self.lattice)[0], np.int64)

    def score(self, probabilities: Array) -> Floats:
        """The scores (N,) of probabilities (N, K, H', W')."""
        height, width = self.region.shape
        inside = probabilities[:, :, :height, :width][:, :, self.region].astype(np.float64)
        logs = np.log(np.maximum(inside, _LEAST))
        return np.asarray((logs[:, self.channel] - logs.mean(1)).mean(-1))


class Probe:
    """A `Score` by an engine that gives probabilities; `runs` counts the pictures it was asked about."""

    def __init__(self, engine: Runner, question: Question, batch: int = 1) -> None:
        self.runs = 0
        self._engine, self._question, self._batch = engine, question, batch

    def __call__(self, pictures: Iterable[Array]) -> Floats:
        """The score of each picture (C, H, W), in order."""
        found = [self._question.score(some) for some in self._probabilities(pictures)]
        return np.concatenate(found) if found else np.zeros(0)

    def _probabilities(self, pictures: Iterable[Array]) -> Iterator[Array]:
        for _, some in self._engine.stream(self._batches(pictures)):
            assert some is not None
            yield some

    def _batches(self, pictures: Iterable[Array]) -> Iterator[tuple[int, Array]]:
        waiting: list[Array] = []
        for picture in pictures:
            self.runs += 1
            waiting.append(padded(np.asarray(picture, np.float32), self._question.lattice))
            if len(waiting) == self._batch:
                yield self.runs, np.stack(waiting)
                waiting = []
        if waiting:
            yield self.runs, np.stack(waiting)
