"""Drawn towns: turned buildings with right angles whose outlines are known, on land, with uneven borders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

Array = np.ndarray[Any, np.dtype[Any]]
Shape = Any
LAND, BUILDING, ROAD, WOOD = 1, 2, 3, 4


@dataclass(frozen=True)
class Town:
    """Class ids (H, W) and the true outlines of its buildings, in pixels."""

    classes: Array
    outlines: list[Shape]


def outline(rng: np.random.Generator) -> Shape:
    """A box, an L, a T or a U of 9 to 34 pixels, not turned, around 0, 0."""
    wide, deep = rng.uniform(12, 34), rng.uniform(9, 24)
    body = shapely.box(0, 0, wide, deep)
    kind = rng.choice(["box", "box", "L", "T", "U"])
    if kind == "box" or min(wide, deep) < 15:
        shape = body
    else:
        notch, depth = rng.uniform(0.35, 0.55) * wide, rng.uniform(0.4, 0.55) * deep
        if kind == "L":
            cut = shapely.box(wide - notch, deep - depth, wide + 1, deep + 1)
        elif kind == "T":
            side = (wide - max(notch, 7)) / 2
            cut = shapely.union_all([shapely.box(-1, deep - depth, side, deep + 1),
                                     shapely.box(wide - side, deep - depth, wide + 1, deep + 1)])  # fmt: skip
        else:
            side = max(6.0, (wide - notch) / 2)
            cut = shapely.box(side, deep - depth, wide - side, deep + 1)
        shape = shapely.difference(body, cut)
    return shapely.affinity.translate(shape, -wide / 2, -deep / 2)


def town(seed: int, jitter: float, rows: int = 11, columns: int = 10, crowded: bool = True) -> Town:
    """`rows` × `columns` buildings on a lattice of 56 pixels; `jitter` is how far borders are off, rms in pixels.

    `crowded`: roads and woods touch some of them, so that other borders end at theirs.
    """
    import shapely.affinity

    rng = np.random.default_rng(seed)
    height, width = 56 * rows + 20, 56 * columns + 20
    outlines = []
    for row in range(rows):
        for column in range(columns):
            place = 38 + 56 * column + rng.uniform(-6, 6), 38 + 56 * row + rng.uniform(-6, 6)
            turned = shapely.affinity.rotate(outline(rng), rng.uniform(0, 90), origin=(0, 0))
            outlines.append(shapely.affinity.translate(turned, *place))
    y, x = np.mgrid[:height, :width] + 0.5
    noise = _blurred(rng.standard_normal((height, width)), 2) * jitter
    classes = np.full((height, width), LAND, np.uint8)
    if crowded:
        for k in range(0, rows, 3):
            classes[np.abs(y - 56 * k - 30 - 9 * np.sin(x / 40)) < 4] = ROAD
        classes[_blurred(rng.standard_normal((height, width)), 12) > 1.0] = WOOD
    for shape in outlines:
        left, top, right, bottom = (int(v) for v in shapely.bounds(shape))
        part = np.s_[max(0, top - 6) : bottom + 7, max(0, left - 6) : right + 7]
        points = shapely.points(x[part].ravel(), y[part].ravel())
        away = shapely.distance(points, shapely.boundary(shape)) * np.where(shapely.contains(shape, points), 1, -1)
        classes[part][away.reshape(x[part].shape) + noise[part] > 0] = BUILDING
    return Town(classes, outlines)


def _blurred(field: Array, sigma: float) -> Array:
    """The field after a periodic Gaussian of that sigma, with a standard deviation of 1."""
    frequency = np.fft.fftfreq(field.shape[0])[:, None] ** 2 + np.fft.rfftfreq(field.shape[1])[None] ** 2
    out = np.fft.irfft2(np.fft.rfft2(field) * np.exp(-2 * (np.pi * sigma) ** 2 * frequency), s=field.shape)
    return out / out.std()


def agreement(found: Shape, true: Shape) -> tuple[float, float]:
    """IoU × (1 − |n₁ − n₂| / (n₁ + n₂)) of a polygon with its truth, and the ratio of their vertices."""
    one, other = (len(shapely.get_coordinates(shapely.get_exterior_ring(s))) - 1 for s in (found, true))
    both = shapely.area(shapely.intersection(found, true))
    iou = both / (shapely.area(found) + shapely.area(true) - both)
    return float(iou * (1 - abs(one - other) / (one + other))), one / other


def without_straight(shape: Shape) -> Shape:
    """The polygon without vertices on a straight side, where only another border ends."""
    ring = shapely.get_coordinates(shapely.get_exterior_ring(shape))[:-1]
    ahead = np.roll(ring, -1, 0) - ring
    behind = np.roll(ahead, 1, 0)
    sine = (behind[:, 0] * ahead[:, 1] - behind[:, 1] * ahead[:, 0]) / np.hypot(*ahead.T) / np.hypot(*behind.T)
    return shapely.Polygon(ring[np.abs(sine) > 1e-6])


def right_angles(shape: Shape, within: float = 1e-6) -> tuple[int, int]:
    """How many corners of the exterior are right angles, and how many there are."""
    ring = shapely.get_coordinates(shapely.get_exterior_ring(shape))[:-1]
    ahead = np.roll(ring, -1, 0) - ring
    behind = np.roll(ahead, 1, 0)
    cosine = (ahead * behind).sum(1) / np.hypot(*ahead.T) / np.hypot(*behind.T)
    return int((np.abs(cosine) < within).sum()), len(ring)
