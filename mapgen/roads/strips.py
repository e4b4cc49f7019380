"""The skeleton of a whole scene, made in strips that leave no trace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapgen.arrays import Bools, Ints, Longs
from mapgen.parallel import Progress, in_order
from mapgen.polygons.regions import Regions
from mapgen.roads.depth import depths, half_widths
from mapgen.roads.skeleton import Reals, Skeleton
from mapgen.roads.thinning import rounds_for, support, thinned

OTHER, ROAD, UNKNOWN = 0, 1, 2
"""What a pixel of the regions is: no road, road, or not known."""

AT_FRAME = 2
"""Pixels beyond its r that the end of a road may be away from the frame, and still leaves the scene."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Whether a road goes on beyond each pixel of the four sides of the scene.

    It does where it crosses the side, on a stretch no longer than such a crossing; a longer stretch is a road along the
    side, which would be drawn out of the scene if it went on.
    """

    top: Bools
    bottom: Bools
    left: Bools
    right: Bools


def skeleton_in_strips(
    regions: Regions, width_px: float, aspect: float = 1.0, *, rows: int = 1024, threads: int = 1,
    progress: Progress | None = None,
) -> Skeleton:  # fmt: skip
    """The skeleton of the roads of the regions (of values OTHER, ROAD, UNKNOWN); `width_px`: of the widest road.

    Law: the same for any `rows` and `threads`. Roads that cross the frame go on beyond it, so that none forks there.
    """
    rounds = rounds_for(width_px)
    beyond = _beyond(regions, int(1.5 * width_px) + 1)

    def work(first: int) -> tuple[Ints, Ints, Reals, Bools]:
        return _strip(regions, beyond, first, min(first + rows, regions.height), rounds, aspect)

    counts, parts = [np.zeros(1, np.int64)], []
    for first, (y, x, r, frame) in in_order(work, range(0, regions.height, rows), threads):
        last = min(first + rows, regions.height)
        counts.append(np.bincount(y - first, minlength=last - first))
        parts.append((x, r, frame))
        if progress:
            progress(last, regions.height)
    x, r, frame = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Skeleton(regions.height, regions.width, np.cumsum(np.concatenate(counts)), x, r, frame)


SHALLOW = 0.2
"""Least depth of a road behind a side, in lengths of its stretch there, for it to cross the side and not run along it:
that of an angle of 22 degrees."""


def _crossing(side: Bools, depth: Longs, longest: int) -> Bools:
    """The set places that lie in runs of at most that many, behind which the road is deep enough."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], side, [False])).astype(np.int8)))
    out = side.copy()
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        size = stop - start
        out[start:stop] = size <= longest and np.median(depth[start:stop]) >= SHALLOW * size
    return out


def _beyond(regions: Regions, longest: int) -> Beyond:
    road, height, width = regions.values == ROAD, regions.height, regions.width
    first, last = regions.offsets[:-1], regions.offsets[1:] - 1
    ends = np.append(regions.starts, width)[np.minimum(first + 1, len(regions.starts))]
    left = np.where(first == last, width, ends).astype(np.int64)
    right: Longs = (width - regions.starts[last]).astype(np.int64)
    sides: list[tuple[Bools, Longs]] = [(road[regions.labels[first]], left), (road[regions.labels[last]], right)]
    rows = min(longest, height)
    for block in (slice(0, rows), slice(height - rows, height)):
        roads = road[regions.raster(block)]
        roads = roads if block.start == 0 else roads[::-1]
        sides.append((roads[0], np.logical_and.accumulate(roads, axis=0).sum(axis=0)))
    left_side, right_side, top, bottom = (_crossing(side, depth, longest) for side, depth in sides)
    return Beyond(top, bottom, left_side, right_side)


def _extended(regions: Regions, beyond: Beyond, first: int, last: int, margin: int) -> Bools:
    """The roads of rows first…last − 1, `margin` pixels beyond the frame on all sides."""
    low, high = max(first, 0), min(last, regions.height)
    values = regions.values[regions.raster(slice(low, high))]
    out = np.zeros((last - first, regions.width + 2 * margin), np.bool_)
    inside = out[low - first : high - first]
    inside[:, margin:-margin] = values == ROAD
    inside[:, :margin], inside[:, -margin:] = beyond.left[low:high, None], beyond.right[low:high, None]
    for rows, side, row in ((out[: low - first], beyond.top, 0), (out[high - first :], beyond.bottom, -1)):
        rows[:, margin:-margin] = side
        rows[:, :margin], rows[:, -margin:] = beyond.left[row] & side[0], beyond.right[row] & side[-1]
    return out


def _strip(
    regions: Regions, beyond: Beyond, first: int, last: int, rounds: int, aspect: float
) -> tuple[Ints, Ints, Reals, Bools]:
    """Rows, columns, half widths and `frame` of the pixels of the skeleton in rows first…last − 1."""
    halo, margin = support(rounds), rounds
    # Beyond the frame the roads go on for `margin` pixels: where they end there, they fork out of sight.
    top, bottom = max(first - halo, -margin), min(last + halo, regions.height + margin)
    road = _extended(regions, beyond, top, bottom, margin)
    lines = thinned(road, rounds)[first - top : last - top, margin:-margin]
    places = np.nonzero(lines)
    y: Ints = places[0].astype(np.int32)
    x: Ints = places[1].astype(np.int32)
    rows = y.astype(np.int64) + (first - top)
    columns = x + np.int32(margin)
    r = depths(road, rows, columns, float(rounds), aspect)
    y += np.int32(first)
    across = np.minimum(x, regions.width - 1 - x)
    down = np.minimum(y, regions.height - 1 - y) * aspect
    frame: Bools = np.minimum(across, down) <= r + AT_FRAME
    return y, x, half_widths(road, rows, columns, r, float(rounds), aspect), frame


BLOCK = 256
"""Rows that are looked at together."""


def near_unknown(regions: Regions, x: Ints, y: Ints, r: Reals) -> Bools:
    """Whether what is known of the scene ends near each of these pixels, no farther than r + AT_FRAME."""
    out = np.zeros(len(x), np.bool_)
    unknown = regions.values == UNKNOWN
    if not unknown[1:].any():
        return out
    order = np.argsort(y, kind="stable")
    reach = r.astype(np.int64) + AT_FRAME
    for first in range(0, regions.height, BLOCK):
        some = order[slice(*np.searchsorted(y[order], (first, first + BLOCK)))]
        if not len(some):
            continue
        top = max(0, first - int(reach[some].max()))
        rows = unknown[regions.raster(slice(top, first + BLOCK + int(reach[some].max()) + 1))]
        for i in some.tolist():
            row, col, far = int(y[i]) - top, int(x[i]), int(reach[i])
            out[i] = rows[max(0, row - far) : row + far + 1, max(0, col - far) : col + far + 1].any()
    return out
