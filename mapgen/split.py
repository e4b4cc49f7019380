"""The split of labelled ground into training and validation, so that the two share none.

Ground is told apart by where it lies, not by which file shows it: images that picture the same ground, from whatever
file and in whatever CRS, lie in one frame of ground pixels. Images that name no place have a frame of their own each.
Law: no pixel that trains lies on ground that validates, nor nearer to it than the guard.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from mapgen.errors import InputError
from mapgen.grid import Grid, Window
from mapgen.placement import Placement, same_crs

OUT, TRAIN, VALIDATE, GUARD, HELD = range(5)
"""What a pixel is for: nothing; training; validation; context of training that is too near to validation to be learnt;
ground that another image validates, which training must not even see."""

LEAST_GUARD = 2
"""Pixels of the narrowest guard: the pixels of two images of one ground need not lie on each other."""

DRAWS = 64
"""Splits that are drawn, of which the best is taken."""

Use = Literal["split", "training", "validation"]
Longs = NDArray[np.int64]
Roles = NDArray[np.uint8]
Counts = Mapping[int, NDArray[np.int64]]

_BITS = 26  # of the number of a block's row, and of its column
_PIECE = 1 << 20  # pixels that are placed at once
_LOST = np.int64(-(1 << 40))  # the place of pixels that have none


@dataclass(frozen=True, slots=True)
class Site:
    """An image: its name, its grid at the resolution of training, and what it is for."""

    name: str
    grid: Grid
    use: Use = "split"

    @property
    def kind(self) -> str:
        """Where its place is known: on the `ground`, in a `plane` of unknown CRS, or in its own `pixels`."""
        if self.grid.crs is not None:
            return "ground"
        return "pixels" if self.grid.transform.is_identity else "plane"


@dataclass(frozen=True, slots=True)
class Seat:
    """The place of a site in a frame: by a placement, or by an offset of its own pixels."""

    frame: int
    placement: Placement | None
    offset: tuple[int, int]
    outline: Window
    """A box of frame pixels around the site."""


@dataclass(slots=True)
class Frames:
    """Frames of ground pixels and the seats of all sites in them."""

    sites: Sequence[Site]
    seats: list[Seat]
    _placements: dict[tuple[int, int, int], Placement] = field(default_factory=dict)
    _boxes: Longs | None = None

    def places(self, site: int, window: Window) -> tuple[Longs, Longs]:
        """Row and column (H, W) in its frame of each pixel of a window of a site; far away where it has no place."""
        seat = self.seats[site]
        if seat.placement is not None:
            rows, cols = seat.placement.positions(window)
            return np.where(rows < 0, _LOST, rows), np.where(rows < 0, _LOST, cols)
        shape = (window.height, window.width)
        rows = np.arange(window.row, window.bottom, dtype=np.int64)[:, None] + seat.offset[0]
        cols = np.arange(window.col, window.right, dtype=np.int64)[None] + seat.offset[1]
        return np.broadcast_to(rows, shape), np.broadcast_to(cols, shape)

    def around(self, site: int, margin: int = 0) -> list[int]:
        """The other sites whose boxes come within `margin` pixels of that of a site."""
        if self._boxes is None:
            boxes = [(s.frame, s.outline.row, s.outline.col, s.outline.bottom, s.outline.right) for s in self.seats]
            self._boxes = np.array(boxes, np.int64).reshape(-1, 5)
        frame, top, left, bottom, right = self._boxes.T
        own = self._boxes[site]
        meet = (frame == own[0]) & (top < own[3] + margin) & (bottom > own[1] - margin)
        meet &= (left < own[4] + margin) & (right > own[2] - margin)
        return [n for n in np.flatnonzero(meet).tolist() if n != site]

    def shared(self, one: int, other: int) -> int:
        """How many pixels of site `one` lie on site `other`."""
        a, b = self.seats[one], self.seats[other]
        if a.placement is None:
            return (a.outline & b.outline).area if a.frame == b.frame else 0
        within = Placement(self.sites[one].grid, self.sites[other].grid).extent()
        rows = max(1, _PIECE // max(1, within.width))
        strips = (
            Window(r, within.col, min(rows, within.bottom - r), within.width)
            for r in range(within.row, within.bottom, rows)
        )
        return sum(int(self.on(one, other, strip).sum()) for strip in strips)

    def on(self, one: int, other: int, window: Window, margin: int = 0) -> NDArray[np.bool_]:
        """Which pixels (H, W) of a window of site `one` lie on site `other`, or within `margin` pixels of it."""
        a, b = self.seats[one], self.seats[other]
        if a.frame != b.frame:
            return np.zeros((window.height, window.width), bool)
        if a.placement is None:
            rows, cols = self.places(one, window)
            box = b.outline.grown(margin)
            return (rows >= box.row) & (rows < box.bottom) & (cols >= box.col) & (cols < box.right)
        found = self._placements.get((one, other, margin))
        if found is None:
            found = Placement(
                self.sites[one].grid, self.sites[other].grid.crop(self.sites[other].grid.window.grown(margin))
            )
            self._placements[one, other, margin] = found
        return found.positions(window)[0] >= 0


def frames_of(
    sites: Sequence[Site], resolution_m: float, shifts: Iterable[tuple[int, int, tuple[int, int]]] = ()
) -> Frames:
    """The frames of the sites. `shifts` (a, b, (rows, cols)) say of sites in pixels that pixel (r, c) of a pictures the
    ground of pixel (r + rows, c + cols) of b; those that contradict each other raise `InputError`."""
    offsets = _offsets(sites, list(shifts))
    seats: list[Seat] = []
    ground = _ground(sites, resolution_m)
    for number, site in enumerate(sites):
        if site.kind in ground:
            frame, grid = ground[site.kind]
            seats.append(Seat(frame, Placement(site.grid, grid), (0, 0), _outline(site.grid, grid)))
            continue
        root, (row, col) = offsets[number]
        seats.append(Seat(root + 2, None, (row, col), Window(row, col, site.grid.height, site.grid.width)))
    return Frames(sites, seats)


def _offsets(
    sites: Sequence[Site], shifts: list[tuple[int, int, tuple[int, int]]]
) -> list[tuple[int, tuple[int, int]]]:
    """For each site the first site it hangs together with, and its offset in the pixels of that one."""
    found: list[tuple[int, tuple[int, int]] | None] = [None] * len(sites)
    links: dict[int, list[tuple[int, int, int]]] = {}
    for a, b, (rows, cols) in shifts:
        links.setdefault(a, []).append((b, -rows, -cols))
        links.setdefault(b, []).append((a, rows, cols))
    for root in range(len(sites)):
        if found[root] is not None:
            continue
        found[root] = (root, (0, 0))
        waiting = [root]
        while waiting:
            at = waiting.pop()
            place = found[at]
            assert place is not None
            for other, rows, cols in links.get(at, []):
                wanted = (root, (place[1][0] + rows, place[1][1] + cols))
                if found[other] is None:
                    found[other] = wanted
                    waiting.append(other)
                elif found[other] != wanted:
                    problem = f"is shifted against {sites[at].name} in two ways that differ"
                    raise InputError(sites[other].name, problem, "correct data.same_ground")
    return [f for f in found if f is not None]


def _ground(sites: Sequence[Site], resolution_m: float) -> dict[str, tuple[int, Grid]]:
    """The frames, by number and grid, of the sites whose place is known."""
    found = {}
    for frame, kind in enumerate(("ground", "plane")):
        grids = [s.grid for s in sites if s.kind == kind]
        if grids:
            crs, pixel = _common(grids, resolution_m)
            found[kind] = (frame, _around(grids, crs, pixel))
    return found


def _common(grids: list[Grid], resolution_m: float) -> tuple[str | None, float]:
    """The CRS that frames all grids, and the side of a pixel in it: their own where they share a projected one."""
    first = grids[0]
    flat = first.crs is None or not pyproj.CRS(first.crs).is_geographic
    if flat and all(same_crs(first.crs, g.crs) for g in grids):
        return first.crs, math.sqrt(abs(first.transform.determinant))
    total = np.zeros(3)
    for grid in grids:
        to = pyproj.Transformer.from_crs(grid.crs, "OGC:CRS84", always_xy=True)
        lon, lat = np.radians(to.transform(*(grid.transform @ (grid.width / 2, grid.height / 2))))
        total += (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
    lon, lat = math.degrees(math.atan2(total[1], total[0])), math.degrees(math.atan2(total[2], math.hypot(*total[:2])))
    return pyproj.CRS(f"+proj=laea +lat_0={lat:.6f} +lon_0={lon:.6f} +datum=WGS84 +units=m").to_wkt(), resolution_m


def _around(grids: list[Grid], crs: str | None, pixel: float) -> Grid:
    """A north-up grid of the CRS that holds all grids, with a margin."""
    edges = [_edge(grid, crs) for grid in grids]
    points = np.concatenate(edges, axis=1)
    margin = 64 * pixel + 0.01 * float(np.ptp(points, axis=1).max())
    (left, bottom), (right, top) = points.min(1) - margin, points.max(1) + margin
    height, width = math.ceil((top - bottom) / pixel), math.ceil((right - left) / pixel)
    return Grid(crs, Affine(pixel, 0, float(left), 0, -pixel, float(top)), height, width)


def _edge(grid: Grid, crs: str | None) -> NDArray[np.float64]:
    """x and y (2, N) of points along the border of a grid, in the CRS; those that have no place there left out."""
    t = np.linspace(0, 1, 33)
    zero, one = np.zeros_like(t), np.ones_like(t)
    cols = np.concatenate((t, t, zero, one)) * grid.width
    rows = np.concatenate((zero, one, t, t)) * grid.height
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    x, y = a * cols + b * rows + c, d * cols + e * rows + f
    if not same_crs(grid.crs, crs):
        x, y = pyproj.Transformer.from_crs(grid.crs, crs, always_xy=True).transform(x, y)
    points = np.stack((x, y))
    return points[:, np.isfinite(points).all(0)]


def _outline(grid: Grid, frame: Grid) -> Window:
    points = _edge(grid, frame.crs)
    if not points.size:
        return Window(0, 0, 0, 0)
    x0, y1 = frame.transform.c, frame.transform.f
    pixel = frame.transform.a
    cols, rows = (points[0] - x0) / pixel, (y1 - points[1]) / pixel
    bulge = 2 + 0.01 * max(np.ptp(rows), np.ptp(cols))
    row, col = math.floor(rows.min() - bulge), math.floor(cols.min() - bulge)
    return Window(row, col, math.ceil(rows.max() + bulge) - row, math.ceil(cols.max() + bulge) - col)


# --- blocks ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Split:
    """Which ground validates: the blocks whose codes are in `held`, and the sites that are all for validation.

    `size` and `guard` are in pixels of training.
    """

    frames: Frames
    size: int
    guard: int
    held: frozenset[int] = frozenset()
    validating: frozenset[int] = frozenset()
    """Numbers of sites."""

    def codes(self, site: int, window: Window) -> Longs:
        """The code (H, W) of the block that each pixel of a window of a site lies in."""
        rows, cols = self.frames.places(site, window)
        return self._code(self.frames.seats[site].frame, rows // self.size, cols // self.size)

    def roles(self, site: int, window: Window) -> Roles:
        """What each pixel (H, W) of a window of a site is for."""
        shape = (window.height, window.width)
        if site in self.validating:
            return np.full(shape, VALIDATE, np.uint8)
        result = np.full(shape, TRAIN, np.uint8)
        blocks = bool(self.held)
        if blocks:
            rows, cols = self.frames.places(site, window)
            result[self._near(site, rows, cols, self.guard)] = GUARD
            result[self._near(site, rows, cols, 1)] = HELD
        for other in self.frames.around(site, self.guard) if self.validating else []:
            if other not in self.validating:
                continue
            near = self.frames.on(site, other, window, self.guard)
            if near.any():
                result[near & (result == TRAIN)] = GUARD
                result[self.frames.on(site, other, window, 1)] = HELD
        if blocks and self.frames.sites[site].use == "split":
            result[self._near(site, rows, cols, 0)] = VALIDATE
            lost = rows == _LOST
            result[lost] = OUT
        return result

    def _near(self, site: int, rows: Longs, cols: Longs, margin: int) -> NDArray[np.bool_]:
        """Whether pixels lie in a held block or within `margin` ≤ size / 2 of one, by the corners of the square
        around them: such a square meets no block that none of its corners lies in."""
        frame = self.frames.seats[site].frame
        result = np.zeros(rows.shape, bool)
        for down in {-margin, margin}:
            for right in {-margin, margin}:
                r, c = (rows + down) // self.size, (cols + right) // self.size
                known = rows != _LOST
                if not known.any():
                    return result
                r0, c0 = int(r[known].min()), int(c[known].min())
                r1, c1 = int(r[known].max()), int(c[known].max())
                lattice = self._code(frame, np.arange(r0, r1 + 1)[:, None], np.arange(c0, c1 + 1)[None])
                table = np.isin(lattice, np.fromiter(self.held, np.int64, len(self.held)))
                if table.any():
                    result |= table[np.clip(r - r0, 0, r1 - r0), np.clip(c - c0, 0, c1 - c0)] & known
        return result

    def _code(self, frame: int, rows: Any, cols: Any) -> Longs:
        # Rows and columns may be negative by shifts: half the range is theirs.
        half = np.int64(1 << (_BITS - 1))
        lost = rows <= _LOST // self.size
        code = (np.int64(frame) << (2 * _BITS)) + ((rows + half) << _BITS) + cols + half
        return np.where(lost, np.int64(-1), code)


def blocks_of(codes: Longs, labels: NDArray[np.uint8], classes: int) -> dict[int, NDArray[np.int64]]:
    """Labelled pixels of each class (K,) by the code of the block they lie in; labels of `classes` or more are none."""
    drawn = (labels < classes) & (codes >= 0)
    if not drawn.any():
        return {}
    found, index = np.unique(codes[drawn], return_inverse=True)
    counts = np.bincount(index.ravel() * classes + labels[drawn], minlength=len(found) * classes)
    return dict(zip(found.tolist(), counts.reshape(-1, classes).astype(np.int64), strict=True))


def choose(counts: Mapping[Any, NDArray[np.int64]], share: float, seed: int) -> frozenset[Any]:
    """Keys of about this share of the pixels, with the classes as in the whole: the best of DRAWS seeded draws.

    `counts` holds the pixels of each class (K,) for each key (a block, a group). At least one key is taken and one left
    where there are two; classes found in two or more keys are on both sides if any draw has them so.
    """
    keys = sorted(counts)
    if len(keys) < 2 or share <= 0:
        return frozenset()
    table = np.stack([counts[k] for k in keys]).astype(np.float64)
    total = table.sum(0)
    shared = (table > 0).sum(0) > 1
    best: tuple[float, frozenset[Any]] | None = None
    for draw in range(DRAWS):
        order = np.random.default_rng((seed, draw)).permutation(len(keys))
        sums = np.cumsum(table[order].sum(1))[:-1]
        taken = order[: int(np.argmin(np.abs(sums - share * total.sum()))) + 1]
        picked = table[taken].sum(0)
        found = picked.sum() / total.sum()
        mix = np.abs(picked / max(picked.sum(), 1) - total / total.sum()).sum()
        lacking = (shared & ((picked == 0) | (picked == total))).sum()
        cost = 10 * lacking + mix + 2 * abs(found - share) / share
        if best is None or cost < best[0]:
            best = (cost, frozenset(keys[i] for i in taken.tolist()))
    assert best is not None
    return best[1]
