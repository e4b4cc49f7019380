"""Recipe and pace of a run: how fast it learns when, and how many crops of which size a step has."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mapgen.errors import UsageError

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class Stage:
    """From `start`, a fraction 0…1 of the run, batches have `count` crops of `size`×`size` pixels."""

    start: float
    count: int
    size: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the loop does. Two runs of one recipe on one CPU and thread count end in the same weights."""

    steps: int
    stages: tuple[Stage, ...]
    rate: float = 1e-3
    """The highest learning rate."""
    warmup: float = 0.05
    """The fraction of the run in which the rate rises; it falls as a cosine to 0 after that (Smith & Topin 2018)."""
    weight_decay: float = 0.01
    ema_decay: float = 0.998
    clip: float = 1.0
    """Gradients are scaled down to this Euclidean norm."""
    precision: Precision = "fp32"
    encoder_rate: float = 1.0
    """The rate of `network.encoder`, as a share of that of the rest."""
    frozen: float = 0.0
    """The fraction of the run, from its beginning, in which `network.encoder` stays as it is."""
    save_every: int = 50
    check_every: int = 200
    patience: int = 0
    """Checks without a better mIoU after which the run ends; 0 never ends it early."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a run is, as a pure function of the step: straight lines between knots (step, progress) from 0 to 1.

    A run that has to end sooner or later than planned gets a further knot, which its checkpoint records.
    """

    knots: tuple[tuple[int, float], ...]

    @classmethod
    def even(cls, steps: int) -> Pace:
        """Progress in equal steps."""
        return cls(((0, 0.0), (steps, 1.0)))

    @property
    def end(self) -> int:
        """The number of steps in all."""
        return self.knots[-1][0]

    def at(self, step: int) -> float:
        """Progress 0…1 before `step`."""
        i = min(bisect_right([s for s, _ in self.knots], step), len(self.knots) - 1)
        (s0, p0), (s1, p1) = self.knots[i - 1], self.knots[i]
        return min(1.0, p0 + (p1 - p0) * (step - s0) / (s1 - s0))

    def until(self, step: int, end: int) -> Pace:
        """The same pace up to `step`, then evenly to `end`."""
        if self.at(step) == 1:
            raise UsageError("steps", f"the run is finished after {step} steps", "begin another run")
        if not step < end:
            raise UsageError("steps", f"{end} is not after step {step}, where the run is", "name a later end")
        past = tuple(k for k in self.knots if k[0] < step)
        return Pace((*past, (step, self.at(step)), (end, 1.0)))


def rate_at(progress: float, highest: float, warmup: float) -> float:
    """The learning rate: a line from 0 to `highest` over `warmup`, then half a cosine down to 0."""
    if progress < warmup:
        return highest * progress / warmup
    return highest * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def plan_of(recipe: Recipe, pace: Pace, first: int) -> Iterator[tuple[int, int, int]]:
    """The batches from step `first` on: (step, crops, side of a crop)."""
    for step in range(first, pace.end):
        stage = [s for s in recipe.stages if s.start <= pace.at(step)][-1]
        yield step, stage.count, stage.size
