"""The place that is asked about: its pixels, and which of them the question is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mapgen.arrays import Array, Bools
from mapgen.errors import InputError, UsageError, option
from mapgen.explain.options import LARGEST, ExplainOptions
from mapgen.explain.probe import Question
from mapgen.grid import Grid, Window
from mapgen.inference.job import Job
from mapgen.model.card import ModelCard
from mapgen.plan import Step

MARGIN = 64
"""Pixels around a box at least."""


@dataclass(frozen=True, slots=True)
class Place:
    """A window of the network's grid: its `pixels` (C, H, W), float32 as in the scene, where nothing is known
    mirrored; `focus` (H, W) is what of it was asked for."""

    window: Window
    grid: Grid
    pixels: Array
    valid: Bools
    focus: Bools

    def base(self, means: Sequence[float]) -> Array:
        """A picture (C, H, W) that says nothing: these means of the bands.

        They ought to be those of all that the model has learned from. Those of the place itself would say what it is
        where it is water from border to border.
        """
        return np.broadcast_to(np.array(means, np.float32)[:, None, None], self.pixels.shape).copy()


def place_of(job: Job, options: ExplainOptions) -> Place:
    """What is to be looked at. Raises `InputError` where there is no data or the place is not on the scene."""
    grid, card = job.grid, job.model.card
    focus = _focus(job, options)
    window = around(focus, grid, card, options.size, MARGIN if options.bbox else 0)
    found = list(job.scene.patches([Step(window, window)], grid))
    inside = np.zeros((window.height, window.width), bool)
    rows, cols = focus.slices(window)
    inside[rows, cols] = True
    if not found or found[0].values is None or not found[0].valid[inside].any():
        raise InputError(job.scene.name, "has no data at that place", "name another place")
    values, valid = found[0].values, np.asarray(found[0].valid, bool)
    pixels = np.ascontiguousarray(values, np.float32)  # those filled in lie otherwise
    return Place(window, grid.crop(window), pixels, valid, inside & valid)


def _focus(job: Job, options: ExplainOptions) -> Window:
    """The window that is asked about: a pixel, a box, or the middle of the scene."""
    grid, bounds = job.grid, ", ".join(f"{v:g}" for v in job.grid.bounds)
    if options.bbox is not None:
        box = grid.window_of(options.bbox)
        if not box.area:
            given = option("bbox", ",".join(f"{v:g}" for v in options.bbox))
            raise InputError(given, f"nothing of it lies on {job.scene.name} ({bounds})", "check its coordinates")
        return box
    if options.at is not None:
        col, row = ~grid.transform @ options.at
        pixel = Window(int(np.floor(row + 1e-6)), int(np.floor(col + 1e-6)), 1, 1)
        if not grid.window.contains(pixel):
            given = option("at", ",".join(f"{v:g}" for v in options.at))
            raise InputError(given, f"does not lie on {job.scene.name} ({bounds})", "check its coordinates and CRS")
        return pixel
    size = options.size
    return Window(grid.height // 2 - size // 2, grid.width // 2 - size // 2, size, size) & grid.window


def around(focus: Window, grid: Grid, card: ModelCard, size: int, margin: int = 0) -> Window:
    """A window of `size` pixels around what is asked about, a multiple of the stride: larger where that and a margin
    are, and no larger than the grid. Raises `UsageError` for a box that is too large."""
    most = card.fixed_window or (LARGEST, LARGEST)
    if focus.height > most[0] or focus.width > most[1]:
        problem = f"it measures {focus.width} × {focus.height} pixels of the network's, {most[1]} × {most[0]} at most"
        raise UsageError(option("bbox"), problem, "ask about less")
    sides = (min(_up(max(size, n + 2 * margin), card.stride), LARGEST) for n in (focus.height, focus.width))
    height, width = card.fixed_window or tuple(sides)
    height, width = min(height, grid.height), min(width, grid.width)
    row, col = focus.row + focus.height // 2 - height // 2, focus.col + focus.width // 2 - width // 2
    return Window(min(max(row, 0), grid.height - height), min(max(col, 0), grid.width - width), height, width)


def _up(length: int, stride: int) -> int:
    return -(-length // stride) * stride


def question(place: Place, probabilities: Array, card: ModelCard, options: ExplainOptions) -> Question:
    """What is asked of the place, given what the model makes of it (K, H, W).

    Raises `UsageError` where the model has no such class, or gives it to no pixel that was asked about.
    """
    given = probabilities.argmax(0)
    counts = np.bincount(given[place.focus], minlength=len(card.legend))
    names = list(card.legend.names)
    channel = int(counts.argmax()) if options.feature_class is None else _channel(card, options.feature_class)
    pixel = place.focus.sum() == 1
    region = place.focus if pixel else place.focus & (given == channel)
    if not region.any():
        shown = ", ".join(names[k] for k in np.argsort(-counts) if counts[k])
        raise UsageError(
            option("feature_class"), f"the model takes no pixel there for {names[channel]}; it shows {shown}",
            f"name one of these, or a single pixel with {option('at', 'X,Y')}",
        )  # fmt: skip
    return Question(region, channel, card.lattice)


def _channel(card: ModelCard, name: str) -> int:
    """The output channel of a class by its name, in any case, or its id."""
    tests: tuple[Callable[[int], bool], ...] = (
        lambda k: card.legend.names[k].casefold() == name.casefold(), lambda k: str(card.legend.ids[k]) == name,
    )  # fmt: skip
    for test in tests:
        for k in range(len(card.legend)):
            if test(k):
                return k
    known = ", ".join(card.legend.names)
    raise UsageError(option("feature_class"), f"the model has no class {name!r}", f"use one of {known}")
